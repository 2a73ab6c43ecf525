"""A slow disk below must not stop everybody: held calls hold no receiver that others need."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support import places, recorder
from support.needs import failpoints_binary
from support.traces import Trace
from support.waiting import wait_until

HELD = 64
READS = 1000
pytestmark = [pytest.mark.root, pytest.mark.mount]

# Each thread syncs a file of its own; FUSE lets one file's calls wait for its fsync.
SYNCERS = textwrap.dedent("""
    import os, sys, threading
    def sync(number):
        descriptor = os.open("%s/held-%d" % (sys.argv[1], number), os.O_CREAT | os.O_RDWR, 0o644)
        os.write(descriptor, b"x")
        everybody.wait()
        os.fsync(descriptor)
        with lock:
            print("done", flush=True)
    lock, everybody = threading.Lock(), threading.Barrier(int(sys.argv[2]))
    threads = [threading.Thread(target=sync, args=(number,)) for number in range(int(sys.argv[2]))]
    [one.start() for one in threads]
    [one.join() for one in threads]
""")
READER = textwrap.dedent("""
    import os, sys
    for number in range(int(sys.argv[2])):
        descriptor = os.open("%s/read-%d" % (sys.argv[1], number % 20), os.O_RDONLY)
        assert os.pread(descriptor, 4096, 0) == b"r" * 4096
        os.close(descriptor)
    print("read")
""")


def waiting_in_fsync(pid: int) -> int:
    """How many threads of a process are in fsync(2) now, by the number of the call (x86-64 and aarch64)."""
    number = {"x86_64": "74", "aarch64": "82"}[os.uname().machine]
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += (task / "syscall").read_text().split()[0] == number
        except OSError:
            continue
    return found


def test_reads_go_on_beside_sixty_four_held_fsyncs(ext4: Path, mount_point: Path, public: Path) -> None:
    source, hold = ext4 / "source", public / "hold"
    source.mkdir()
    for number in range(20):
        (source / f"read-{number}").write_bytes(b"r" * 4096)
    hold.touch()
    with recorder.mounted(
        source,
        mount_point,
        public / "trace",
        program=failpoints_binary(),
        environment={"GLASSFS_FAIL_FSYNC_HOLD": str(hold)},
    ):
        syncing = subprocess.Popen(
            [sys.executable, "-c", SYNCERS, str(mount_point), str(HELD)], stdout=subprocess.PIPE, text=True
        )
        try:
            wait_until(lambda: waiting_in_fsync(syncing.pid) == HELD, "all fsyncs to wait")
            assert places.run(sys.executable, "-c", READER, mount_point, str(READS), timeout=60).stdout == "read\n"
            assert waiting_in_fsync(syncing.pid) == HELD, "they are still held"
        finally:
            hold.unlink()
        said, _ = syncing.communicate(timeout=30)
        assert said == "done\n" * HELD
    trace = Trace(public / "trace")
    trace.assert_balanced()
    assert trace.one("select count(*) from events where op = 'fsync' and errno = 0") == HELD
    held_since, held_until = trace.rows("select min(ts_ns + duration_ns), max(ts_ns) from events where op = 'fsync'")[0]
    inside = trace.one(
        "select count(*) from events where op = 'read' and result = 4096 and ts_ns > ? and ts_ns + duration_ns < ?",
        held_until,
        held_since,
    )
    assert inside >= READS, "the trace shows the reads between the fsyncs' starts and their ends"


@pytest.mark.deadline(200)
def test_more_blocked_calls_than_workers_still_end(ext4: Path, mount_point: Path, public: Path) -> None:
    """At the pool's bound (256) the rest waits in the kernel's queue, and all are answered when the disk comes back."""
    source, hold = ext4 / "source", public / "hold"
    source.mkdir()
    hold.touch()
    with recorder.mounted(
        source,
        mount_point,
        public / "trace",
        program=failpoints_binary(),
        environment={"GLASSFS_FAIL_FSYNC_HOLD": str(hold)},
    ) as mount:
        syncing = subprocess.Popen(
            [sys.executable, "-c", SYNCERS, str(mount_point), "400"], stdout=subprocess.PIPE, text=True
        )
        try:
            wait_until(lambda: waiting_in_fsync(syncing.pid) == 400, "more fsyncs than workers", 60)
        finally:
            hold.unlink()
        said, _ = syncing.communicate(timeout=60)
        assert said == "done\n" * 400
        assert mount.memory_peak_bytes() < 250 * 1000 * 1000
    Trace(public / "trace").assert_balanced()


# Python opens its files close-on-exec. An exec closes them while it holds a lock of the process that /proc asks for too.
EXECUTES = textwrap.dedent("""
    import os, sys
    os.open(sys.argv[1] + "/held", os.O_CREAT | os.O_RDWR)
    for _ in range(20):
        child = os.fork()
        if child == 0:
            os.execv("/bin/true", ["true"])
        assert os.waitpid(child, 0)[1] == 0
""")


@pytest.mark.parametrize("plane", ["daemon", "kernel"])
def test_a_program_that_executes_another_with_a_file_open_goes_on(
    plane: str, ext4: Path, mount_point: Path, public: Path
) -> None:
    source = ext4 / "source"
    source.mkdir()
    with recorder.mounted(source, mount_point, public / "trace", deadline_s=30, extra=("--plane", plane)):
        subprocess.run([sys.executable, "-c", EXECUTES, mount_point], check=True, timeout=60)
