"""The kernel plane when its recorder is killed, beside a second one, and where numbers mean something else: other mounts'
inodes, a namespace's process ids."""

import json
import os
import signal
import subprocess
import sys
import textwrap
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
    stored, last = trace.rows("select count(distinct \"offset\"), max(\"offset\") from events where op = 'write'")[0]
    assert stored == last // LINE_BYTES + 1
    assert 0 < stored < lines


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
    # These need the recorder.
    assert set(others) <= {"ENOTCONN", "ECONNABORTED"}, others
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
    assert set(others) <= {"ENOTCONN", "ECONNABORTED"}, others
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
