"""RocksDB by its families of files: WAL, SST, MANIFEST; flushes and compactions against clients."""

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

OURS = "glassfs.family: rocksdb.*"
FAMILY = Terms("Family", "glassfs.family", 10)
THREAD = Terms("Thread", "process.thread.name", 8)
SST = "glassfs.family: rocksdb.sst"
WAL = "glassfs.family: rocksdb.wal"

BOARD = Dashboard(
    "glassfs-rocksdb",
    "RocksDB",
    "RocksDB's files by family: WAL, SST by number, MANIFEST, OPTIONS, LOG",
    [
        words(
            "Files by what they are to RocksDB (`glassfs.family`). Threads `rocksdb:low` compact, `rocksdb:high` "
            "flush; the others are clients.",
            EVENTS,
        ),
        *by_family(OURS, FAMILY, THREAD),
        beside(
            12,
            Chart(
                title="WAL: how long writes take",
                look=Look.LINES,
                metrics=[percentile(50), percentile(99)],
                query=f"{WAL} and glassfs.class: write",
            ),
            Chart(
                title="SST: bytes read against written",
                look=Look.LINES,
                metrics=[
                    total("Read", "glassfs.bytes", Unit.BYTES, only=f"{SST} and glassfs.class: read"),
                    total("Written", "glassfs.bytes", Unit.BYTES, only=f"{SST} and glassfs.class: write"),
                ],
                query=OURS,
            ),
            Chart(
                title="SST files made and taken away",
                look=Look.LINES,
                metrics=[
                    count("Made", only=f"{SST} and event.action: create"),
                    count("Taken away", only=f"{SST} and event.action: unlink"),
                ],
                query=OURS,
            ),
        ),
        Row(
            14,
            [
                (
                    Chart(
                        title="SST: p99 of reads, by thread",
                        look=Look.LINES,
                        metrics=[percentile(99)],
                        split=THREAD,
                        query=f"{SST} and glassfs.class: read",
                    ),
                    18,
                ),
                (Table(title="Families", rows=[FAMILY], metrics=[CALLS, BYTES, TIME, *DURATIONS], query=OURS), 30),
            ],
        ),
        beside(
            16,
            Table(
                title="SST files by number",
                rows=[Terms("File", "file.name", 30)],
                metrics=[CALLS, BYTES, TIME, percentile(99)],
                query=SST,
            ),
            Table(
                title="Syncs by family",
                rows=[FAMILY, Terms("Type", "event.action", 4)],
                metrics=[count("Syncs"), TIME, percentile(99)],
                query=f"{OURS} and glassfs.class: sync",
            ),
        ),
    ],
    ALL_CONTROLS,
)
