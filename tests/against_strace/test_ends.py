"""Calls of the kernel plane that end otherwise than calls do: a thread that exits, or is replaced, while it is inside one; and
files that have another name, or none, before anybody drains what was noted of them."""

import textwrap
from pathlib import Path

import pytest

from support import people, recorder
from support.equality import Both, strace
from support.needs import require
from support.strace_lines import unfinished

pytestmark = [pytest.mark.root, pytest.mark.mount]
KERNEL = ("--plane", "kernel", "--exact")


def both(directory: Path, program: str, scratch: Path, *words: str, status: int = 0) -> Both:
    """Of a program that gets the directory and the words."""
    prefix, trace = scratch / "strace/out", scratch / "traces/trace"
    command = strace(prefix, people.PUBLIC_PYTHON, "-I", "-c", program, directory, *words)
    done = recorder.run_traced([directory], command, trace, extra=KERNEL, timeout=100, cwd="/")
    assert done.returncode == status, done.stderr
    return Both(directory, prefix, trace)


# One thread waits in a read of a fifo. When it does, the process is ended, or replaced, which ends that thread inside its call.
INSIDE = textwrap.dedent("""
    import os, sys, threading
    place, end = sys.argv[1:]
    os.mkfifo(place + "/fifo")
    fifo = os.open(place + "/fifo", os.O_RDWR)
    file = os.open(place + "/file", os.O_CREAT | os.O_RDWR)
    reader = threading.Thread(target=os.read, args=(fifo, 1), daemon=True)
    reader.start()
    while not open(f"/proc/self/task/{reader.native_id}/syscall").read().startswith("0 "):
        pass
    os.write(file, b"before the end")
    def replace():
        os.dup2(file, 1)
        os.execv("/bin/echo", ["echo", "after"])
    if end == "exit":
        os._exit(0)
    if end == "exec":
        replace()
    if end == "exec by another thread":
        threading.Thread(target=replace).start()
        threading.Event().wait()
    os.kill(os.getpid(), 9)
""")
STATUSES = {"exit": 0, "exec": 0, "exec by another thread": 0, "kill": -9}


@pytest.mark.parametrize("end", STATUSES)
def test_a_call_that_its_thread_does_not_return_from_is_there_as_interrupted(
    end: str, directory: Path, scratch: Path
) -> None:
    """strace has no result for it: the kernel has, but nobody is left to be told."""
    require("strace")
    run = both(directory, INSIDE, scratch, end, status=STATUSES[end])
    ((tid, name),) = [each for each in unfinished(scratch / "strace/out") if str(directory) in each[1]]
    assert name == f"read {directory}/fifo"
    inside = run.seen[tid].pop()
    assert (inside.name, inside.errno, inside.path) == ("read", "ERESTARTSYS", f"{directory}/fifo")
    run.said.setdefault(tid, [])
    run.assert_equal()
    written = run.trace.rows("select result from events where op = 'write' and kind = 'call' order by ts_ns")
    assert written == [(14,), (6,)] if end.startswith("exec") else [(14,)]


# So fast that many of them come in one look at what was noted: each call has the name of its own time.
FAST = textwrap.dedent("""
    import os, sys
    place = sys.argv[1]
    for turn in range(400):
        name = f"{place}/{turn}-"
        held = os.open(name + "a", os.O_CREAT | os.O_RDWR)
        os.write(held, b"in a")
        os.rename(name + "a", name + "b")
        os.write(held, b"in b")
        os.fsync(held)
        os.rename(name + "b", name + "c")
        os.pread(held, 3, 0)
        os.fstat(held)
        other = os.open(name + "a", os.O_CREAT | os.O_RDWR)
        os.write(other, b"in another a")
        os.unlink(name + "c")
        os.write(held, b"in none")
        os.rename(name + "a", name + "c")
        os.close(held)
        os.write(other, b"in another c")
        os.close(other)
    os._exit(0)
""")


def test_names_are_those_of_the_calls_time_however_late_they_are_drained(directory: Path, scratch: Path) -> None:
    require("strace")
    run = both(directory, FAST, scratch)
    run.assert_equal()
    assert run.calls() == 400 * 16
