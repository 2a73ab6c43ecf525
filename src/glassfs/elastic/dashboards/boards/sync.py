"""Sync and durability: what a program waits for until its data is safe."""

from __future__ import annotations

from glassfs.elastic.dashboards.boards.common import ALL_CONTROLS, CALLS, DURATIONS, TIME, words
from glassfs.elastic.dashboards.model import (
    EVENTS,
    Chart,
    Dashboard,
    Look,
    Number,
    Ratio,
    Row,
    Share,
    Table,
    Terms,
    Unit,
    beside,
    count,
    highest,
    percentile,
    total,
)

SYNC = "glassfs.class: sync"
KIND = Terms("Type", "event.action", 4)
NS = Unit.NANOSECONDS

BOARD = Dashboard(
    "glassfs-sync",
    "Sync and durability",
    "fsync and its kin: how often, how long, and how much is written between them",
    [
        words(
            "fsync, fdatasync and syncfs, of files and of directories. A database answers a commit when one of these "
            "has come back. The time includes the wait behind other calls on the same file.",
            EVENTS,
        ),
        beside(
            6,
            Number(title="Syncs", metric=count("Syncs"), query=SYNC),
            Number(title="Time in syncs", metric=TIME, query=SYNC),
            Number(title="Median sync", metric=percentile(50), query=SYNC),
            Number(title="p99 of syncs", metric=percentile(99), query=SYNC),
            Number(title="Longest sync", metric=highest("Longest", "event.duration", NS), query=SYNC),
            Number(
                title="Failed syncs", metric=count("Failed"), query=f"{SYNC} and event.outcome: failure", alarm=True
            ),
        ),
        beside(
            12,
            Chart(
                title="How long syncs take",
                look=Look.LINES,
                metrics=[percentile(50), percentile(95), percentile(99)],
                query=SYNC,
            ),
            Chart(title="Syncs over time, by type", metrics=[count("Syncs")], split=KIND, query=SYNC),
        ),
        beside(
            12,
            Chart(
                title="Bytes written for each sync",
                look=Look.LINES,
                metrics=[
                    Ratio(
                        "Bytes a sync",
                        total("Written", "glassfs.bytes", Unit.BYTES),
                        count("Syncs", only=SYNC),
                        Unit.BYTES,
                    )
                ],
                query="glassfs.class: (write or sync)",
            ),
            Chart(
                title="Writes against syncs",
                look=Look.LINES,
                metrics=[count("Writes", only="glassfs.class: write"), count("Syncs", only=SYNC)],
            ),
            Share(title="Time in syncs, by type", split=KIND, metric=TIME, query=SYNC),
        ),
        Row(
            16,
            [
                (
                    Table(
                        title="Files that are synced",
                        rows=[Terms("Path", "file.path", 20)],
                        metrics=[count("Syncs"), TIME, *DURATIONS],
                        query=SYNC,
                    ),
                    30,
                ),
                (
                    Table(
                        title="Who syncs",
                        rows=[Terms("Process", "process.name", 10), Terms("Thread", "process.thread.name", 5)],
                        metrics=[CALLS, TIME, percentile(99)],
                        query=SYNC,
                    ),
                    18,
                ),
            ],
        ),
    ],
    ALL_CONTROLS,
)
