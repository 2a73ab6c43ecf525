"""msync of maps in the kernel plane: of a file that the kernel serves itself the map is on the file below, and yet it is ours.
strace shows an address alone, so the program tells which map it was."""

import sys
from pathlib import Path

import pytest

from support import recorder, straces
from support.needs import require
from support.traces import Trace

pytestmark = [pytest.mark.root, pytest.mark.mount]
PROGRAM = """
import ctypes, mmap, os, sys
ours, elsewhere = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
def mapped(path):
    with open(path, "w+b") as file:
        file.truncate(8 * 4096)
        return mmap.mmap(file.fileno(), 8 * 4096)
a, b, anonymous = mapped(ours + "/a"), mapped(elsewhere), mmap.mmap(-1, 4096)
at = ctypes.addressof(ctypes.c_char.from_buffer(a))
for turn in range(5):
    a[turn] = 1
    a.flush()
a.flush(4096, 8192)
for one in (b, anonymous):
    one.flush()
libc.msync(ctypes.c_void_p(at), ctypes.c_size_t(4096), 1)
libc.msync(ctypes.c_void_p(at), ctypes.c_size_t(4096), 64)
libc.msync(ctypes.c_void_p(at + 1), ctypes.c_size_t(4096), 4)
"""


def test_each_on_a_file_of_the_mount_is_there(directory: Path, scratch: Path) -> None:
    require("strace")
    prefix = scratch / "strace/out"
    prefix.parent.mkdir()
    words = ["strace", *straces.OPTIONS, "-o", prefix, sys.executable, "-I", "-c", PROGRAM, directory, scratch / "b"]
    done = recorder.run_traced([directory], words, scratch / "traces/trace", extra=("--plane", "kernel"))
    assert done.returncode == 0, done.stderr
    trace = Trace(scratch / "traces/trace")
    rows = trace.rows("select size, flags, errno, path from events where op = 'msync' order by ts_ns")
    path = f"{directory}/a"
    whole = [(8 * 4096, 4, 0, path)] * 5
    assert rows == [*whole, (8192, 4, 0, path), (4096, 1, 0, path), (4096, 64, 22, path), (4096, 4, 22, path)]
    said = [call for call in straces.calls(prefix) if call.name == "msync"]
    assert len(said) == len(rows) + 2, "and one of a file elsewhere, one of no file"
    trace.assert_balanced()
