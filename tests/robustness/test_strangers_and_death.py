"""The kernel plane when its recorder is killed, beside a second one, and where numbers mean something else: other mounts'
inodes, a namespace's process ids."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import places, recorder
from support.traces import Trace
from support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.mount]
KERNEL = ("--plane", "kernel")
LINE_BYTES = 16

# Writes numbered lines into one open file until FILE.stop is there; then tells what fsync, close and a new open said.
WRITER = textwrap.dedent("""
    import errno, os, sys
    def tried(function, *arguments):
        try:
            function(*arguments)
            return "ok"
        except OSError as problem:
            return errno.errorcode[problem.errno]
    place, stop = sys.argv[1:]
    held = os.open(place, os.O_CREAT | os.O_WRONLY)
    number = 0
    while not os.path.exists(stop):
        assert os.write(held, b"%15d\\n" % number) == 16
        number += 1
    print(number, tried(os.fsync, held), tried(os.close, held), tried(os.open, place, os.O_RDONLY))
""")


def lines_in(file: Path) -> int:
    return file.stat().st_size // LINE_BYTES if file.exists() else 0


def goes_on(file: Path) -> None:
    before = lines_in(file)
    wait_until(lambda: lines_in(file) > before + 10_000, "ten thousand lines more")


def assert_whole(file: Path, lines: int) -> None:
    assert file.read_bytes() == b"".join(b"%15d\n" % number for number in range(lines))


def assert_complete_until_it_ends(trace: Trace, lines: int) -> None:
    """No goodbye, and of the writes all that came before the last one that is there."""
    assert trace.about["end_ns"] is None
    stored, last = trace.rows('select count(distinct "offset"), max("offset") from events where op = \'write\'')[0]
    assert stored == last // LINE_BYTES + 1
    assert 0 < stored < lines


def assert_what_needs_the_recorder_fails(fsync: str, close: str, opening: str) -> None:
    """A close does not: nobody below ext4 minds it."""
    assert {fsync, opening} <= {"ENOTCONN", "ECONNABORTED"}
    assert close == "ok"


@pytest.fixture
def source(ext4: Path) -> Path:
    place = ext4 / "source"
    place.mkdir()
    return place


def test_a_writer_goes_on_untraced_when_the_recorder_of_a_mount_is_killed(
    source: Path, mount_point: Path, public: Path
) -> None:
    file, stop = source / "file", public / "stop"
    with recorder.mounted(source, mount_point, public / "trace", extra=KERNEL) as mount:
        words = [sys.executable, "-c", WRITER, mount_point / "file", stop]
        writer = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        wait_until(lambda: "events/" in (public / "trace/manifest").read_text(), "a closed segment")
        mount.kill()
        mount.process.wait(30)
        goes_on(file)
        stop.touch()
        said, _ = writer.communicate(timeout=30)
    lines, *others = said.split()
    assert writer.returncode == 0
    assert_what_needs_the_recorder_fails(*others)
    assert_whole(file, int(lines))
    assert_complete_until_it_ends(Trace(public / "trace"), int(lines))


def test_a_command_goes_on_untraced_when_its_recorder_is_killed_and_no_mount_is_left(
    source: Path, public: Path
) -> None:
    file, stop, trace = source / "file", public / "stop", public / "trace"
    words = [recorder.binary(), "run", *KERNEL, "--trace", trace, "-d", source, "--"]
    words += [sys.executable, "-c", WRITER, file, stop]
    running = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: (trace / "manifest").exists() and "events/" in (trace / "manifest").read_text(), "a segment")
    os.kill(Trace(trace).about["recorder"]["pid"], signal.SIGKILL)
    goes_on(file)
    stop.touch()
    said, problem = running.communicate(timeout=30)
    assert running.returncode == 0, problem
    assert "was killed" in problem and "open files go on, untraced" in problem
    lines, *others = said.split()
    assert_what_needs_the_recorder_fails(*others)
    assert not places.mounted_at(source)
    assert_whole(file, int(lines))
    assert_complete_until_it_ends(Trace(trace), int(lines))


# Its own pid, its thread's and its child's, as the namespace numbers them, around what each does to the file.
IN_A_NAMESPACE = textwrap.dedent("""
    import json, os, sys, threading
    place = sys.argv[1]
    held = os.open(place, os.O_CREAT | os.O_RDWR, 0o644)
    os.write(held, b"x" * 100)
    def read(size):
        os.pread(held, size, 0)
        tids[size] = threading.get_native_id()
    tids = {}
    thread = threading.Thread(target=read, args=(7,))
    thread.start()
    thread.join()
    child = os.fork()
    if child == 0:
        os.pread(held, 9, 0)
        os._exit(0)
    os.waitpid(child, 0)
    print(json.dumps({"main": os.getpid(), "thread": tids[7], "child": child}))
""")


def test_pids_and_paths_in_a_container_are_those_that_it_knows(source: Path, public: Path) -> None:
    words = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", str(recorder.binary()), "run", *KERNEL]
    words += ["--trace", str(public / "trace"), "-d", str(source), "--"]
    words += [sys.executable, "-c", IN_A_NAMESPACE, str(source / "file")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert numbers["main"] < 100, "it is a namespace of its own"
    trace = Trace(public / "trace")
    where = "from events where path = ? and kind = 'call' and result = ?"
    rows = {size: trace.rows(f"select op, pid, tid, comm {where}", str(source / "file"), size) for size in (100, 7, 9)}
    assert [row[:3] for row in rows[100]] == [("write", numbers["main"], numbers["main"])]
    assert [row[:3] for row in rows[7]] == [("read", numbers["main"], numbers["thread"])]
    assert [row[:3] for row in rows[9]] == [("read", numbers["child"], numbers["child"])]
    known = trace.rows("select distinct pid from processes where cmdline like '%json.dumps%'")
    assert (numbers["main"],) in known
    trace.assert_balanced()


# Reads and writes two files in turn, each with sizes and numbers of its own.
BOTH_FILES = textwrap.dedent("""
    import os, sys
    one, other = [os.open(place, os.O_CREAT | os.O_RDWR, 0o644) for place in sys.argv[1:]]
    for turn in range(500):
        os.pwrite(one, b"1" * 11, 11 * turn)
        os.pread(one, 11, 0)
        if turn % 2 == 0:
            os.pwrite(other, b"2" * 22, 22 * turn)
            os.pread(other, 22, 0)
            os.fsync(other)
    os.close(other)
    os.close(one)
""")
IN_ONE = {("write", 11, 500), ("read", 11, 500), ("close", 0, 1)}
IN_OTHER = {("write", 22, 250), ("read", 22, 250), ("fsync", 0, 250), ("close", 0, 1)}


def calls_on(trace: Trace, file: Path) -> set[tuple[str, int, int]]:
    return set(
        trace.rows(
            "select op, result, count(*) from events where kind = 'call' and path = ? and op <> 'open' and op <> 'create' "
            "group by op, result",
            str(file),
        )
    )


def data_calls(trace: Trace) -> int:
    return int(str(trace.one("select count(*) from events where op in ('read', 'write') and kind = 'call'")))


@pytest.fixture
def others(public: Path) -> Iterator[Path]:
    """Another fresh ext4: what is made there first has the numbers of what was made first on the other one."""
    with places.loop_ext4(public / "other", megabytes=64) as place:
        (place / "source").mkdir()
        yield place / "source"


def test_two_recorders_at_once_see_their_own_mounts_calls(source: Path, others: Path, public: Path) -> None:
    points = [public / name for name in ("one", "two")]
    for point in points:
        point.mkdir()
    with (
        recorder.mounted(source, points[0], public / "trace-1", extra=KERNEL),
        recorder.mounted(others, points[1], public / "trace-2", extra=KERNEL),
    ):
        places.run(sys.executable, "-c", BOTH_FILES, points[0] / "file", points[1] / "file")
    for number, expected in enumerate((IN_ONE, IN_OTHER)):
        trace = Trace(public / f"trace-{number + 1}")
        assert calls_on(trace, points[number] / "file") == expected
        assert data_calls(trace) == sum(count for op, _, count in expected if op in ("read", "write"))
        trace.assert_balanced()


def test_two_directories_of_one_recorder_are_told_apart(source: Path, others: Path, public: Path) -> None:
    words = [sys.executable, "-c", BOTH_FILES, source / "file", others / "file"]
    done = recorder.run_traced([source, others], words, public / "trace", extra=KERNEL)
    assert done.returncode == 0, done.stderr
    trace = Trace(public / "trace")
    assert calls_on(trace, source / "file") == IN_ONE
    assert calls_on(trace, others / "file") == IN_OTHER
    trace.assert_balanced()


def test_a_file_elsewhere_with_the_same_inode_number_is_not_taken_for_a_traced_one(
    source: Path, others: Path, public: Path
) -> None:
    for place in (source, others):
        (place / "file").touch()
    assert (source / "file").stat().st_ino == (others / "file").stat().st_ino
    words = [sys.executable, "-c", BOTH_FILES, source / "file", others / "file"]
    done = recorder.run_traced([source], words, public / "trace", extra=KERNEL)
    assert done.returncode == 0, done.stderr
    trace = Trace(public / "trace")
    assert calls_on(trace, source / "file") == IN_ONE
    assert data_calls(trace) == 1000
    assert trace.rows("select distinct path from events where path like '%other%'") == []
    trace.assert_balanced()


# 32-bit system calls: open, 50 times read, exit. The first program of its file, so that it is an exec that ends in them.
OF_32_BITS = """
static int call(int number, int one, int two, int three)
{
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(one), "c"(two), "d"(three) : "memory");
    return result;
}
void _start(void)
{
    static char into[100];
    int fd = call(5, (int)"file", 0, 0);
    for (int number = 0; number < 50; number++)
        call(3, fd, (int)into, 10);
    call(1, 0, 0, 0);
}
"""


def test_an_exec_that_ends_in_the_numbers_of_a_32_bit_program_is_one_and_so_are_its_calls(
    source: Path, public: Path
) -> None:
    (public / "program.c").write_text(OF_32_BITS)
    program = public / "program"
    words = ["gcc", "-m32", "-nostdlib", "-static", "-no-pie", "-O1", "-o", program, public / "program.c"]
    if shutil.which("gcc") is None or places.run(*words, check=False).returncode:
        pytest.skip("gcc makes no 32-bit programs here")
    (source / "file").write_bytes(b"x" * 1000)
    done = recorder.run_traced([source], [program], public / "trace", extra=KERNEL, cwd=source)
    assert done.returncode == 0, done.stderr
    trace = Trace(public / "trace")
    numbers = trace.rows(
        "select op, syscall_nr, count(*) from events where kind = 'call' and path = ? group by all order by op",
        str(source / "file"),
    )
    assert numbers == [("open", 2, 1), ("read", 0, 50)], "by the numbers of the same calls of 64-bit programs"
    trace.assert_balanced()
