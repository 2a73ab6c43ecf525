"""The rows themselves: every event that a filter lets through, in the order they began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from glassfs.query.asked import Asked
from glassfs.trace import Segment


class Event(NamedTuple):
    """One row, in the columns of docs/trace-format.md."""

    stream: int
    seq: int
    ts_ns: int
    duration_ns: int
    backing_ns: int | None
    requests: int
    op: str
    kind: str
    syscall_nr: int | None
    origin: str
    plane: str
    path: str | None
    path2: str | None
    offset: int | None
    size: int | None
    result: int | None
    errno: int
    flags: int | None
    mode: int | None
    ino: int | None
    dev: int | None
    fh: int | None
    file_type: str | None
    pid: int | None
    tid: int | None
    uid: int | None
    gid: int | None
    comm: str | None


# Rows sorted and held at a time: a trace of any size is read in slices of time of about this many.
SLICE_ROWS = 200_000
SLICE_PART_ROWS = SLICE_ROWS // 8

COLUMNS_SQL = ", ".join(f'"{name}"' for name in Event._fields)
_SLICE = f"select {COLUMNS_SQL} from events where ts_ns >= ? and ts_ns < ? and {{where}} order by ts_ns, stream, seq"


def events(asked: Asked, limit: int | None = None) -> Iterator[Event]:
    """In the order they began."""
    left = limit
    for start, end in _slices(asked.database.segments("events")):
        sql = _SLICE.format(where=asked.where) + ("" if left is None else f" limit {left}")
        for row in asked.database.sorted_rows(sql, [start, end, *asked.values]):
            yield Event._make(row)
            left = None if left is None else left - 1
        if left == 0:
            return


def _slices(segments: Sequence[Segment]) -> list[tuple[int, int]]:
    """Times that part the trace into slices of some SLICE_ROWS rows, as far as the manifest can tell."""
    marks: list[tuple[int, int]] = []
    for segment in segments:
        parts = max(1, segment.rows // (SLICE_PART_ROWS))
        width = max(segment.to_ns - segment.from_ns, 1)
        marks += [(segment.from_ns + width * part // parts, segment.rows // parts) for part in range(parts)]
    cuts, held = [], 0
    for at, rows in sorted(marks):
        if held >= SLICE_ROWS:
            cuts.append(at)
            held = 0
        held += rows
    edges = [_BEFORE_ALL, *cuts, _AFTER_ALL]
    return [(start, end) for start, end in pairwise(edges) if start < end]


_BEFORE_ALL = -(1 << 63)
_AFTER_ALL = (1 << 63) - 1
