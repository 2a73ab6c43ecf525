"""The machine's own figures while a trace was recorded: rows of the sampler's traces, joined by host and time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glassfs import places
from glassfs.errors import GlassfsError
from glassfs.trace import Damage, Segment, State, Trace

# A sample's rates are those of the time before it, so the one after the end still tells of the trace: the sampler's
# usual period.
AFTER_END_NS = 5_000_000_000


class Machine:
    """A snapshot. `files` are Parquet files with rows of the time from `from_ns` to `to_ns` (None: until now), and of
    other times. `damages`: what had to be left out."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._found: list[tuple[Trace, Segment]] = []
        self._unreadable: dict[Path, Damage] = {}
        self.damages: list[Damage] = []
        self.from_ns = trace.about.start_ns
        self.to_ns: int | None = None
        self.take_snapshot()

    def take_snapshot(self) -> None:
        end_ns = _end_ns(self._trace)
        self.to_ns = None if end_ns is None else end_ns + AFTER_END_NS
        self.damages = []
        self._found = [(each, segment) for each in self._sampled() for segment in self._segments(each)]

    @property
    def files(self) -> list[Path]:
        return [trace.segment_path(segment) for trace, segment in self._found]

    def leave_out_unreadable(self, probe: Callable[[Trace, Segment], Damage | None]) -> bool:
        """Whether there were any. One that is merely gone was merged or thrown away: the next snapshot says which."""
        damages = {trace.segment_path(segment): probe(trace, segment) for trace, segment in self._found}
        found = {file: damage for file, damage in damages.items() if damage}
        self._unreadable |= {file: damage for file, damage in found.items() if not damage.is_missing}
        return bool(found)

    def _sampled(self) -> list[Trace]:
        """Of the sampler's traces those of the same host that were written while this one was."""
        return [
            each
            for each in places.system_traces(beside=self._trace.path)
            if each.about.host == self._trace.about.host
            and (each.about.end_ns is None or each.about.end_ns >= self.from_ns)
            and (self.to_ns is None or each.about.start_ns <= self.to_ns)
        ]

    def _segments(self, sampled: Trace) -> list[Segment]:
        try:
            segments = [each for each in sampled.manifest().segments("system") if self._overlaps(each)]
        except GlassfsError:
            # Thrown away since it was listed.
            return []
        known = [self._unreadable.get(sampled.segment_path(each)) for each in segments]
        unknown = [each for each, damage in zip(segments, known, strict=True) if damage is None]
        good, damaged = sampled.check(unknown)
        self.damages += [*filter(None, known), *(each for each in damaged if not each.is_missing)]
        return good

    def _overlaps(self, segment: Segment) -> bool:
        return segment.to_ns >= self.from_ns and (self.to_ns is None or segment.from_ns <= self.to_ns)


def _end_ns(trace: Trace) -> int | None:
    """None: it goes on. A trace without a goodbye ended with what it last saw."""
    if trace.about.end_ns is not None or trace.state() is State.LIVE:
        return trace.about.end_ns
    return max((each.to_ns for each in trace.manifest().live.values()), default=trace.about.start_ns)
