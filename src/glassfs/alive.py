"""Whether the recorder that a trace names still runs. Knows /proc, not traces.

A pid alone proves nothing, since pids are used again: the process must have started when the trace says, or, where the
trace does not say, be at least as old as the trace.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

PROC = Path("/proc")

# Process start times in /proc come in clock ticks (10 ms); a second also forgives a slow start.
AGE_SLACK_S = 1.0


def recorder_runs(
    pid: int | None, boot_id: str | None, *, start_ticks: int | None, trace_began_mono_ns: int | None
) -> bool:
    """`start_ticks`: the process' start as /proc/PID/stat has it. `trace_began_mono_ns`: on CLOCK_MONOTONIC. None: not
    known; without both the pid must do."""
    if pid is None or not _same_boot(boot_id):
        return False
    started = _start_ticks(pid)
    if started is None:
        return False
    if start_ticks is not None:
        return started == start_ticks
    if trace_began_mono_ns is None:
        return True
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
    return age_s >= time.monotonic() - trace_began_mono_ns / 1e9 - AGE_SLACK_S


def _same_boot(boot_id: str | None) -> bool:
    try:
        here = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return False
    return boot_id is None or boot_id.replace("-", "") == here.replace("-", "")


def _start_ticks(pid: int) -> int | None:
    """Clock ticks from boot to the process' start; None where there is no process (or only its remains)."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold anything, so count fields from behind it: 3 is the state, 22 the start.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return int(fields[19])
