"""PostgreSQL by its families of files: WAL, tables and indexes, FSM, VM; its processes by their work."""

from __future__ import annotations

from glassfs.elastic.dashboards.boards.common import ALL_CONTROLS, BYTES, CALLS, DURATIONS, TIME, by_family, words
from glassfs.elastic.dashboards.model import (
    EVENTS,
    Chart,
    Dashboard,
    Look,
    Row,
    Table,
    Terms,
    Unit,
    beside,
    count,
    percentile,
    total,
)

OURS = "glassfs.family: postgresql.*"
WAL = "glassfs.family: postgresql.wal"
FAMILY = Terms("Family", "glassfs.family", 12)
PROCESS = Terms("Process", "process.thread.name", 10)
DATA = f"{OURS} and not {WAL}"

BOARD = Dashboard(
    "glassfs-postgresql",
    "PostgreSQL",
    "PostgreSQL's files by family: WAL, heap, index, FSM, VM, temp, control",
    [
        words(
            "Files by what they are to PostgreSQL (`glassfs.family`). A heap and an index look alike on disk: "
            '`glassfs names --pg "host=/run/postgresql user=postgres"` asks the server, and what is shipped after that '
            "bears the names of tables and indexes.",
            EVENTS,
        ),
        *by_family(OURS, FAMILY, PROCESS),
        beside(
            12,
            Chart(
                title="WAL: how long syncs take",
                look=Look.LINES,
                metrics=[percentile(50), percentile(99)],
                query=f"{WAL} and glassfs.class: sync",
            ),
            Chart(
                title="WAL: bytes written, and syncs",
                look=Look.LINES,
                metrics=[
                    total("Bytes", "glassfs.bytes", Unit.BYTES, only="glassfs.class: write"),
                    count("Syncs", only="glassfs.class: sync"),
                ],
                query=WAL,
            ),
            Chart(
                title="Tables and indexes: bytes read against written",
                look=Look.LINES,
                metrics=[
                    total("Read", "glassfs.bytes", Unit.BYTES, only="glassfs.class: read"),
                    total("Written", "glassfs.bytes", Unit.BYTES, only="glassfs.class: write"),
                ],
                query=DATA,
            ),
        ),
        Row(
            14,
            [
                (
                    Chart(
                        title="p99 of reads, by process",
                        look=Look.LINES,
                        metrics=[percentile(99)],
                        split=PROCESS,
                        query=f"{OURS} and glassfs.class: read",
                    ),
                    18,
                ),
                (Table(title="Families", rows=[FAMILY], metrics=[CALLS, BYTES, TIME, *DURATIONS], query=OURS), 30),
            ],
        ),
        beside(
            16,
            Table(
                title="Tables and indexes by name",
                rows=[Terms("Relation", "glassfs.relation", 20), Terms("Family", "glassfs.family", 3)],
                metrics=[CALLS, BYTES, TIME],
                query=OURS,
            ),
            Table(
                title="Files",
                rows=[Terms("Path", "file.path", 20)],
                metrics=[CALLS, BYTES, TIME, percentile(99)],
                query=OURS,
            ),
            Table(
                title="Syncs by family",
                rows=[FAMILY, Terms("Process", "process.thread.name", 4)],
                metrics=[count("Syncs"), TIME, percentile(99)],
                query=f"{OURS} and glassfs.class: sync",
            ),
        ),
    ],
    ALL_CONTROLS,
)
