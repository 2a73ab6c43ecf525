"""Writes traces as docs/trace-format.md has them, for tests of the readers: what a recorder would write, on purpose."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from glassfs.query.schema import COLUMNS

# 2026-11-24 13:03:22 UTC: tests set TZ, so that local times in stored texts are known.
START_NS = 1_795_525_402_000_000_000

OPS = {
    "read": "read",
    **dict.fromkeys(("write", "copy_file_range", "fallocate"), "write"),
    **dict.fromkeys(("fsync", "fdatasync", "fsyncdir", "syncfs"), "sync"),
    **dict.fromkeys(("open", "create", "tmpfile", "opendir", "flush", "release", "releasedir"), "open"),
    **dict.fromkeys(
        (
            *("lookup", "getattr", "statx", "chmod", "chown", "truncate", "utimens", "setattr", "readlink", "readdir"),
            *("readdirplus", "access", "statfs", "getxattr", "setxattr", "listxattr", "removexattr", "lseek", "ioctl"),
            *("bmap", "poll"),
        ),
        "metadata",
    ),
    **dict.fromkeys(("mkdir", "mknod", "symlink", "link", "unlink", "rmdir", "rename"), "namespace"),
}

_DEFAULTS: dict[str, Any] = {
    "stream": 0,
    "duration_ns": 9_100,
    "backing_ns": 2_000,
    "requests": 1,
    "op": "read",
    "kind": "request",
    "origin": "program",
    "plane": "daemon",
    "path": "/home/ana/db/000012.sst",
    "offset": None,
    "size": None,
    "result": 0,
    "errno": 0,
    "ino": 77,
    "dev": 45,
    "file_type": "file",
    "pid": 4711,
    "tid": 4711,
    "uid": 1000,
    "gid": 1000,
    "comm": "db_bench",
}

_TOTALS = """
    with counted as (
        select (ts_ns // 1000000000) * 1000000000 as second_ns, op, errno, kind, duration_ns,
               case when errno = 0 and op in ('read', 'write', 'copy_file_range')
                    then greatest(result, 0) else 0 end as moved,
               backing_ns, (ceil(8 * log2(greatest(duration_ns, 1))) - 1)::integer as bucket
        from events),
    buckets as (
        select second_ns, op, errno, kind, bucket, count(*) as amount from counted group by all)
    select second_ns, op, errno, kind, count(*) as count, sum(moved)::bigint as bytes,
           sum(duration_ns)::bigint as duration_ns, coalesce(sum(backing_ns), 0)::bigint as backing_ns,
           min(duration_ns) as min_ns, max(duration_ns) as max_ns,
           (select list(bucket order by bucket) from buckets b
            where (b.second_ns, b.op, b.errno, b.kind) = (c.second_ns, c.op, c.errno, c.kind)) as bucket_index,
           (select list(amount order by bucket) from buckets b
            where (b.second_ns, b.op, b.errno, b.kind) = (c.second_ns, c.op, c.errno, c.kind)) as bucket_count
    from counted c group by second_ns, op, errno, kind"""


def event(seq: int, **given: Any) -> dict[str, Any]:
    """One row; what is not given is a read by db_bench, a millisecond after the one before."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS["events"])
    row.update(_DEFAULTS, seq=seq, ts_ns=START_NS + seq * 1_000_000)
    unknown = set(given) - set(row)
    assert not unknown, f"no such columns: {unknown}"
    row.update(given)
    return row


class TraceWriter:
    """`add` writes a segment of events and, unless told not to, what totals and ledger say of it."""

    def __init__(self, path: Path, **about: Any) -> None:
        self.path = path
        path.mkdir(parents=True, mode=0o700)
        for table in ("events", "totals", "ledger", "processes"):
            (path / table).mkdir()
        self.about: dict[str, Any] = {
            "format": "glassfs-trace",
            "schema": {"major": 1, "minor": 0},
            "id": f"{zlib.crc32(path.name.encode()):08x}" * 4,
            "name": path.name,
            "host": {"name": "testhost", "kernel": "6.18.44", "cpus": 2, "boot_id": _boot_id()},
            "recorder": {"version": "0.1.0", "pid": None},
            "plane": "daemon",
            "plane_reason": "asked for",
            "mode": "default",
            "mounts": [
                {
                    "connection": 0,
                    "source": "/home/ana/db",
                    "mount_point": "/home/ana/db",
                    "fs_type": "ext4",
                    "dev": 45,
                    "private": True,
                }
            ],
            "ops": OPS,
            "options": {"max_bytes": 10737418240, "min_free_percent": 10},
            "clock": {"wall_minus_mono_ns": 0},
            "start_ns": START_NS,
            "end_ns": None,
            "end_reason": None,
            "command": None,
            "notes": [],
        }
        self.describe(**about)
        self._number = 0
        self._connection = duckdb.connect(":memory:")

    def describe(self, **fields: Any) -> None:
        """Replaces trace.json whole."""
        self.about.update(fields)
        temporary = self.path / ".tmp-trace.json"
        temporary.write_text(json.dumps(self.about))
        temporary.rename(self.path / "trace.json")

    def live(self) -> None:
        """As if this very process recorded it, now."""
        import time

        mono_ns = time.monotonic_ns()
        self.describe(
            recorder={"version": "0.1.0", "pid": os.getpid()},
            clock={"wall_minus_mono_ns": self.about["start_ns"] - mono_ns},
        )

    def end(self, after_s: float = 41.2, **fields: Any) -> None:
        self.describe(end_ns=START_NS + int(after_s * 1e9), end_reason="unmounted", **fields)

    def add(self, rows: Iterable[Mapping[str, Any]], *, totals: bool = True, dropped: int = 0) -> str:
        rows = sorted(rows, key=lambda row: row["ts_ns"])
        name = self.segment("events", rows)
        if totals:
            self.totals_of(rows)
            self.ledger(seen=len(rows) + dropped, stored=len(rows), dropped=dropped)
        return name

    def totals_of(self, rows: Iterable[Mapping[str, Any]]) -> str:
        self._fill("events", list(rows))
        counted = self._connection.execute(_TOTALS).fetchall()
        return self.segment("totals", [dict(zip(COLUMNS["totals"], each, strict=True)) for each in counted])

    def ledger(self, *, seen: int, stored: int, dropped: int = 0, removed: int = 0, reason: str | None = None) -> str:
        rows = [self._ledger_row(seen=seen, stored=stored)]
        if dropped:
            rows.append(self._ledger_row(dropped=dropped, reason=reason or "queue full", stage="queue"))
        if removed:
            rows.append(self._ledger_row(removed=removed, reason="trace limit", stage="retention"))
        return self.segment("ledger", rows)

    def _ledger_row(self, **given: Any) -> dict[str, Any]:
        row = {"second_ns": START_NS, "stream": 0, "seen": 0, "stored": 0, "dropped": 0, "removed": 0}
        return {**row, "reason": None, "stage": None, **given}

    def process(self, pid: int, comm: str, *, tid: int | None = None, cmdline: str | None = None) -> str:
        row = dict.fromkeys(COLUMNS["processes"])
        row.update(ts_ns=START_NS, pid=pid, tid=tid or pid, comm=comm, cmdline=cmdline)
        return self.segment("processes", [row])

    def segment(self, table: str, rows: list[Mapping[str, Any]]) -> str:
        entry = {"add": self._write(table, rows), **self._described(table, rows)}
        entry.update(self._sizes(entry["add"]))
        self.log(entry)
        return entry["add"]

    def merge(self, names: list[str], *, delete: bool = False) -> str:
        """Of event segments."""
        files = [str(self.path / name) for name in names]
        columns = list(COLUMNS["events"])
        found = self._connection.execute("select * from read_parquet(?) order by ts_ns", [files]).fetchall()
        rows = [dict(zip(columns, each, strict=True)) for each in found]
        name = self._write("events", rows)
        self.log({"merge": name, "from": names, **self._described("events", rows), **self._sizes(name)})
        if delete:
            for part in names:
                (self.path / part).unlink()
        return name

    def remove(self, name: str, rows: int) -> None:
        self.log({"remove": name, "rows": rows, "reason": "retention"})
        (self.path / name).unlink()
        self.ledger(seen=0, stored=0, removed=rows)

    def log(self, entry: Mapping[str, Any]) -> None:
        with (self.path / "manifest").open("a") as manifest:
            manifest.write(json.dumps(entry) + "\n")

    def _described(self, table: str, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
        if table != "events":
            times = [row.get("ts_ns") or row.get("second_ns") or START_NS for row in rows]
            return {"rows": len(rows), "streams": [], "from_ns": min(times), "to_ns": max(times)}
        streams = sorted({row["stream"] for row in rows})
        ranges = []
        for stream in streams:
            seqs = [row["seq"] for row in rows if row["stream"] == stream]
            ranges.append([stream, min(seqs), max(seqs)])
        times = [row["ts_ns"] for row in rows]
        return {"rows": len(rows), "streams": ranges, "from_ns": min(times), "to_ns": max(times)}

    def _sizes(self, name: str) -> dict[str, int]:
        data = (self.path / name).read_bytes()
        return {"bytes": len(data), "crc32": zlib.crc32(data)}

    def _fill(self, table: str, rows: list[Mapping[str, Any]]) -> None:
        columns = COLUMNS[table]
        shape = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        values = [{name: row.get(name) for name in columns} for row in rows]
        self._connection.execute(
            f'create or replace temp table "{table}" as '
            f"select each.* from (select unnest(?::struct({shape})[]) as each)",
            [values],
        )

    def _write(self, table: str, rows: list[Mapping[str, Any]]) -> str:
        self._fill(table, rows)
        name = f"{table}/{self._number:06}.parquet"
        self._number += 1
        self._connection.execute(
            f"copy \"{table}\" to '{_quoted(self.path / name)}' (format parquet, compression zstd, "
            f"kv_metadata {{'glassfs.schema': '1.0', 'glassfs.trace': '{self.about['id']}'}})"
        )
        return name


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
