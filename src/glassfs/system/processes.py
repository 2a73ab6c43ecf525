"""process and process_summary: one pass over /proc for what ranks processes, then details of those that are kept."""

from __future__ import annotations

import contextlib
import heapq
import os
import pwd
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from glassfs.system.documents import timestamp
from glassfs.system.machine import core_count
from glassfs.system.masking import arguments_of, masked_arguments
from glassfs.system.reading import PROC, Moment, Reading, counters, ratio, rounded, without_none

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Of a longer command line the rest is left out, as the recorder does.
CMDLINE_MAX_BYTES = 4096

# Metricbeat's words: it calls the kernel's D (waiting for a disk) idle, and has no word for the kernel's own idle I.
STATES = {"S": "sleeping", "R": "running", "D": "idle", "T": "stopped", "Z": "zombie"}
SUMMARY_STATES = STATES | {"I": "idle", "X": "dead"}

_IO_FIELDS = {
    "rchar": "read_char",
    "wchar": "write_char",
    "syscr": "read_ops",
    "syscw": "write_ops",
    "read_bytes": "read_bytes",
    "write_bytes": "write_bytes",
    "cancelled_write_bytes": "cancelled_write_bytes",
}


@dataclass(frozen=True)
class Process:
    """What one pass sees. `io` is None where this user may not read it. The start makes a pid that is used again
    another process."""

    pid: int
    comm: str
    state: str
    ppid: int
    pgid: int
    cpu_ticks: int
    start_ticks: int
    size_bytes: int
    rss_pages: int
    io: dict[str, int] | None

    @property
    def disk_bytes(self) -> int:
        return self.io["read_bytes"] + self.io["write_bytes"] if self.io else 0

    def since(self, last: Process | None) -> Process | None:
        """The same process at the last sample."""
        return last if last and last.start_ticks == self.start_ticks else None

    @property
    def started_ns(self) -> int:
        """Since 1970, in whole seconds, as Metricbeat reckons it."""
        return (int(psutil.boot_time()) + self.start_ticks // TICKS_PER_S) * 1_000_000_000


class Processes:
    """The `top` ones by CPU, memory and disk I/O each, and all that are `wanted` (the traced ones)."""

    dataset = "system.process"

    def __init__(self, top: int, wanted: Callable[[Process], bool]) -> None:
        self._top = top
        self._wanted = wanted
        self._last: dict[int, Process] = {}
        self._last_ns = 0
        self.seen: dict[int, Process] = {}

    def readings(self, moment: Moment) -> list[Reading]:
        self.seen = {process.pid: process for process in _all()}
        passed_s = (moment.mono_ns - self._last_ns) / 1e9
        kept = self._kept()
        found = [_details(process, process.since(self._last.get(process.pid)), passed_s) for process in kept]
        self._last, self._last_ns = self.seen, moment.mono_ns
        return [reading for reading in found if reading]

    def _kept(self) -> list[Process]:
        def grown(value: Callable[[Process], int]) -> Callable[[Process], int]:
            def growth(process: Process) -> int:
                last = process.since(self._last.get(process.pid))
                return value(process) - value(last) if last else 0

            return growth

        ranks = (grown(lambda one: one.cpu_ticks), lambda one: one.rss_pages, grown(lambda one: one.disk_bytes))
        kept = {one.pid: one for rank in ranks for one in self._best(rank)}
        kept |= {one.pid: one for one in self.seen.values() if self._wanted(one)}
        return [kept[pid] for pid in sorted(kept)]

    def _best(self, rank: Callable[[Process], int]) -> list[Process]:
        """Those with nothing are nobody's top."""
        return [one for one in heapq.nlargest(self._top, self.seen.values(), key=rank) if rank(one) > 0]


class ProcessSummary:
    """Counts of what `processes` has just looked at."""

    dataset = "system.process.summary"

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def readings(self, moment: Moment) -> list[Reading]:
        counts = Counter(SUMMARY_STATES.get(one.state, "unknown") for one in self._processes.seen.values())
        summary: dict[str, int] = {word: counts[word] for word in (*dict.fromkeys(SUMMARY_STATES.values()), "unknown")}
        return [Reading({"system": {"process": {"summary": summary | {"total": counts.total()}}}})]


def _all() -> Iterator[Process]:
    for name in os.listdir(PROC):
        # One that ends meanwhile was never there.
        with contextlib.suppress(OSError, ValueError, IndexError):
            if name.isdigit():
                yield _look(int(name))


def _look(pid: int) -> Process:
    stat = _read(pid, "stat")
    # The name in parentheses may hold anything.
    head, _, rest = stat.rpartition(b")")
    fields = rest.split()
    return Process(
        pid=pid,
        comm=_text(head.partition(b"(")[2]),
        state=fields[0].decode(),
        ppid=int(fields[1]),
        pgid=int(fields[2]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        start_ticks=int(fields[19]),
        size_bytes=int(fields[20]),
        rss_pages=int(fields[21]),
        io=_io(pid),
    )


def _io(pid: int) -> dict[str, int] | None:
    try:
        lines = _read(pid, "io").decode().splitlines()
    except OSError:
        return None
    pairs = (line.split(": ") for line in lines)
    return {_IO_FIELDS[name]: int(value) for name, value in pairs if name in _IO_FIELDS} or None


def _details(process: Process, last: Process | None, passed_s: float) -> Reading | None:
    """None: it has ended since it was counted."""
    try:
        return _document(process, _cpu(process, last, passed_s), _Look(process.pid))
    except (OSError, ValueError, IndexError):
        return None


class _Look:
    """What of a process only its document needs."""

    def __init__(self, pid: int) -> None:
        _size, rss, share = (int(pages) * PAGE_BYTES for pages in _read(pid, "statm").split()[:3])
        self.rss_bytes, self.share_bytes = rss, share
        self.user = _user_name(counters(PROC / str(pid) / "status")["Uid"])
        arguments = masked_arguments(arguments_of(_read(pid, "cmdline", CMDLINE_MAX_BYTES)))
        self.args = [_text(argument) for argument in arguments] or None
        self.executable = _link(pid, "exe")
        self.directory = _link(pid, "cwd")
        self.descriptors = _descriptors(pid)


def _document(process: Process, cpu: dict[str, Any], look: _Look) -> Reading:
    memory_pct = ratio(look.rss_bytes, psutil.virtual_memory().total)
    cmdline = " ".join(look.args) if look.args else None
    state = STATES.get(process.state, "unknown")
    ecs = {
        "pid": process.pid,
        "ppid": process.ppid,
        "pgid": process.pgid,
        "name": process.comm,
        "args": look.args,
        "command_line": cmdline,
        "executable": look.executable,
        "working_directory": look.directory,
        "state": state,
        "cpu": without_none({"start_time": cpu["start_time"], "pct": cpu["total"].get("norm", {}).get("pct")}),
        "memory": {"pct": memory_pct},
    }
    own = {
        "cmdline": cmdline,
        "state": state,
        "cpu": cpu,
        "memory": {
            "size": process.size_bytes,
            "rss": {"bytes": look.rss_bytes, "pct": memory_pct},
            "share": look.share_bytes,
        },
        "fd": look.descriptors,
        "io": process.io,
    }
    body = {"process": without_none(ecs), "user": {"name": look.user}, "system": {"process": without_none(own)}}
    return Reading(body, instance=str(process.pid))


def _cpu(process: Process, last: Process | None, passed_s: float) -> dict[str, Any]:
    """`pct`: of one core. `value`: milliseconds since the process began."""
    total: dict[str, Any] = {"value": process.cpu_ticks * 1000 / TICKS_PER_S}
    if last and passed_s > 0:
        share = (process.cpu_ticks - last.cpu_ticks) / TICKS_PER_S / passed_s
        total |= {"pct": rounded(share), "norm": {"pct": rounded(share / core_count())}}
    return {"total": total, "start_time": timestamp(process.started_ns)}


def _descriptors(pid: int) -> dict[str, Any] | None:
    """None where this user may not see them. Limits that are none (`unlimited`) are left out."""
    try:
        count = len(os.listdir(PROC / str(pid) / "fd"))
        limits = _read(pid, "limits")
    except PermissionError:
        return None
    line = next(line for line in limits.splitlines() if line.startswith(b"Max open files"))
    soft, hard = (int(limit) if limit.isdigit() else None for limit in line.split()[3:5])
    return {"open": count, "limit": without_none({"soft": soft, "hard": hard})}


@lru_cache(maxsize=1024)
def _user_name(uid: int) -> str:
    """Kept, since a directory service may be asked for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _link(pid: int, name: str) -> str | None:
    """None where this user may not see it, and for the kernel's own threads."""
    try:
        return _text(os.fsencode(os.readlink(PROC / str(pid) / name)))
    except OSError:
        return None


def _read(pid: int, name: str, limit: int = -1) -> bytes:
    with Path(f"{PROC}/{pid}/{name}").open("rb", buffering=0) as file:
        return file.read(limit) or b""


def _text(name: bytes) -> str:
    """As Metricbeat's JSON has it: what is not UTF-8 is replaced."""
    return name.decode("utf-8", "replace")
