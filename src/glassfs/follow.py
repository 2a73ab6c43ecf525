"""Following a trace: each row of a table with streams once, across adds and merges, by the manifest alone. Reads no
segment itself.

A follower's state is its place in the manifest and the highest seq it has had of each stream.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    """`had`: where another follower of the same table stopped. `removed`: segments with news that retention took."""

    def __init__(self, trace: Trace, table: str = "events", had: Mapping[int, int] | None = None) -> None:
        self._trace = trace
        self.table = table
        self._manifest = Manifest()
        self._had: dict[int, int] = dict(had or {})
        self._damaged: set[str] = set()
        self._warned = 0
        self._removals = 0
        self.missed_rows = 0
        self.removed: list[Segment] = []

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
        for segment in self._manifest.segments(self.table):
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
        missed = [segment for segment in fresh if segment.table == self.table and self._is_news(segment)]
        self.removed += missed
        self.missed_rows += sum(segment.rows for segment in missed)

    def had(self, batch: Batch) -> None:
        for segment in batch.segments:
            for stream, _first, last in segment.streams:
                self.had_through(stream, last)

    def had_through(self, stream: int, seq: int) -> None:
        """Of a segment that is taken in parts."""
        self._had[stream] = max(seq, self._had.get(stream, -1))

    def news_in(self, segment: Segment) -> int:
        """How many of its rows were not had; see `rows_after`."""
        return rows_after(segment, self._had)

    def segments(self, table: str) -> list[Segment]:
        """All that are live as of the last poll."""
        return self._manifest.segments(table)

    def give_up(self, segment: Segment) -> None:
        """Never offer this segment again: it is damaged."""
        self._damaged.add(segment.file)


def rows_after(segment: Segment, had: Mapping[int, int]) -> int:
    """How many of a segment's rows are beyond what was had; an estimate where that is in its middle."""
    numbers = sum(last - first + 1 for _stream, first, last in segment.streams)
    news = sum(max(0, last - max(first - 1, had.get(stream, -1))) for stream, first, last in segment.streams)
    return -(-segment.rows * news // numbers) if numbers else 0
