"""Following a live trace: each row once, across adds and merges, by the manifest alone. Reads no segment itself.

A follower's state is its place in the manifest and the highest seq it has had of each stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from glassfs.trace import Manifest, Segment, Trace


@dataclass(frozen=True)
class Batch:
    """Segments with rows not had yet, and `after`: of each stream only rows with a greater seq are new."""

    segments: tuple[Segment, ...]
    after: dict[int, int]


# Event rows offered at a time: of a long trace the reader gets its past in parts. One segment is never parted.
BATCH_ROWS = 500_000


class Follower:
    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._manifest = Manifest()
        self._had: dict[int, int] = {}
        self._damaged: set[str] = set()
        self._warned = 0
        self._removals = 0
        self.missed_rows = 0

    def warnings(self) -> list[str]:
        """Those that have come up since the last time."""
        fresh = self._manifest.warnings[self._warned :]
        self._warned += len(fresh)
        return fresh

    def poll(self) -> Batch:
        """What is there and not had, the oldest first. The same again until `had` is told; a segment that vanished
        under the reader was merged, and the next poll names the one that replaced it."""
        self._trace.read_on(self._manifest)
        self._count_missed()
        fresh: list[Segment] = []
        rows = 0
        for segment in self._manifest.segments("events"):
            if self._is_news(segment):
                if fresh and rows + segment.rows > BATCH_ROWS:
                    break
                fresh.append(segment)
                rows += segment.rows
        return Batch(tuple(fresh), dict(self._had))

    def _is_news(self, segment: Segment) -> bool:
        if segment.file in self._damaged:
            return False
        return any(last > self._had.get(stream, -1) for stream, _first, last in segment.streams)

    def _count_missed(self) -> None:
        """Rows that retention took before they were had."""
        fresh = self._manifest.removed[self._removals :]
        self._removals += len(fresh)
        self.missed_rows += sum(segment.rows for segment in fresh if self._is_news(segment))

    def had(self, batch: Batch) -> None:
        for segment in batch.segments:
            for stream, _first, last in segment.streams:
                self._had[stream] = max(last, self._had.get(stream, -1))

    def give_up(self, segment: Segment) -> None:
        """Never offer this segment again: it is damaged."""
        self._damaged.add(segment.file)
