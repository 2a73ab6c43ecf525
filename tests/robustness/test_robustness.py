"""What must hold when things go badly: slow disks, few descriptors, a killed recorder, a full trace disk."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import people, places, recorder
from support.needs import failpoints_binary
from support.people import Person
from support.traces import Trace
from support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.mount]
FILES = 100_000
DESCRIPTORS = 4096
MEMORY_BYTES = 250 * 1000 * 1000


@pytest.fixture
def source(ext4: Path) -> Path:
    place = ext4 / "source"
    place.mkdir()
    return place


@pytest.fixture(params=[100, 1], ids=["in many directories", "in one directory"])
def many_files(public: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A hundred thousand empty files."""
    with places.tmpfs(public / "many", megabytes=256) as place:
        top = place / "source"
        for folder in range(request.param):
            (top / f"d{folder}").mkdir(parents=True)
            for number in range(FILES // request.param):
                os.close(os.open(top / f"d{folder}/f{number}", os.O_CREAT | os.O_WRONLY, 0o644))
        yield top


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


def find_everything(source: Path, mount_point: Path, user: Person | None) -> None:
    """`find` asks for every file's attributes; opens must still succeed afterwards, and with many files held open."""
    options = user.subprocess_options() if user else {}
    folders = len(list(source.iterdir()))
    for _ in range(2):
        found = places.run(
            "find", mount_point, "-type", "f", "-size", "0", "-newermt", "2000-01-01", timeout=150, **options
        )
        assert len(found.stdout.splitlines()) == FILES
    program = textwrap.dedent(f"""
        import os
        def path(n):
            return "{mount_point}/d%d/f%d" % (n % {folders}, n // {folders})
        held = [os.open(path(n), os.O_RDONLY) for n in range(900)]
        for n in range(0, 10000, 100):
            with open(path(n), "r+b") as stream:
                stream.write(b"after")
        assert all(os.pread(one, 1, 0) in (b"", b"a") for one in held)
        print("opened")
    """)
    assert places.run(people.PUBLIC_PYTHON, "-c", program, **options).stdout == "opened\n"


@pytest.mark.deadline(300)
def test_a_hundred_thousand_files_under_few_descriptors_as_root(
    many_files: Path, mount_point: Path, public: Path
) -> None:
    with recorder.mounted(many_files, mount_point, public / "trace", limits=few_descriptors) as mount:
        find_everything(many_files, mount_point, None)
        assert mount.memory_peak_bytes() < MEMORY_BYTES
    Trace(public / "trace").assert_balanced()


@pytest.mark.deadline(300)
@pytest.mark.parametrize("kernel", ["that prunes", "that does not"])
def test_a_hundred_thousand_files_under_few_descriptors_as_a_user(
    many_files: Path, mount_point: Path, public: Path, ordinary: Person, kernel: str
) -> None:
    traces = public / "traces"
    traces.mkdir()
    places.run("chown", "-R", f"{ordinary.uid}:{ordinary.gid}", many_files)
    for place in (traces, mount_point):
        os.chown(place, ordinary.uid, ordinary.gid)
    is_old = kernel == "that does not"
    with recorder.mounted(
        many_files,
        mount_point,
        traces / "trace",
        limits=few_descriptors,
        user=ordinary,
        program=recorder.public_binary(public, failpoints_binary() if is_old else None),
        environment={"GLASSFS_FAIL_PRUNE": "1"} if is_old else None,
    ) as mount:
        find_everything(many_files, mount_point, ordinary)
        assert mount.memory_peak_bytes() < MEMORY_BYTES
    Trace(traces / "trace").assert_balanced()


WORK_UNTIL_ERROR = """
import os, sys
number = 0
try:
    while True:
        with open("file-%d" % (number % 50), "wb") as stream:
            stream.write(b"x" * 1000)
        number += 1
        if number == 300:
            open(sys.argv[1], "w").close()
except OSError as problem:
    print(type(problem).__name__, problem.errno, number >= 300)
    sys.exit(7)
"""


def test_a_killed_recorder_leaves_a_readable_trace_and_clean_data(
    source: Path, mount_point: Path, public: Path
) -> None:
    with recorder.mounted(source, mount_point, public / "trace") as mount:
        worker = subprocess.Popen(
            [sys.executable, "-c", WORK_UNTIL_ERROR, public / "signal"],
            cwd=mount_point,
            stdout=subprocess.PIPE,
            text=True,
        )
        wait_until((public / "signal").exists, "three hundred files")
        wait_until(lambda: "events/" in (public / "trace/manifest").read_text(), "a closed segment")
        mount.kill()
        said, _ = worker.communicate(timeout=30)
        assert worker.returncode == 7
        assert said.split()[0] in ("ConnectionAbortedError", "OSError")
    assert len(list(source.iterdir())) == 50
    trace = Trace(public / "trace")
    assert trace.about["end_ns"] is None, "it ended without a goodbye"
    assert trace.one("select count(*) from events") > 100
    assert trace.one("select count(*) from events") == trace.one("select count(distinct (stream, seq)) from events")


def test_a_run_whose_recorder_is_killed_says_so_and_leaves_no_mount(source: Path, public: Path) -> None:
    command = [
        str(recorder.binary()),
        "run",
        "--trace",
        str(public / "trace"),
        "-d",
        str(source),
        "--",
        sys.executable,
        "-c",
        WORK_UNTIL_ERROR,
        str(public / "signal"),
    ]
    running = subprocess.Popen(command, cwd=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until((public / "signal").exists, "three hundred files")
    about = Trace(public / "trace").about
    os.kill(about["recorder"]["pid"], signal.SIGKILL)
    said, problem = running.communicate(timeout=30)
    assert "Error" in said, "the command got its errors"
    assert "recorder" in problem and running.returncode in (7, 125), problem
    assert not places.mounted_at(source)
    assert len(list(source.iterdir())) == 50


def test_a_full_trace_disk_harms_nobody_and_is_counted(source: Path, mount_point: Path, public: Path) -> None:
    with places.tmpfs(public / "small", megabytes=3) as small:
        ballast = small / "ballast"
        with recorder.mounted(source, mount_point, small / "trace"):
            worker = textwrap.dedent(f"""
                import os, sys
                for turn in range(3):
                    for number in range(4000):
                        with open("{mount_point}/f%d" % number, "wb") as stream:
                            stream.write(os.urandom(20))
                    if turn == 0:
                        with open("{ballast}", "wb", 0) as stream:
                            try:
                                while True:
                                    stream.write(b"x" * 4096)
                            except OSError:
                                pass
            """)
            places.run(sys.executable, "-c", worker, timeout=90)
            ballast.unlink()
        trace = Trace(small / "trace")
        ledger = trace.ledger()
        assert ledger["seen"] == ledger["stored"] + ledger["dropped"]
        assert ledger["dropped"] > 0, "the disk was full: something was not stored"
        assert trace.one("select count(*) from events") == ledger["stored"] - ledger["removed"]
        assert (
            trace.one("select coalesce(sum(count), 0)::bigint from totals where op = 'create'")
            + trace.one("select coalesce(sum(count), 0)::bigint from totals where op = 'open'")
            >= 12_000
        )
        reasons = {row[0] for row in trace.rows("select distinct reason from ledger where dropped > 0")}
        assert reasons <= {"trace disk full", "low disk space"}, reasons
    assert len(list(source.iterdir())) == 4000


def test_every_caller_gets_an_answer_when_the_mount_is_torn_away(source: Path, mount_point: Path, public: Path) -> None:
    with recorder.mounted(source, mount_point, public / "trace"):
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", WORK_UNTIL_ERROR, public / f"signal-{number}"],
                cwd=mount_point,
                stdout=subprocess.DEVNULL,
            )
            for number in range(4)
        ]
        wait_until(
            lambda: all((public / f"signal-{number}").exists() for number in range(4)), "all workers at work", 60
        )
        # It says busy, since the workers stand in it; but it has aborted the connection.
        places.run("umount", "-f", mount_point, check=False)
        assert [worker.wait(30) for worker in workers] == [7] * 4


def test_inherited_descriptors_and_dying_processes_have_names(source: Path, mount_point: Path, public: Path) -> None:
    """Children that live a few milliseconds and only use what they inherited are still known by pid and name."""
    with recorder.mounted(source, mount_point, public / "trace"):
        places.run(
            "sh", "-c", f"exec 5>{mount_point}/file; for n in 1 2 3 4 5 6 7 8; do /bin/echo $n >&5; done", timeout=30
        )
    trace = Trace(public / "trace")
    rows = trace.rows("select comm, count(distinct pid) from events where op = 'write' group by comm")
    assert rows == [("echo", 8)]
