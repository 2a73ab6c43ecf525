"""What becomes of a process that has used the mount, in the kernel plane: its names, its programs and its end bear their own time,
also where it touches the mount no more. The program itself tells when it did what."""

import json
import sys
from pathlib import Path

import pytest

from support import recorder
from support.traces import Trace

pytestmark = [pytest.mark.root, pytest.mark.mount]
# The two clocks may drift apart by this in a short run.
DRIFT_NS = 5_000_000
PROGRAM = """
import ctypes, json, os, sys, threading, time
libc = ctypes.CDLL(None)
told = {}
def timed(name, work):
    begin = time.time_ns()
    work()
    told[name] = (begin, time.time_ns())
reading, writing = os.pipe()
child = os.fork()
if not child:
    os.stat(sys.argv[1] + "/f")
    # The recorder looks at a process within some milliseconds of its first call.
    time.sleep(1)
    timed("renamed", lambda: libc.prctl(15, b"renamed"))
    told["pid"] = os.getpid()
    told["executed"] = time.time_ns()
    os.write(writing, json.dumps(told).encode())
    os.execv("/bin/sleep", ["sleep", "0.3"])
os.waitpid(child, 0)
ended = time.time_ns()
told = json.loads(os.read(reading, 10000))
told["ended"] = ended
short = os.fork()
if not short:
    os.stat(sys.argv[1] + "/f")
    os._exit(0)
os.waitpid(short, 0)
told |= {"short": short, "short_ended": time.time_ns()}
elsewhere = os.fork()
if not elsewhere:
    os._exit(0)
os.waitpid(elsewhere, 0)
print(json.dumps(told | {"elsewhere": elsewhere}))
"""


def test_names_programs_and_the_end_have_their_time(directory: Path, scratch: Path) -> None:
    (directory / "f").touch()
    words = [sys.executable, "-I", "-c", PROGRAM, directory]
    done = recorder.run_traced([directory], words, scratch / "traces/trace", extra=("--plane", "kernel"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    trace = Trace(scratch / "traces/trace")

    def rows(pid: int) -> list[tuple]:
        return trace.rows("select comm, ts_ns, exited_ns from processes where pid = ? order by ts_ns", pid)

    def first(comm: str) -> int:
        return min(ts_ns for name, ts_ns, _ in rows(told["pid"]) if name == comm)

    begin, end = told["renamed"]
    assert begin - DRIFT_NS <= first("renamed") <= end + DRIFT_NS, rows(told["pid"])
    assert told["executed"] - DRIFT_NS <= first("sleep") <= told["executed"] + 100_000_000
    ends = [(comm, exited_ns) for comm, _, exited_ns in rows(told["pid"]) if exited_ns]
    assert len(ends) == 1 and ends[0][0] == "sleep", rows(told["pid"])
    assert told["executed"] + 300_000_000 <= ends[0][1] <= told["ended"] + DRIFT_NS
    (end,) = {exited_ns for _, _, exited_ns in rows(told["short"]) if exited_ns}
    assert told["short_ended"] - 100_000_000 <= end <= told["short_ended"] + DRIFT_NS
    assert rows(told["elsewhere"]) == []
    trace.assert_balanced()
