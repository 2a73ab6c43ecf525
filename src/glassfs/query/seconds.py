"""Exact counts by the second, for whoever ships them: of the seconds that new segments of totals touch, the whole.

Rows of totals are deltas and may come late, so a second is asked for again whenever one more segment has to do with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from glassfs.filters import Filter
from glassfs.query.answers import Losses
from glassfs.query.asked import Asked
from glassfs.query.database import Database
from glassfs.query.totals import losses
from glassfs.trace import Trace


class Second(NamedTuple):
    """All calls of one op, error and kind that began in one second. `buckets`: (index, how many), ascending."""

    second_ns: int
    op: str
    errno: int
    kind: str
    calls: int
    bytes: int
    duration_ns: int
    backing_ns: int
    min_ns: int
    max_ns: int
    buckets: list[tuple[int, int]]


# Seconds asked for together: some thousand rows.
TOGETHER = 60

_PRESENT = "select distinct second_ns from totals where second_ns >= ? and second_ns < ? order by second_ns"

_SUMS = """
    select second_ns, op, errno, kind, sum(count)::bigint, sum(bytes)::bigint, sum(duration_ns)::bigint,
           sum(backing_ns)::bigint, min(min_ns), max(max_ns)
    from totals where second_ns >= ? and second_ns <= ? group by second_ns, op, errno, kind
    order by second_ns, op, errno, kind"""

_BUCKETS = """
    select second_ns, op, errno, kind, bucket, sum(amount)::bigint
    from (select second_ns, op, errno, kind, unnest(bucket_index) as bucket, unnest(bucket_count) as amount
          from totals where second_ns >= ? and second_ns <= ?)
    group by second_ns, op, errno, kind, bucket order by bucket"""


def seconds(trace: Trace, spans: Sequence[tuple[int, int]]) -> Iterator[list[Second]]:
    """What is in the totals of these spans of time, [from, to) in nanoseconds, some seconds together."""
    database = Database(trace, tables=("totals",))
    try:
        for span in spans:
            present = [second_ns for (second_ns,) in database.rows(_PRESENT, span)]
            for at in range(0, len(present), TOGETHER):
                yield _between(database, present[at], present[min(at + TOGETHER, len(present)) - 1])
    finally:
        database.close()


def _between(database: Database, first_ns: int, last_ns: int) -> list[Second]:
    buckets: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
    for *key, bucket, amount in database.rows(_BUCKETS, (first_ns, last_ns)):
        buckets.setdefault(tuple(key), []).append((bucket, amount))
    sums = database.rows(_SUMS, (first_ns, last_ns))
    return [Second._make((*row, buckets.get(row[:4], []))) for row in sums]


def ledger(trace: Trace) -> Losses:
    """What was seen, stored and lost, without a look at the events."""
    database = Database(trace, tables=("ledger",))
    try:
        return losses(Asked.of(database, Filter()))
    finally:
        database.close()
