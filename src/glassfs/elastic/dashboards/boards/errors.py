"""Errors: which, how often, on what, and by whom."""

from __future__ import annotations

from glassfs.elastic.dashboards.boards.common import CALLS, TOTALS_CONTROLS, words
from glassfs.elastic.dashboards.model import (
    EVENTS,
    GRID_COLUMNS,
    TOTALS,
    TRACES,
    Chart,
    Dashboard,
    Documents,
    Look,
    Number,
    Row,
    Share,
    Table,
    Terms,
    beside,
    count,
    total,
    unique,
)

FAILED = "event.outcome: failure"
ERROR = Terms("Error", "error.code", 10)
_EXACT = total("Failed", "glassfs.totals.calls")

BOARD = Dashboard(
    "glassfs-errors",
    "Errors",
    "What failed, how often, on which paths, and what was lost on the way",
    [
        words(
            "Most failures are a program's way of asking: ENOENT of a lookup or an open says that a name is free. Look "
            "for EIO, ENOSPC, EDQUOT and EROFS first. Exact: from totals, in which every call is counted.",
            TOTALS,
        ),
        beside(
            6,
            Number(title="Failed calls (exact)", view=TOTALS, metric=_EXACT, query=FAILED),
            Number(
                title="Disk or filesystem errors (exact)",
                view=TOTALS,
                metric=_EXACT,
                query="error.code: (EIO or ENOSPC or EDQUOT or EROFS)",
                alarm=True,
            ),
            Number(title="Paths with failures", metric=unique("Paths", "file.path"), query=FAILED),
            Number(title="Lost calls", view=TRACES, metric=total("Lost", "glassfs.ledger.dropped"), alarm=True),
        ),
        beside(
            12,
            Chart(title="Errors over time (exact)", view=TOTALS, metrics=[_EXACT], split=ERROR, query=FAILED),
            Share(title="Errors (exact)", view=TOTALS, split=ERROR, metric=_EXACT, query=FAILED),
            Chart(
                title="Failed against all calls (exact)",
                view=TOTALS,
                look=Look.LINES,
                metrics=[
                    total("All", "glassfs.totals.calls"),
                    total("Failed", "glassfs.totals.calls", only=FAILED),
                ],
            ),
        ),
        beside(
            16,
            Table(
                title="Errors and where",
                rows=[
                    Terms("Error", "error.code", 10),
                    Terms("Type", "event.action", 5),
                    Terms("Path", "file.path", 3),
                ],
                metrics=[count("Failed")],
                query=FAILED,
            ),
            Table(
                title="Who meets them",
                rows=[Terms("Process", "process.name", 10), Terms("Error", "error.code", 5)],
                metrics=[CALLS],
                query=FAILED,
            ),
        ),
        Row(
            16,
            [
                (
                    Documents(
                        title="The latest failures",
                        view=EVENTS,
                        query=FAILED,
                        columns=["error.code", "event.action", "file.path", "process.name", "process.thread.name"],
                        sort="@timestamp",
                    ),
                    GRID_COLUMNS,
                )
            ],
        ),
    ],
    TOTALS_CONTROLS,
)
