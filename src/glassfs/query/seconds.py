"""Exact counts by the second, for whoever ships them: of the seconds that new segments of totals touch, the whole.

Rows of totals are deltas and may come late, so a second is asked for again whenever one more segment has to do with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

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


_SUMS = """
    select second_ns, op, errno, kind, sum(count)::bigint, sum(bytes)::bigint, sum(duration_ns)::bigint,
           sum(backing_ns)::bigint, min(min_ns), max(max_ns)
    from totals where second_ns >= ? and second_ns < ? group by second_ns, op, errno, kind
    order by second_ns, op, errno, kind"""

_BUCKETS = """
    select second_ns, op, errno, kind, bucket, sum(amount)::bigint
    from (select second_ns, op, errno, kind, unnest(bucket_index) as bucket, unnest(bucket_count) as amount
          from totals where second_ns >= ? and second_ns < ?)
    group by second_ns, op, errno, kind, bucket order by bucket"""


def seconds(trace: Trace, spans: Sequence[tuple[int, int]]) -> Iterator[Second]:
    """What is in the totals of these spans of time, [from, to) in nanoseconds."""
    database = Database(trace, tables=("totals",))
    try:
        for span in spans:
            buckets: dict[tuple[int, str, int, str], list[tuple[int, int]]] = {}
            for second_ns, op, errno, kind, bucket, amount in database.rows(_BUCKETS, span):
                buckets.setdefault((second_ns, op, errno, kind), []).append((bucket, amount))
            for row in database.rows(_SUMS, span):
                yield Second._make((*row, buckets.get(row[:4], [])))
    finally:
        database.close()


def ledger(trace: Trace) -> Losses:
    """What was seen, stored and lost, without a look at the events."""
    database = Database(trace, tables=("ledger",))
    try:
        return losses(Asked.of(database, Filter()))
    finally:
        database.close()
