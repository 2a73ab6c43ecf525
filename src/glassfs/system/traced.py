"""Which processes the live traces that are followed have seen, from the traces themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from glassfs import places
from glassfs.errors import GlassfsError
from glassfs.query.processes import Starts, process_starts
from glassfs.system.processes import Process
from glassfs.trace import Manifest, Segment, State, Trace

# The recorder counts in clock ticks since boot, this in whole seconds since 1970: they agree to a second or so.
START_SLACK_NS = 2_000_000_000


class TracedProcesses:
    """`look` before each sample; then `have` says whether a process is one of them."""

    def __init__(self, follow: Literal["all"] | Sequence[str]) -> None:
        self._follow = follow
        self._live: dict[Path, _LiveTrace] = {}
        self._over: set[Path] = set()

    def look(self) -> None:
        for path in self._folders():
            if path not in self._live and path not in self._over:
                self._begin(path)
        for path, live in list(self._live.items()):
            if not live.look():
                del self._live[path]
                self._over.add(path)

    def have(self, process: Process) -> bool:
        starts = [start for live in self._live.values() for start in live.starts.get(process.pid, ())]
        return any(start is None or abs(process.started_ns - start) < START_SLACK_NS for start in starts)

    def _folders(self) -> Iterator[Path]:
        yield from places.trace_folders()
        if self._follow != "all":
            yield from (Path(word) for word in self._follow if "/" in word)

    def _begin(self, path: Path) -> None:
        try:
            trace = Trace(path)
        except GlassfsError:
            # Not a trace yet, or a damaged one: others say so.
            return
        names = {trace.about.name, trace.about.id, path.name, str(path)}
        if trace.state() is State.LIVE and (self._follow == "all" or names & set(self._follow)):
            self._live[path] = _LiveTrace(trace)
        else:
            self._over.add(path)


class _LiveTrace:
    """`starts`: of each pid seen, when its processes began (None: not known)."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._manifest = Manifest()
        self._segments: list[Segment] = []
        self.starts: Starts = {}

    def look(self) -> bool:
        """Whether it is still being recorded. Segments are read only when there are others than before."""
        try:
            self._trace.refresh()
            if self._trace.state() is not State.LIVE:
                return False
            self._trace.read_on(self._manifest)
            segments = self._manifest.segments("processes")
            if segments != self._segments:
                self.starts = process_starts(self._trace)
                self._segments = segments
        except GlassfsError:
            return self._trace.path.exists()
        return True
