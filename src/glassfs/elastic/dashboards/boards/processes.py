"""Processes and threads: who calls, how much and how long; a database's background work against its clients."""

from __future__ import annotations

from glassfs.elastic.dashboards.boards.common import ALL_CONTROLS, BYTES, CALLS, NS, TIME, words
from glassfs.elastic.dashboards.model import (
    EVENTS,
    Chart,
    Dashboard,
    Look,
    Row,
    Share,
    Table,
    Terms,
    beside,
    highest,
    percentile,
)

THREAD = Terms("Thread", "process.thread.name", 10)
PROCESS = Terms("Process", "process.name", 10)
LONGEST = highest("Longest", "event.duration", NS)

BOARD = Dashboard(
    "glassfs-processes",
    "Processes and threads",
    "Calls and latency by process and by thread name",
    [
        words(
            "By the names of threads: where a compaction (`rocksdb:low`) rises and the clients' calls grow slow at the "
            "same time, it is the compaction. Calls of the kernel's own (readahead, writeback) have no process.",
            EVENTS,
        ),
        beside(
            14,
            Chart(title="Calls over time, by thread", metrics=[CALLS], split=THREAD),
            Chart(
                title="p99 over time, by thread",
                look=Look.LINES,
                metrics=[percentile(99)],
                split=THREAD,
            ),
        ),
        beside(
            12,
            Chart(title="Bytes over time, by thread", metrics=[BYTES], split=THREAD, look=Look.AREAS),
            Chart(title="Calls over time, by process", metrics=[CALLS], split=PROCESS),
        ),
        beside(
            12,
            Share(title="Time in calls, by process", split=PROCESS, metric=TIME),
            Share(title="Time in calls, by thread", split=THREAD, metric=TIME),
            Share(title="Calls by user", split=Terms("User id", "user.id", 8), metric=CALLS),
        ),
        Row(
            16,
            [
                (
                    Table(
                        title="Threads",
                        rows=[Terms("Process", "process.name", 10), Terms("Thread", "process.thread.name", 5)],
                        metrics=[CALLS, BYTES, TIME, percentile(50), percentile(99), LONGEST],
                    ),
                    30,
                ),
                (
                    Table(
                        title="What each process does",
                        rows=[Terms("Process", "process.name", 10), Terms("Type", "event.action", 5)],
                        metrics=[CALLS, TIME],
                    ),
                    18,
                ),
            ],
        ),
    ],
    ALL_CONTROLS,
)
