"""Questions about how much of what: classes, ops, errors, losses. From the totals, which are exact whatever was lost;
with a filter from the stored events, since totals know no paths and no processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from glassfs.filters import CLASSES
from glassfs.query.answers import ClassRow, Latency, Losses, LossReason, OpRow
from glassfs.query.asked import Asked
from glassfs.query.histogram import BUCKET_SQL, merged, percentile_ns

# An op that trace.json does not know (a later minor version) still counts somewhere.
UNKNOWN_CLASS = "other"


@dataclass
class Tally:
    """What is known of one op, mergeable by adding."""

    count: int = 0
    bytes: int = 0
    time_ns: int = 0
    errors: int = 0
    min_ns: int | None = None
    max_ns: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    def latency(self) -> Latency | None:
        if self.count == 0:
            return None
        low = self.min_ns or 0
        return Latency(
            average_ns=round(self.time_ns / self.count),
            min_ns=low,
            p50_ns=percentile_ns(self.buckets, 0.5, min_ns=low, max_ns=self.max_ns) or 0,
            p99_ns=percentile_ns(self.buckets, 0.99, min_ns=low, max_ns=self.max_ns) or 0,
            max_ns=self.max_ns,
        )


def added(tallies: Iterable[Tally]) -> Tally:
    parts = list(tallies)
    lows = [part.min_ns for part in parts if part.min_ns is not None]
    return Tally(
        count=sum(part.count for part in parts),
        bytes=sum(part.bytes for part in parts),
        time_ns=sum(part.time_ns for part in parts),
        errors=sum(part.errors for part in parts),
        min_ns=min(lows, default=None),
        max_ns=max((part.max_ns for part in parts), default=0),
        buckets=merged(part.buckets for part in parts),
    )


_FROM_TOTALS = """
    select op, sum(count)::bigint, sum(bytes)::bigint, sum(duration_ns)::bigint,
           coalesce(sum(count) filter (errno <> 0), 0)::bigint, min(min_ns), max(max_ns)
    from totals group by op"""

_BUCKETS_FROM_TOTALS = """
    select op, bucket, sum(amount)::bigint
    from (select op, unnest(bucket_index) as bucket, unnest(bucket_count) as amount from totals)
    group by op, bucket"""

# What a successful read, write or copy moved, as the recorder counts it for the totals.
BYTES_SQL = "case when errno = 0 and op in ('read', 'write', 'copy_file_range') then greatest(result, 0) else 0 end"

_FROM_EVENTS = """
    select op, {bucket} as bucket, count(*), coalesce(sum({bytes}), 0)::bigint, sum(duration_ns)::bigint,
           count(*) filter (errno <> 0), min(duration_ns), max(duration_ns)
    from events where {where} group by op, bucket"""


def tallies(asked: Asked) -> dict[str, Tally]:
    """One tally for each op that occurred."""
    return _from_events(asked) if asked.filter else _from_totals(asked)


def _from_totals(asked: Asked) -> dict[str, Tally]:
    found = {op: Tally(*numbers) for op, *numbers in asked.rows(_FROM_TOTALS)}
    for op, bucket, amount in asked.rows(_BUCKETS_FROM_TOTALS):
        found[op].buckets[bucket] = amount
    return found


def _from_events(asked: Asked) -> dict[str, Tally]:
    parts: dict[str, list[Tally]] = {}
    sql = _FROM_EVENTS.format(bucket=BUCKET_SQL, bytes=BYTES_SQL, where=asked.where)
    for op, bucket, count, *numbers in asked.rows(sql, asked.values):
        part = Tally(count, *numbers)
        part.buckets[bucket] = count
        parts.setdefault(op, []).append(part)
    return {op: added(those) for op, those in parts.items()}


def ops(asked: Asked, found: dict[str, Tally]) -> tuple[OpRow, ...]:
    """The ops that occurred, the one that took most time first."""
    whole = added(found.values())
    rows = [
        OpRow(**vars(_row(op, tally, whole)), op_class=asked.class_of_op.get(op, UNKNOWN_CLASS))
        for op, tally in found.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.time_ns, -row.count, row.name)))


def classes(asked: Asked, found: dict[str, Tally]) -> tuple[ClassRow, ...]:
    """All six classes in their fixed order, those that did not occur too."""
    whole = added(found.values())
    by_class: dict[str, list[Tally]] = {name: [] for name in CLASSES}
    for op, tally in found.items():
        by_class.setdefault(asked.class_of_op.get(op, UNKNOWN_CLASS), []).append(tally)
    return tuple(_row(name, added(those), whole) for name, those in by_class.items())


def _row(name: str, tally: Tally, whole: Tally) -> ClassRow:
    return ClassRow(
        name=name,
        count=tally.count,
        count_share=tally.count / whole.count if whole.count else 0.0,
        time_ns=tally.time_ns,
        time_share=tally.time_ns / whole.time_ns if whole.time_ns else 0.0,
        bytes=tally.bytes,
        errors=tally.errors,
        latency=tally.latency(),
    )


_LEDGER = """
    select reason, stage, coalesce(sum(seen), 0)::bigint, coalesce(sum(stored), 0)::bigint,
           coalesce(sum(dropped), 0)::bigint, coalesce(sum(removed), 0)::bigint
    from ledger group by reason, stage"""


def losses(asked: Asked) -> Losses:
    """Only the ledger defines loss."""
    rows = asked.rows(_LEDGER)
    reasons = [
        LossReason(reason or "not said", stage, dropped + removed) for reason, stage, _, _, dropped, removed in rows
    ]
    return Losses(
        seen=sum(row[2] for row in rows),
        stored=sum(row[3] for row in rows),
        dropped=sum(row[4] for row in rows),
        removed=sum(row[5] for row in rows),
        reasons=tuple(sorted((each for each in reasons if each.count), key=lambda each: -each.count)),
    )


_ERRORS_FROM_TOTALS = "select op, errno, sum(count)::bigint from totals where errno <> 0 group by op, errno"
_ERRORS_FROM_EVENTS = "select op, errno, count(*) from events where errno <> 0 and {where} group by op, errno"


def error_counts(asked: Asked) -> list[tuple[str, int, int]]:
    """(op, errno, count), the most frequent first."""
    if asked.filter:
        rows = asked.rows(_ERRORS_FROM_EVENTS.format(where=asked.where), asked.values)
    else:
        rows = asked.rows(_ERRORS_FROM_TOTALS)
    return sorted(((op, errno, count) for op, errno, count in rows), key=lambda row: (-row[2], row[0], row[1]))
