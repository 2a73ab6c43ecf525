"""Overview: how much of what, how long, where and by whom."""

from __future__ import annotations

from glassfs.elastic.dashboards.boards.common import ALL_CONTROLS, BYTES, CALLS, DURATIONS, NS, TIME, words
from glassfs.elastic.dashboards.model import (
    EVENTS,
    TRACES,
    Cases,
    Chart,
    Dashboard,
    Look,
    Number,
    Share,
    Table,
    Terms,
    Unit,
    average,
    beside,
    count,
    percentile,
    total,
    unique,
)

TYPES = Terms("Type", "event.action", 12)
FAILED = "event.outcome: failure"

BOARD = Dashboard(
    "glassfs-overview",
    "Overview",
    "Types of calls, their share and duration, bytes, paths, processes, errors",
    [
        words(
            "Every call that was shipped, one by one. With `elastic.ship` other than `all` these are not all calls: "
            "then the dashboards Latency and Errors have the exact counts.",
            EVENTS,
        ),
        beside(
            6,
            Number(title="Calls", metric=CALLS),
            Number(title="Bytes moved", metric=BYTES),
            Number(title="Failed calls", metric=count("Failed"), query=FAILED),
            Number(title="Median duration", metric=percentile(50)),
            Number(title="Files", metric=unique("Files", "file.path")),
            Number(title="Processes", metric=unique("Processes", "process.pid")),
            Number(title="Threads", metric=unique("Threads", "process.thread.id")),
            Number(title="Lost", view=TRACES, metric=total("Lost", "glassfs.ledger.dropped"), alarm=True),
        ),
        beside(
            12,
            Share(title="Types of calls, by number", split=TYPES, metric=CALLS),
            Share(title="Types of calls, by time", split=TYPES, metric=TIME),
            Share(
                title="Data against metadata",
                split=Cases(
                    "Kind",
                    [
                        ("data", "glassfs.class: (read or write)"),
                        ("sync", "glassfs.class: sync"),
                        ("metadata", "glassfs.class: (open or metadata or namespace)"),
                    ],
                ),
                metric=CALLS,
            ),
        ),
        beside(
            12,
            Chart(title="Calls over time, by class", metrics=[CALLS], by_class=True),
            Chart(title="Calls over time, by type", metrics=[CALLS], split=TYPES),
        ),
        beside(
            12,
            Chart(
                title="Bytes over time",
                look=Look.LINES,
                metrics=[
                    total("Read", "glassfs.bytes", Unit.BYTES, only="glassfs.class: read"),
                    total("Written", "glassfs.bytes", Unit.BYTES, only="glassfs.class: write"),
                ],
            ),
            Chart(
                title="Average duration over time, by class",
                look=Look.LINES,
                metrics=[average("Average", "event.duration", NS)],
                by_class=True,
            ),
        ),
        beside(
            16,
            Table(title="Types of calls", rows=[Terms("Type", "event.action", 20)], metrics=[CALLS, TIME, *DURATIONS]),
            Table(
                title="Most accessed paths",
                rows=[Terms("Path", "file.path", 20)],
                metrics=[CALLS, BYTES, TIME, percentile(99)],
            ),
        ),
        beside(
            14,
            Table(title="Busiest processes", rows=[Terms("Process", "process.name")], metrics=[CALLS, BYTES, TIME]),
            Table(title="Busiest threads", rows=[Terms("Thread", "process.thread.name")], metrics=[CALLS, BYTES, TIME]),
            Table(
                title="Errors",
                query=FAILED,
                rows=[Terms("Error", "error.code", 10), Terms("Type", "event.action", 5)],
                metrics=[CALLS],
            ),
        ),
    ],
    ALL_CONTROLS,
)
