"""The kernel plane and calls that come in by the 32-bit way, against strace in the same run; each under the 64-bit number of the
same call, its arguments put together from their halves."""

import re
import subprocess
from pathlib import Path

import pytest

from support import recorder
from support.differences import OF_MAPS
from support.equality import Both, Unseen, strace
from support.needs import require

HERE = Path(__file__).parent
pytestmark = [pytest.mark.root, pytest.mark.mount]
OPTIONS = "-O1 -ffreestanding -nostdlib -static -fno-stack-protector -fno-pic -no-pie -fcf-protection=none"
FAR = 5 << 30
# What the same call is named among 64-bit programs.
NAMES = {
    "_llseek": "lseek",
    "mmap2": "mmap",
    "truncate64": "truncate",
    "ftruncate64": "ftruncate",
    "fadvise64_64": "fadvise64",
    "sendfile64": "sendfile",
    "stat64": "stat",
    "lstat64": "lstat",
    "fstat64": "fstat",
    "fstatat64": "newfstatat",
    "chown32": "chown",
    "fcntl64": "fcntl",
    "statfs64": "statfs",
}
# They are events of their own kind.
OF_AIO = Unseen("its reads and writes stand for it", lambda said: said.name == "io_submit")


def in_64_bits(found: re.Match[str]) -> str:
    return found.group(1) + NAMES.get(found.group(2), found.group(2))


# Of the data calls: what they were asked, which their program has written down.
ASKED = [
    ("write", 0, 1000),
    ("lseek", 10, None),
    ("lseek", FAR, None),
    ("lseek", 0, None),
    ("lseek", -10, None),
    ("lseek", -10, None),
    ("lseek", 0, None),
    ("read", 0, 300),
    ("read", 300, 600),
    ("write", 900, 300),
    ("write", FAR, 50),
    ("read", FAR + 10, 80),
    ("read", FAR, 600),
    ("write", FAR + 1000, 100),
    ("read", FAR, 300),
    ("write", 1200, 300),
    ("read", 1500, 10),
    ("truncate", None, 100000),
    ("truncate", None, FAR),
    ("fallocate", FAR, 4096),
    ("fadvise", FAR, 100),
    ("fadvise", FAR, 100),
    ("sync_file_range", FAR, 4096),
    ("fadvise", 4096, 4096),
    ("mmap", 8192, 8192),
    ("mmap", 4096, 4096),
]


@pytest.mark.parametrize("bits", ["-m32", "-m64"])
def test_they_are_those_that_strace_shows(bits: str, directory: Path, scratch: Path) -> None:
    require("strace", "gcc")
    program = scratch / "program"
    options = [bits, *OPTIONS.split(), "-I/usr/include/x86_64-linux-gnu"]
    subprocess.run(["gcc", *options, "-o", program, HERE / "calls_of_32_bits.c"], check=True)
    prefix, trace = scratch / "strace/out", scratch / "traces/trace"
    done = recorder.run_traced(
        [directory], strace(prefix, program, directory), trace, extra=("--plane", "kernel", "--exact"), cwd="/"
    )
    assert done.returncode == 0, done.stderr
    for file in prefix.parent.iterdir():
        file.write_text(re.sub(r"^(\S* *)(\w+)(?=\()", in_64_bits, file.read_text(), flags=re.MULTILINE))
    both = Both(directory, prefix, trace, [OF_MAPS, OF_AIO])
    both.assert_equal()
    rows = both.trace.rows(
        """select op, "offset", size from events where fh = (select min(fh) from events where op = 'write')
           and kind = 'call' and path2 is null and (size is not null or op = 'lseek') order by ts_ns, seq"""
    )
    assert rows == ASKED
    rows = both.trace.rows(
        """select op, "offset", size, result, errno from events where kind = 'aio' order by ts_ns, seq"""
    )
    assert sorted(rows) == [("read", FAR, 600, 600, 0), ("write", FAR, 600, 600, 0)]
