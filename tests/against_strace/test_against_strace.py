"""The daemon plane's trace against strace in the same run: equal where a request is a call, and named for what they are where not."""

import errno
import itertools
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support import people, recorder, straces
from support.needs import require
from support.people import Person
from support.traces import Trace

HERE = Path(__file__).parent
pytestmark = [pytest.mark.root, pytest.mark.mount]
DAEMON = ("--plane", "daemon")
# Requests that are one successful call each (spikes: 5); lookups, attributes and flushes are not.
ONE_TO_ONE = (
    "create",
    "mkdir",
    "rmdir",
    "unlink",
    "rename",
    "link",
    "symlink",
    "fsync",
    "fdatasync",
    "fsyncdir",
    "setxattr",
    "getxattr",
    "listxattr",
    "removexattr",
)


class Both:
    """One run of a program, as strace and as the trace saw it."""

    def __init__(self, directory: Path, words: list[str | Path], scratch: Path, **options: object) -> None:
        prefix = scratch / "strace/out"
        prefix.parent.mkdir()
        user = options.get("user")
        if isinstance(user, Person):
            shutil.chown(prefix.parent, user.uid, user.gid)
        done = recorder.run_traced(
            [directory],
            ["strace", *straces.OPTIONS, "-o", prefix, *words],
            scratch / "traces/trace",
            extra=DAEMON,
            timeout=240,
            cwd=directory,
            **options,
        )  # type: ignore[arg-type]
        assert done.returncode == 0, done.stderr
        self.directory = str(directory)
        self.calls = list(straces.calls(prefix))
        self.trace = Trace(scratch / "traces/trace")

    def traced_bytes(self, op: str) -> dict[str, int]:
        rows = self.trace.rows(
            "select rtrim(path, '+'), sum(result)::bigint from events "
            "where op = ? and errno = 0 and result > 0 and origin = 'program' group by all",
            op,
        )
        return dict(rows)

    def traced_successes(self) -> Counter[str]:
        return Counter(self.trace.counts("errno = 0 and origin = 'program'"))

    def assert_equal(self) -> None:
        """What must be the same in every program's run."""
        expected = straces.bytes_per_file(self.calls, self.directory)
        for op in ("read", "write"):
            assert self.traced_bytes(op) == dict(expected[op]), op
        called, traced = straces.successes(self.calls, self.directory), self.traced_successes()
        assert {word: traced[word] for word in ONE_TO_ONE} == {word: called[word] for word in ONE_TO_ONE}
        self.trace.assert_balanced()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_mix_of_calls_in_four_processes_is_counted_as_strace_counts_it(
    seed: int, directory: Path, scratch: Path
) -> None:
    require("strace")
    both = Both(directory, [sys.executable, HERE / "workload.py", directory, str(seed), "4", "250"], scratch)
    both.assert_equal()
    small = [call for call in both.calls if "/large-" not in (call.file() or "")]
    for op, names in (("read", straces.READS), ("write", straces.WRITES)):
        fitting = both.trace.one(
            f"select count(*) from events where op = '{op}' and result > 0 and origin = 'program' "
            "and path not like '%/large-%'"
        )
        assert fitting == straces.transfers(small, both.directory, names), op


def test_a_large_transfer_is_split_into_requests_that_add_up(directory: Path, scratch: Path) -> None:
    require("strace")
    both = Both(directory, [sys.executable, HERE / "workload.py", directory, "9", "1", "5"], scratch)
    large = [call for call in both.calls if "/large-" in (call.file() or "") and call.result > 0]
    for op, names in (("read", straces.READS), ("write", straces.WRITES)):
        called = [call for call in large if call.name in names]
        rows = both.trace.rows(
            f"select \"offset\", result from events where op = '{op}' and path like '%/large-%' and result > 0 "
            'order by "offset"'
        )
        assert len(called) == 1
        assert len(rows) >= 3, "more than three MiB do not fit three requests of a MiB"
        assert all(first[0] + first[1] == second[0] for first, second in itertools.pairwise(rows)), "no gap, no overlap"
        assert sum(row[1] for row in rows) == called[0].result


def test_sqlite_in_wal_mode_is_counted_as_strace_counts_it(directory: Path, scratch: Path) -> None:
    require("strace", "sqlite3")
    script = (
        "pragma journal_mode=wal; create table t(a, b); "
        + "insert into t values (random(), hex(randomblob(500))); " * 60
        + "pragma wal_checkpoint; select count(*) from t;"
    )
    both = Both(directory, ["sqlite3", directory / "base.db", script], scratch)
    expected = straces.bytes_per_file(both.calls, both.directory)
    assert both.traced_bytes("write") == dict(expected["write"])
    assert both.traced_bytes("read") == dict(expected["read"])
    called, traced = straces.successes(both.calls, both.directory), both.traced_successes()
    assert called["fdatasync"] + called["fsync"] > 50
    for word in ("fsync", "fdatasync", "fsyncdir", "unlink"):
        assert traced[word] == called[word], word
    assert sqlite3.connect(directory / "base.db").execute("pragma integrity_check").fetchone() == ("ok",)


def test_rocksdb_is_counted_as_strace_counts_it(directory: Path, scratch: Path) -> None:
    require("strace", "db_bench")
    words = [
        "db_bench",
        f"--db={directory}/db",
        "--benchmarks=fillrandom,readrandom,deleterandom",
        "--num=4000",
        "--value_size=200",
        "--write_buffer_size=200000",
        "--sync=0",
        "--threads=2",
    ]
    both = Both(directory, words, scratch)
    expected = straces.bytes_per_file(both.calls, both.directory)
    assert sum(expected["write"].values()) > 500_000
    # A file renamed while it is open (CURRENT, LOG) bears its new name in one and its old in the other.
    for op in ("read", "write"):
        assert sum(both.traced_bytes(op).values()) == sum(expected[op].values()), op
    called, traced = straces.successes(both.calls, both.directory), both.traced_successes()
    for word in ("fsync", "fdatasync", "fsyncdir", "rename", "unlink", "mkdir", "rmdir", "link"):
        assert traced[word] == called[word], word
    both.trace.assert_balanced()


def test_an_ordinary_users_program_is_counted_as_strace_counts_it(ext4: Path, scratch: Path, ordinary: Person) -> None:
    require("strace")
    directory = ext4 / "own"
    directory.mkdir()
    for place in (directory, scratch / "traces"):
        shutil.chown(place, ordinary.uid, ordinary.gid)
    program = scratch / "workload.py"
    shutil.copy(HERE / "workload.py", program)
    both = Both(
        directory,
        [people.PUBLIC_PYTHON, program, directory, "5", "3", "150"],
        scratch,
        user=ordinary,
        program=recorder.public_binary(scratch),
    )
    both.assert_equal()


# What a program does, prepared by the first statement and done by the second -> the requests it makes, in exact mode.
# Where a set has an alternative, kernels differ; what matters is that none is passed off as a call that was not made.
REQUESTS: dict[str, tuple[str, str, Callable[[Counter[str]], bool]]] = {
    "a stat of a missing name is a lookup that found nothing": (
        "",
        "os.path.exists('no')",
        lambda c: c["lookup ENOENT"] == 1 and c.total() == 1,
    ),
    "an open of a missing name is the same lookup": (
        "",
        "tried(os.open, 'no', os.O_RDONLY)",
        lambda c: c["lookup ENOENT"] == 1 and c["open"] == 0,
    ),
    "an open of an existing file is one open": (
        "open('f', 'x').write('abc')",
        "os.open('f', os.O_RDONLY)",
        lambda c: c["open"] == 1 and c["read"] == 0 and c["create"] == 0,
    ),
    "a creation looks the name up first": (
        "",
        "os.open('f', os.O_CREAT | os.O_EXCL | os.O_RDWR)",
        lambda c: c["lookup ENOENT"] == 1 and c["create"] == 1 and c["open"] == 0,
    ),
    "a refused exclusive creation opens nothing": (
        "open('f', 'x').write('abc')",
        "tried(os.open, 'f', os.O_CREAT | os.O_EXCL)",
        lambda c: c["open"] + c["create"] == 0 and c["lookup"] >= 1,
    ),
    "a mkdir looks the name up first": ("", "os.mkdir('d')", lambda c: c["lookup ENOENT"] == 1 and c["mkdir"] == 1),
    "empty reads and writes are nothing": (
        "f = os.open('f', os.O_CREAT | os.O_RDWR)",
        "os.write(f, b''); os.pread(f, 0, 0)",
        lambda c: c["read"] + c["write"] == 0,
    ),
    "a read at the end moves nothing": (
        "f = os.open('f', os.O_CREAT | os.O_RDWR)",
        "os.read(f, 10)",
        lambda c: c["read"] <= 1,
    ),
    "each close of a copy is a flush": (
        "f = os.open('f', os.O_CREAT | os.O_RDWR)",
        "os.close(os.dup(f)); os.close(os.dup(f)); os.close(f)",
        lambda c: c["flush"] == 3 and c["release"] <= 1,
    ),
    "a seek is nothing": (
        "f = os.open('f', os.O_CREAT | os.O_RDWR)",
        "os.lseek(f, 10, os.SEEK_SET); os.lseek(f, 1, os.SEEK_CUR)",
        lambda c: c.total() == 0,
    ),
    "a seek to the end asks for attributes": (
        "f = os.open('f', os.O_CREAT | os.O_RDWR)",
        "os.lseek(f, 0, os.SEEK_END)",
        lambda c: c["lseek"] == 0 and c["read"] == 0,
    ),
    "a seek for data is a seek": (
        "f = os.open('f', os.O_CREAT | os.O_RDWR); os.write(f, b'abc')",
        "os.lseek(f, 0, os.SEEK_DATA)",
        lambda c: c["lseek"] == 1,
    ),
    "a thousand buffers are four requests": (
        "f = os.open('f', os.O_CREAT | os.O_RDWR); os.write(f, b'x' * 16384)",
        "os.preadv(f, [bytearray(16) for _ in range(1024)], 0)",
        lambda c: c["read"] == 4,
    ),
    "a chmod is a chmod": (
        "open('f', 'x').write('abc')",
        "os.chmod('f', 0o600)",
        lambda c: c["chmod"] == 1 and c["setattr"] == 0,
    ),
    "a chown is a chown": ("open('f', 'x').write('abc')", "os.chown('f', 1, 1)", lambda c: c["chown"] == 1),
    "a truncation is a truncation": (
        "open('f', 'x').write('abc')",
        "os.truncate('f', 1)",
        lambda c: c["truncate"] == 1 and c["write"] == 0,
    ),
    "times set are utimens": ("open('f', 'x').write('abc')", "os.utime('f', (1, 1))", lambda c: c["utimens"] == 1),
    "a truncating open is one open": (
        "open('f', 'x').write('abc')",
        "os.open('f', os.O_WRONLY | os.O_TRUNC)",
        lambda c: c["open"] == 1 and c["truncate"] == 0,
    ),
    "a refused rename is a rename with its error": (
        "os.mkdir('d'); open('d/x', 'x'); os.mkdir('e')",
        "tried(os.rename, 'e', 'd')",
        lambda c: c["rename ENOTEMPTY"] == 1 and c["rename"] == 0,
    ),
    "an fsync of a directory is an fsyncdir": (
        "f = os.open('.', os.O_RDONLY)",
        "os.fsync(f)",
        lambda c: c["fsyncdir"] == 1 and c["fsync"] == 0,
    ),
    "a listing is a readdir": (
        "open('f', 'x').write('abc'); f = os.open('.', os.O_RDONLY)",
        "os.listdir(f)",
        lambda c: c["readdir"] + c["readdirplus"] >= 1 and c["read"] == 0,
    ),
    "a map is no call": (
        "f = os.open('f', os.O_CREAT | os.O_RDWR); os.ftruncate(f, 4096); m = mmap.mmap(f, 4096)",
        "m[0:1] = b'x'",
        lambda c: c["read"] == c["write"] == 0 and c["kernel read"] == 1,
    ),
    # The call returns before its request is answered; mapped first, since mmap drops what is cached (fuse_file_mmap).
    "reading ahead is the kernel's": (
        "f = os.open('f', os.O_CREAT | os.O_RDWR); os.write(f, b'x' * 9000); page = mapped(f)",
        "os.posix_fadvise(f, 0, 9000, os.POSIX_FADV_WILLNEED); wait_until_resident(page)",
        lambda c: c["read"] == 0 and c["kernel read"] >= 1,
    ),
    "msync writes by the kernel and is an fdatasync": (
        "f = os.open('f', os.O_CREAT | os.O_RDWR); os.ftruncate(f, 4096); m = mmap.mmap(f, 4096); m[0:1] = b'x'",
        "m.flush()",
        lambda c: c["write"] == 0 and c["kernel write"] == 1 and c["fdatasync"] == 1,
    ),
}
PROGRAM = """
import ctypes, mmap, os, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
def tried(function, *arguments):
    try: function(*arguments)
    except OSError: pass
def mapped(descriptor):
    arguments = mmap.PROT_READ, mmap.MAP_SHARED, descriptor, ctypes.c_long(0)
    return ctypes.c_void_p(libc.mmap(None, ctypes.c_size_t(4096), *arguments))
def wait_until_resident(page):
    resident, deadline = (ctypes.c_ubyte * 1)(), time.monotonic() + 30
    while not resident[0] & 1:
        if time.monotonic() > deadline: raise TimeoutError('nothing was read ahead')
        if libc.mincore(page, ctypes.c_size_t(4096), resident): raise OSError(ctypes.get_errno(), 'mincore')
{prepare}
os.path.exists('before')
{act}
os.path.exists('after')
os._exit(0)
"""


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_are_named_for_what_they_are(name: str, directory: Path, scratch: Path) -> None:
    prepare, act, expected = REQUESTS[name]
    program = scratch / "program.py"
    program.write_text(PROGRAM.format(prepare=prepare, act=act))
    done = recorder.run_traced(
        [directory],
        [sys.executable, "-I", program],
        scratch / "traces/trace",
        extra=(*DAEMON, "--exact"),
        cwd=directory,
    )
    assert done.returncode == 0, done.stderr
    seen = between(Trace(scratch / "traces/trace"), f"{directory}/before", f"{directory}/after")
    assert expected(seen), dict(seen)


def between(trace: Trace, first: str, last: str) -> Counter[str]:
    """Requests between two look-ups of missing names: 'op', 'op ERRNO', 'kernel op'; attribute requests apart."""
    start = trace.one("select min(seq) from events where path = ?", first)
    end = trace.one("select min(seq) from events where path = ?", last)
    rows = trace.rows(
        "select op, errno, origin from events where seq > ? and seq < ? and op not in ('getattr', 'statx')", start, end
    )
    return Counter(
        ("" if origin == "program" else "kernel ") + (op if number == 0 else f"{op} {errno.errorcode[number]}")
        for op, number, origin in rows
    )
