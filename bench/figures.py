"""The other promised figures: bytes an event, the writer's speed, starting times, a summary, reads beside fsyncs."""

import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import ground
from bench.systems import DAEMON
from support import needs, recorder
from support.traces import Trace, live_segments
from support.waiting import wait_until

GLASSFS = ground.REPOSITORY / ".venv/bin/glassfs"
SUMMARY_MILLIONS = 10
HELD, READS = 64, 1000


def measured(directory: Path) -> list[dict[str, object]]:
    """One row a figure: name, value, unit, the promise, whether it is kept; or why there is none."""
    rows = []
    for name, unit, promise, at_most, measure in (
        ("bytes_per_event_of_db_bench", "bytes", 16.0, True, bytes_per_event),
        ("writer_events_per_s", "events/s", 1_000_000.0, False, writer_speed),
        ("run_true", "s", 0.5, True, run_true),
        ("version", "s", 0.15, True, version),
        ("summary_of_10_million_events", "s", 1.5, True, summary),
        ("read_p99_beside_64_held_fsyncs", "ms", 1.0, True, reads_beside_fsyncs),
        ("recorder_cpu_per_event_of_reads_in_the_kernel_plane", "us", 0.4, True, recorder_cpu),
        ("recorder_memory_then", "MB", 300.0, True, recorder_memory),
    ):
        row: dict[str, object] = {"figure": name, "unit": unit, "promise": promise, "at_most": at_most}
        try:
            value = measure(directory)
            row |= {"value": round(value, 4), "kept": value <= promise if at_most else value >= promise}
        except Skip as reason:
            row |= {"skipped": str(reason)}
        except Exception as problem:  # one figure's failure is a row too, not the end of a long bench
            row |= {"skipped": f"failed: {problem}"}
        rows.append(row)
    return rows


class Skip(Exception):
    """Why a figure cannot be measured here."""


def bytes_per_event(directory: Path) -> float:
    """What a db_bench fill and read leave on disk, all events, once the trace is closed."""
    with DAEMON.over(directory) as session:
        words = [
            "db_bench",
            f"--db={directory}/db-bytes",
            "--benchmarks=fillrandom,readrandom",
            "--num=100000",
            "--reads=100000",
            "--cache_size=1048576",
            "--compression_type=none",
        ]
        ground.run([*session.prefix, *words], cwd="/")
        assert session.trace is not None
        events = [one for one in live_segments(session.trace) if one.startswith("events/")]
        size = sum((session.trace / one).stat().st_size for one in events)
        return size / int(str(Trace(session.trace).one("select count(*) from events")))


def writer_example(millions: int, folder: Path) -> dict[str, float]:
    program = ground.REPOSITORY / "target/release/examples/writer_bench"
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", "--example", "writer_bench"],
        cwd=ground.REPOSITORY,
        check=True,
        timeout=900,
    )
    return json.loads(ground.run(["taskset", "-c", "0", program, millions, folder]))


def writer_speed(_: Path) -> float:
    """On one core, without the making of the events."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        return writer_example(4, Path(scratch) / "trace")["events_per_s"]


def timed(words: list[object], times: int = 5, **named: object) -> float:
    """The median of some runs, after one that warms the page cache."""
    taken = []
    for _ in range(times + 1):
        start = time.monotonic()
        ground.run(words, **named)
        taken.append(time.monotonic() - start)
    return statistics.median(taken[1:])


def need_command() -> Path:
    if not GLASSFS.exists():
        raise Skip(f"the command is not installed: {GLASSFS} (make compile)")
    return GLASSFS


def run_true(directory: Path) -> float:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as state:
        return timed([need_command(), "run", "--", "true"], cwd=directory, env={**os.environ, "XDG_STATE_HOME": state})


def version(_: Path) -> float:
    return timed([need_command(), "version"], times=9)


def summary(_: Path) -> float:
    command = need_command()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        trace = Path(scratch) / "ten-million"
        writer_example(SUMMARY_MILLIONS, trace)
        return timed([command, "report", trace], times=3)


@functools.cache
def recorder_beside_reads(directory: Path) -> tuple[float, float]:
    """(Its CPU for an event in us, its memory's peak in MB), while a program reads 4 KiB as fast as it can; the whole
    recorder, from before the first call until everything is in the trace."""
    (directory / "cost").mkdir()
    (directory / "cost/fio.dat").write_bytes(os.urandom(64 << 20))
    with tempfile.TemporaryDirectory(prefix="glassfs-bench-", dir="/var/tmp") as folder:
        (Path(folder) / "mnt").mkdir()
        trace = Path(folder) / "trace"
        with recorder.mounted(
            directory / "cost", Path(folder) / "mnt", trace, extra=("--plane", "kernel"), deadline_s=120
        ) as mount:
            before = _cpu_s(mount.pid)
            words = f"fio --name=cost --filename={mount.mount_point}/fio.dat --rw=randread --bs=4k --ioengine=psync"
            words += " --size=64m --time_based --runtime=5 --norandommap --invalidate=0 --fallocate=none"
            said = ground.run([*words.split(), "--output-format=json"], cwd="/")
            reads = json.loads(said[said.index("{") :])["jobs"][0]["read"]["total_ios"]
            wait_until(lambda: Trace(trace).ledger()["stored"] >= reads, "every read in the trace", 30)
            cpu_s, memory_bytes = _cpu_s(mount.pid) - before, mount.memory_peak_bytes()
        return cpu_s * 1e6 / Trace(trace).ledger()["seen"], memory_bytes / 1e6


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def recorder_cpu(directory: Path) -> float:
    return recorder_beside_reads(directory)[0]


def recorder_memory(directory: Path) -> float:
    return recorder_beside_reads(directory)[1]


READER = """
import os, sys, time
descriptors = [os.open(f"{sys.argv[1]}/read-{n}", os.O_RDONLY) for n in range(20)]
taken = []
for number in range(int(sys.argv[2])):
    start = time.perf_counter_ns()
    os.pread(descriptors[number % 20], 4096, 0)
    taken.append(time.perf_counter_ns() - start)
print(sorted(taken)[int(len(taken) * 0.99)] / 1e6)
"""
SYNCER = """
import os, sys, threading
def sync(number):
    descriptor = os.open(f"{sys.argv[1]}/held-{number}", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"x")
    os.fsync(descriptor)
threads = [threading.Thread(target=sync, args=(number,)) for number in range(int(sys.argv[2]))]
[one.start() for one in threads]
[one.join() for one in threads]
"""


def reads_beside_fsyncs(directory: Path) -> float:
    """p99 of single reads of other files while 64 fsyncs are held by a failpoint."""
    binary = Path(
        os.environ.get("GLASSFS_RECORDER_FAILPOINTS", needs.REPOSITORY / ".venv/bin/glassfs-recorder-failpoints")
    )
    if not binary.exists():
        raise Skip(f"the recorder with failpoints is not built: {binary} (make failpoints)")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        scratch = Path(folder)
        source, mount_point, hold = directory / "held", scratch / "mnt", scratch / "hold"
        source.mkdir()
        mount_point.mkdir()
        hold.touch()
        for number in range(20):
            (source / f"read-{number}").write_bytes(b"r" * 4096)
        with recorder.mounted(
            source, mount_point, scratch / "trace", program=binary, environment={"GLASSFS_FAIL_FSYNC_HOLD": str(hold)}
        ):
            syncing = subprocess.Popen([sys.executable, "-c", SYNCER, str(mount_point), str(HELD)])
            try:
                _wait_for_fsyncs(syncing.pid)
                return float(ground.run([sys.executable, "-c", READER, mount_point, READS]))
            finally:
                hold.unlink()
                syncing.wait(60)


def _wait_for_fsyncs(pid: int) -> None:
    from robustness.test_blocking import waiting_in_fsync

    wait_until(lambda: waiting_in_fsync(pid) == HELD, "all fsyncs to wait", 30)


Measure = Callable[[Path], float]
