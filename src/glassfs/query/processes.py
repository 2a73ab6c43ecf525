"""Which processes a trace has seen."""

from __future__ import annotations

from glassfs.query.database import Database
from glassfs.trace import Trace

_STARTS = "select pid, list(distinct started_ns), bool_or(started_ns is null) from processes group by pid"

Starts = dict[int, list[int | None]]


def process_starts(trace: Trace) -> Starts:
    """Of each pid, when the processes that bore it began, in nanoseconds since 1970; None: not known."""
    database = Database(trace, tables=("processes",))
    try:
        rows = database.rows(_STARTS)
    finally:
        database.close()
    return {pid: [*starts, None] if unknown else list(starts) for pid, starts, unknown in rows}
