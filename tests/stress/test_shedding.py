"""More calls than the kernel plane can hand over one by one: what is shed is counted, and totals stay what the program did."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support import recorder
from support.needs import failpoints_binary, require
from support.traces import Trace

HERE = Path(__file__).parent
GLASSFS = recorder.REPOSITORY / ".venv/bin/glassfs"
pytestmark = [pytest.mark.root, pytest.mark.mount]
# Of reports, for each CPU: two milliseconds of them.
TINY_RING = {"GLASSFS_FAILPOINT_RING_REPORTS": "256"}


@pytest.fixture
def directory(ext4: Path) -> Path:
    place = ext4 / "traced"
    place.mkdir()
    return place


def traced(directory: Path, words: list[str | Path], failpoints: dict[str, str]) -> tuple[str, Trace]:
    """What the command said, and its trace, which must agree with itself."""
    folder = directory.parents[1] / "trace"
    program = failpoints_binary() if failpoints else None
    done = recorder.run_traced(
        [directory],
        words,
        folder,
        program=program,
        extra=("--plane", "kernel"),
        timeout=100,
        cwd="/",
        env={**os.environ, **failpoints},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, Trace(folder)


def assert_exact(trace: Trace) -> None:
    """Totals are all that was seen, second by second; whatever was stored of it."""
    trace.assert_balanced(lost=None)
    uneven = trace.rows("""
        select second_ns, t.n, l.n from (select second_ns, sum(count) as n from totals group by 1) t
        full join (select second_ns, sum(seen) as n from ledger group by 1) l using (second_ns)
        where t.n is distinct from l.n""")
    assert not uneven
    strange = trace.rows("""
        select * from totals where count <> list_sum(bucket_count) or min_ns > max_ns or duration_ns > count * max_ns
        or duration_ns < count * min_ns""")
    assert not strange


def calls_by_op(trace: Trace) -> list[tuple[str, int, int]]:
    return trace.rows("""
        select op, sum(count)::bigint, sum(bytes)::bigint from totals where kind = 'call' and op in ('read', 'write')
        group by op order by op""")


def fio(directory: Path, threads: int, seconds: int) -> list[str]:
    """Random reads and writes of 512 bytes, all threads on one file, which is there before."""
    (directory / "f").write_bytes(bytes(4 << 20))
    return [
        "fio",
        "--name=flood",
        "--thread",
        f"--numjobs={threads}",
        "--group_reporting",
        "--ioengine=psync",
        "--rw=randrw",
        "--bs=512",
        "--size=4m",
        "--time_based",
        f"--runtime={seconds}",
        f"--filename={directory}/f",
        "--output-format=json",
    ]


@pytest.mark.parametrize(
    ("failpoints", "threads", "seconds"),
    [({}, 400, 5), (TINY_RING, 16, 2)],
    ids=["400 threads", "a tiny ring"],
)
def test_totals_of_a_flood_are_what_fio_counts(
    failpoints: dict[str, str], threads: int, seconds: int, directory: Path
) -> None:
    require("fio")
    said, trace = traced(directory, fio(directory, threads, seconds), failpoints)
    (job,) = json.loads(said[said.index("{") :])["jobs"]
    expected = [(side, job[side]["total_ios"], job[side]["io_bytes"]) for side in ("read", "write")]
    assert calls_by_op(trace) == expected
    assert_exact(trace)
    lost = trace.ledger()["dropped"]
    assert bool(lost) >= bool(failpoints)
    for side in ("read", "write"):
        ours = trace.one("select sum(duration_ns)::bigint from totals where kind = 'call' and op = ?", side)
        around = job[side]["clat_ns"]["mean"] * job[side]["total_ios"]
        assert 0.1 * around < ours <= around, "fio looks at the clock before and after the call"
    done = subprocess.run([GLASSFS, "report", trace.path, "--json"], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["losses"]["dropped"] == lost and report["count"] == trace.ledger()["seen"]
    if lost:
        assert report["losses"]["reasons"] == [{"reason": "queue full", "stage": "queue", "count": lost}]


def test_each_call_and_errno_is_counted_as_the_program_does(directory: Path) -> None:
    words = [sys.executable, "-I", "-S", HERE / "counted.py", directory, "6", "3000"]
    said, trace = traced(directory, words, TINY_RING)
    found = trace.rows("""
        select op, errno, sum(count)::bigint, sum(bytes)::bigint from totals where kind = 'call'
        group by op, errno order by op, errno""")
    assert found == [tuple(row) for row in json.loads(said)]
    assert_exact(trace)
    assert trace.ledger()["dropped"] > 0
    assert not [note["text"] for note in trace.about["notes"] if "in no total" in note["text"]]


def test_a_table_without_room_is_said(directory: Path) -> None:
    """Two sums only: what has no place there is in the ledger, and in the note that says so."""
    require("fio")
    failpoints = {**TINY_RING, "GLASSFS_FAILPOINT_SUMS": "2"}
    said, trace = traced(directory, fio(directory, 16, 2), failpoints)
    (job,) = json.loads(said[said.index("{") :])["jobs"]
    (note,) = [note["text"] for note in trace.about["notes"] if note["kind"] == "lost"]
    uncounted = int(re.match(r"(\d+) calls are lost and in no total: the table", note).group(1))
    ledger = trace.ledger()
    assert 0 < uncounted <= ledger["dropped"]
    assert ledger["seen"] == ledger["stored"] + ledger["dropped"]
    assert trace.one("select sum(count)::bigint from totals") == ledger["seen"] - uncounted
    counted = sum(row[1] for row in calls_by_op(trace))
    assert counted + uncounted >= job["read"]["total_ios"] + job["write"]["total_ios"]


# More calls under way than there are slots: each read of the fifo waits in its own.
BLOCKED = textwrap.dedent("""
    import os, sys, threading
    directory, waiting, more = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    fifo, file = os.open(directory + "/fifo", os.O_RDWR), os.open(directory + "/f", os.O_RDONLY)
    threads = [threading.Thread(target=os.read, args=(fifo, 1)) for _ in range(waiting)]
    for thread in threads:
        thread.start()
    def reads():
        return sum(open(f"/proc/self/task/{thread.native_id}/syscall").read().startswith("0 ") for thread in threads)
    while reads() < waiting:
        pass
    for _ in range(more):
        os.pread(file, 1, 0)
    os.write(fifo, b"x" * waiting)
    for thread in threads:
        thread.join()
""")


def test_a_call_without_a_slot_is_counted(directory: Path) -> None:
    waiting, more = 64, 500
    os.mkfifo(directory / "fifo")
    (directory / "f").write_bytes(b"x")
    words = [sys.executable, "-I", "-S", "-c", BLOCKED, directory, str(waiting), str(more)]
    _, trace = traced(directory, words, {"GLASSFS_FAILPOINT_SLOTS": "1"})
    stored = trace.one("select count(*) from events where kind = 'call' and op in ('read', 'write')")
    ledger = trace.ledger()
    assert stored + ledger["dropped"] == waiting + more + 1
    assert ledger["dropped"] > more
    (note,) = [note["text"] for note in trace.about["notes"] if note["kind"] == "lost"]
    assert note.startswith(f"{ledger['dropped']} calls are lost and in no total: only their beginning was seen")
    assert trace.one("select sum(count)::bigint from totals") == ledger["seen"] - ledger["dropped"]


def preference(directory: Path, plane: str) -> tuple[dict[str, int], str | None]:
    """Of each thread of a lasting mount's recorder, by its name: its nice; and its session's, None if the kernel does not
    group sessions."""
    folder = directory.parents[1]
    (folder / "mnt").mkdir()
    program = recorder.binary()
    words = [program, "mount", "--plane", plane, "--trace", folder / "trace", directory, folder / "mnt"]
    said = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True, timeout=30).stdout
    process = Path(f"/proc/{json.loads(said)['pid']}")
    try:
        stats = [(one / "stat").read_text() for one in (process / "task").iterdir()]
        group = process / "autogroup"
        of_session = group.read_text().split()[-1] if group.exists() else None
    finally:
        subprocess.run([str(program), "umount", str(folder / "mnt")], check=True, timeout=30, capture_output=True)
    nice = {stat.partition("(")[2].rpartition(")")[0]: int(stat.rpartition(")")[2].split()[16]) for stat in stats}
    return nice, of_session


@pytest.mark.parametrize(("plane", "collector", "session"), [("kernel", -15, "-15"), ("daemon", 0, "0")])
def test_who_must_keep_up_goes_before_busy_programs(directory: Path, plane: str, collector: int, session: str) -> None:
    nice, of_session = preference(directory, plane)
    assert (nice["glassfs-collect"], nice["glassfs-trace"], nice["glassfs-merge"]) == (collector, -10, 5)
    assert of_session in (None, session)
