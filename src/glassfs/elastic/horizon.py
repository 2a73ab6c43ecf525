"""How old a row may be to be shipped still: never so old that retention may have deleted its index already.

Servers delete an index `index_age_days` after it was made, and it is made with its first document, at the earliest when
its day begins. A row is shipped only while its day's index cannot have been deleted: so a batch that is repeated cannot
bring a deleted index back. What was never answered is either in the index still, or the repeat puts it there, or both
are too old: once or not at all. Knows no server and no clock.
"""

from __future__ import annotations

from glassfs.elastic import indices

_NS_PER_S = 1_000_000_000
_PERIOD_NS = {"day": 86_400 * _NS_PER_S, "hour": 3_600 * _NS_PER_S}

# A request under way may be carried out this much later than it was sent: the client's longest wait for an answer,
# and as much again for a server that goes on with it. Far below the shortest retention, a day.
MARGIN_NS = 300 * _NS_PER_S


def index_age_days(retention_days: int) -> int:
    """How old an index is when it goes. It is made when its day begins: a day more, so that the last event of the day
    stays `retention_days` too, and so that one of today is never too old."""
    return retention_days + 1


def oldest_ns(now_ns: int, retention_days: int, per: str, started_ns: int | None = None) -> int:
    """Rows that began earlier are expired. `started_ns`: when the loading of an old trace was asked for; its indices
    are made then, so all of it may go until they could be deleted."""
    too_old_ns = now_ns + MARGIN_NS - index_age_days(retention_days) * _PERIOD_NS["day"]
    if started_ns is not None and started_ns > too_old_ns:
        return 0
    period_ns = _PERIOD_NS[per]
    # The first period that begins after what is too old.
    return max(0, (too_old_ns // period_ns + 1) * period_ns)


def is_expired(action: bytes, oldest_allowed_ns: int) -> bool:
    """Of a bulk action line, by its index's name."""
    name = action.partition(b'"_index":"')[2].partition(b'"')[0].decode()
    parsed = indices.parse(name)
    return parsed is not None and int(parsed.begin.timestamp()) * _NS_PER_S < oldest_allowed_ns
