"""Traces with known content that several tests read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracewriter import START_NS, TraceWriter, event

COMMAND: dict[str, Any] = {
    "argv": ["db_bench", "--db=./db", "--benchmarks=fillrandom,readrandom", "--num=200000"],
    "cwd": "/home/ana",
    "pid": 4711,
    "uid": 1000,
    "start_ns": START_NS,
    "end_ns": START_NS + 41_200_000_000,
    "exit_status": 0,
    "signal": None,
    "read_bytes": 9_000_000,
    "written_bytes": 1_000_000,
    "io_uring": False,
    "open_elsewhere": [{"path": "/tmp/x", "directory": "/tmp", "samples": 12}],
    "mapped": ["/home/ana/db/LOCK", "/home/ana/db/a", "/home/ana/db/b"],
    "remaining": [],
}


def database_run(path: Path, rounds: int = 100) -> TraceWriter:
    """A small cousin of a database run: all six classes, several files and threads, errors."""
    writer = TraceWriter(path)
    seq = 0
    for part in range(4):
        rows = []
        for step in range(rounds):
            rows += [event(seq + n, **what) for n, what in enumerate(_round(part, step))]
            seq += len(_round(part, step))
        writer.add(rows)
    writer.process(4711, "db_bench", cmdline="db_bench --db=./db --num=200000")
    writer.process(4711, "rocksdb:low0", tid=4713)
    writer.end(command=COMMAND)
    return writer


def _round(part: int, step: int) -> list[dict[str, Any]]:
    sst = f"/home/ana/db/{12 + step % 7:06}.sst"
    low = {"tid": 4713, "comm": "rocksdb:low0"}
    long_read = {"op": "read", "path": sst, "size": 4096, "offset": step * 4096, "result": 4096}
    rows: list[dict[str, Any]] = [
        {**long_read, "duration_ns": 8_000 + 37 * (step % 50)},
        {**long_read, "duration_ns": 9_100 + 1_013 * (step % 29), "offset": step * 8192},
        {**long_read, **low, "size": 65536, "result": 65536, "duration_ns": 41_000},
        {"op": "write", "path": "/home/ana/db/000009.log", "size": 1000, "offset": step * 1000, "result": 1000},
    ]
    if step % 10 == 0:
        rows.append({"op": "fdatasync", "path": "/home/ana/db/000009.log", "duration_ns": 18_000_000 + 700_000 * step})
        rows.append({"op": "getattr", "path": "/home/ana/db", "file_type": "directory", "duration_ns": 4_000})
    if step % 25 == 0:
        rows.append(
            {"op": "lookup", "path": "/home/ana/db/CURRENT.tmp", "errno": 2, "duration_ns": 6_000, "file_type": None}
        )
        rows.append(
            {"op": "create", "path": f"/home/ana/db/{part}{step:04}.sst", "flags": 0o101102, "mode": 0o100644, **low}
        )
        rows.append({"op": "rename", "path": "/home/ana/db/CURRENT.tmp", "path2": "/home/ana/db/CURRENT", **low})
    return rows


def short_run(path: Path) -> TraceWriter:
    """Under 40 requests: `cat a > b`, with a name that must be shown safely."""
    writer = TraceWriter(path)
    small = {"pid": 912, "tid": 912, "comm": "cat"}
    kernel = {"pid": None, "tid": None, "comm": None, "uid": None, "gid": None, "origin": "kernel"}
    rows = [
        {"op": "lookup", "path": "/home/ana/db/a", "duration_ns": 12_345},
        {"op": "open", "path": "/home/ana/db/a", "flags": 0o100000, "fh": 1},
        {"op": "read", "path": "/home/ana/db/a", "size": 131072, "offset": 0, "result": 12},
        {"op": "lookup", "path": "/home/ana/db/b\n\x1b[31m", "errno": 2, "result": 0, "file_type": None},
        {"op": "create", "path": "/home/ana/db/b\n\x1b[31m", "flags": 0o101101, "mode": 0o100644},
        {"op": "write", "path": "/home/ana/db/b\n\x1b[31m", "size": 12, "offset": 0, "result": 12},
        {
            "op": "rename",
            "path": "/home/ana/db/b\n\x1b[31m",
            "path2": "/home/ana/db/\\xff\u202e",
            "duration_ns": 2_345_678,
        },
        {"op": "fsync", "path": "/home/ana/db/a", "errno": 5, "result": 0, "duration_ns": 1_234_567_890},
        {**kernel, "op": "read", "path": None, "size": 4096, "offset": 8192, "result": 4096},
        {"op": "flush", "path": "/home/ana/db/a", "fh": 1},
    ]
    writer.add(event(seq, **{**small, **row}) for seq, row in enumerate(rows))
    command = {**COMMAND, "argv": ["/bin/cat", "a"], "pid": 912, "read_bytes": 12, "written_bytes": 12}
    writer.end(1.5, command={**command, "open_elsewhere": [], "mapped": [], "end_ns": START_NS + 1_500_000_000})
    return writer
