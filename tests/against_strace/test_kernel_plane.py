"""The kernel plane against strace in the same run: the same calls with the same results, thread by thread, in their order,
each on the file, at the place and of the size that strace shows."""

import json
import sys
from pathlib import Path

import pytest

from support import recorder, straces
from support.equality import Both, Difference, Unseen, strace
from support.needs import require
from support.traces import Trace

HERE = Path(__file__).parent
pytestmark = [pytest.mark.root, pytest.mark.mount]
VECTORS = {"readv", "writev", "preadv", "pwritev", "preadv2", "pwritev2"}


def is_above(path: str | None, other: str | None) -> bool:
    return path != other and straces.within(other, str(path))


# What the trace has not, since the call causes no request and carries no descriptor of the mount's among its arguments.
OF_MAPS = Unseen("a call on a map names no file", lambda said: said.name in ("msync", "munmap"))
MESSAGES = Unseen("a descriptor that is passed on in a message", lambda said: said.name in ("sendmsg", "recvmsg"))
REFUSED = Unseen(
    "refused before any name was looked up",
    lambda said: (said.name, said.errno) == ("truncate", "EINVAL") and (said.size or 0) >= 1 << 63,
)
NOT_REACHED = Unseen(
    "its first name is missing, elsewhere", lambda said: said.name == "link" and str(said.path2).endswith("/none")
)

# What differs in a column.
MANY_BUFFERS = Difference(
    "of more than eight buffers the size is not added up",
    lambda said, seen, column: (
        column == "size" and seen.size is None and said.name in VECTORS and said.line.argument(1).count("iov_len=") > 8
    ),
)
ONE_NAME = Difference(
    "of two names the second is not looked up where the first is missing",
    lambda said, seen, column: (
        said.errno == "ENOENT"
        and (
            (said.name == "rename" and column == "path2" and seen.path2 is None)
            or (said.name == "link" and column == "path2" and seen.path2 is None)
            or (said.name == "link" and column == "path" and seen.path == said.path2)
        )
    ),
)
NO_FOLDER = Difference(
    "where a folder is missing, what was looked up last",
    lambda said, seen, column: (
        column == "path"
        and said.errno in ("ENOENT", "ENOTDIR")
        and any(is_above(seen.path, name) for name in (said.path, said.path2))
    ),
)
ELSEWHERE = Difference(
    "of two names on two filesystems only the folders are looked up",
    lambda said, seen, column: (
        said.errno == "EXDEV"
        and said.name == "rename"
        and (
            seen.path2 is None
            if column == "path2"
            else any(is_above(seen.path, name) for name in (said.path, said.path2))
        )
    ),
)
REFUSED_TARGET = Difference(
    "the target of a symlink that was refused",
    lambda said, seen, column: (said.name, column, seen.path2) == ("symlink", "path2", None) and said.errno is not None,
)
TOLD_TO_APPEND = Difference(
    "where a single write was told to append (RWF_APPEND)",
    lambda said, seen, column: column == "offset" and seen.offset is None and said.line.says("RWF_APPEND"),
)
CLOSED_RANGE = Difference(
    "close_range names no file: the last that it closed",
    lambda said, seen, column: (said.name, column) == ("close_range", "path") and seen.path is not None,
)
NAMELESS = Difference(
    "a file that was made without a name has none",
    lambda said, seen, column: column == "path" and seen.path is None and str(said.path).endswith("//"),
)


def both(directory: Path, words: list[str | Path], scratch: Path, *unseen: Unseen) -> Both:
    prefix, trace = scratch / "strace/out", scratch / "traces/trace"
    done = recorder.run_traced(
        [directory],
        strace(prefix, *words),
        trace,
        extra=("--plane", "kernel", "--exact"),
        timeout=240,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return Both(directory, prefix, trace, unseen)


def test_calls_of_every_family_are_those_that_strace_shows(directory: Path, scratch: Path) -> None:
    require("strace")
    words = [sys.executable, "-I", HERE / "family.py", directory]
    both(directory, words, scratch, OF_MAPS, MESSAGES).assert_equal([MANY_BUFFERS, ONE_NAME, NAMELESS])


def test_what_the_families_leave_out_is_what_strace_shows(directory: Path, scratch: Path) -> None:
    require("strace")
    words = [sys.executable, HERE / "harder.py", directory]
    both(directory, words, scratch, OF_MAPS, MESSAGES, REFUSED, NOT_REACHED).assert_equal(
        [ONE_NAME, NO_FOLDER, ELSEWHERE, REFUSED_TARGET, TOLD_TO_APPEND, CLOSED_RANGE]
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_a_mix_of_calls_in_four_processes_is_what_strace_shows(seed: int, directory: Path, scratch: Path) -> None:
    require("strace")
    words = [sys.executable, HERE / "workload.py", directory, str(seed), "4", "250"]
    both(directory, words, scratch).assert_equal([ONE_NAME])


@pytest.mark.parametrize(
    "more", [[], ["--registerfiles=1", "--fixedbufs=1"], ["--sqthread_poll=1", "--registerfiles=1"]]
)
def test_reads_and_writes_by_io_uring_are_those_that_fio_counts(
    more: list[str], directory: Path, scratch: Path
) -> None:
    """strace sees no single io_uring operation: here fio's own account is the oracle."""
    require("fio")
    words = ["fio", "--name=j", "--ioengine=io_uring", "--iodepth=8", "--rw=randrw", "--bs=4k", "--size=4m"]
    words += [f"--filename={directory}/f", "--output-format=json", *more]
    done = recorder.run_traced([directory], words, scratch / "traces/trace", extra=("--plane", "kernel"), timeout=100)
    assert done.returncode == 0, done.stderr
    (job,) = json.loads(done.stdout[done.stdout.index("{") :])["jobs"]
    trace = Trace(scratch / "traces/trace")
    rows = trace.rows(
        'select op, count(*), sum(result)::bigint, count(distinct "offset"), min(path) from events '
        "where kind = 'io_uring' group by op order by op"
    )
    expected = [(side, job[side]["total_ios"], job[side]["io_bytes"]) for side in ("read", "write")]
    assert [row[:3] for row in rows] == expected
    assert sum(row[3] for row in rows) == 1024, "each block of the file once"
    assert {row[4] for row in rows} == {f"{directory}/f"}
    trace.assert_balanced()
