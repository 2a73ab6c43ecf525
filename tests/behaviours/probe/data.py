"""Reading, writing, appending, copying: what bytes end where, and which error says no."""

import fcntl
import hashlib
import os
import resource
import signal
from pathlib import Path

import syscalls
from kit import behaviour, fork_and, let_clock_advance, outcome, read_file, tried, write_file

BIG = 4 * 1024 * 1024 + 3


def _pattern(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()[:12]


@behaviour
def append_switched_off_by_fcntl(place: Path) -> object:
    write_file(place / "file", b"0123456789")
    descriptor = os.open(place / "file", os.O_RDWR | os.O_APPEND)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, 0)
    os.pwrite(descriptor, b"CC", 0)
    return read_file(place / "file")


@behaviour
def append_switched_on_by_fcntl(place: Path) -> object:
    write_file(place / "file", b"0123456789")
    descriptor = os.open(place / "file", os.O_RDWR)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_APPEND)
    os.pwrite(descriptor, b"AA", 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, b"BB")
    return read_file(place / "file"), os.lseek(descriptor, 0, os.SEEK_CUR)


@behaviour
def append_after_the_file_grew_by_another_descriptor(place: Path) -> object:
    first = os.open(place / "file", os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o644)
    second = os.open(place / "file", os.O_RDWR)
    os.write(first, b"one")
    os.pwrite(second, b"two", 10)
    os.write(first, b"three")
    os.ftruncate(second, 4)
    os.write(first, b"four")
    return read_file(place / "file"), os.lseek(first, 0, os.SEEK_CUR)


@behaviour
def three_processes_append_at_once(place: Path) -> object:
    file, rounds = place / "file", 300
    write_file(file)

    def add(letter: bytes) -> object:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
        for _ in range(rounds):
            os.write(descriptor, letter * 36 + b"\n")
        return None

    for wait in [fork_and(lambda letter=letter: add(letter)) for letter in (b"a", b"b", b"c")]:
        wait()
    lines = read_file(file).splitlines()
    return (
        len(lines),
        sorted({line.decode() for line in lines}),
        [sum(line[:1] == one for line in lines) for one in (b"a", b"b", b"c")],
    )


@behaviour
def flags_of_single_writes(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"0123456789")
    return {
        "RWF_APPEND": outcome(os.pwritev, descriptor, [b"AB"], 0, os.RWF_APPEND),
        "RWF_DSYNC": outcome(os.pwritev, descriptor, [b"CD"], 2, os.RWF_DSYNC),
        "RWF_SYNC": outcome(os.pwritev, descriptor, [b"EF"], 4, os.RWF_SYNC),
        "RWF_HIPRI": outcome(os.preadv, descriptor, [bytearray(4)], 0, os.RWF_HIPRI),
        "unknown": outcome(os.pwritev, descriptor, [b"x"], 0, 1 << 30),
        "content": read_file(place / "file"),
    }


@behaviour
def reads_at_and_past_the_end(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"abc")
    os.pwrite(descriptor, b"xyz", 9000)
    return {
        "at end": os.pread(descriptor, 10, 9003),
        "past": os.pread(descriptor, 10, 99999),
        "over the end": os.pread(descriptor, 10, 9001),
        "hole": set(os.pread(descriptor, 4096, 3)),
        "nothing": os.pread(descriptor, 0, 0),
        "negative": outcome(os.pread, descriptor, 1, -1),
        "size": os.fstat(descriptor).st_size,
    }


@behaviour
def large_unaligned_transfers(place: Path) -> object:
    content = _pattern(BIG)
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    written = os.pwrite(descriptor, content, 7)
    buffer = bytearray(BIG + 1)
    view = memoryview(buffer)[1:]
    got = os.preadv(descriptor, [view], 7)
    return written, got, _digest(bytes(view)) == _digest(content), os.fstat(descriptor).st_size


@behaviour
def many_small_buffers_in_one_call(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    parts = [bytes([65 + number % 26]) * 16 for number in range(1024)]
    written = os.writev(descriptor, parts)
    buffers = [bytearray(16) for _ in range(1024)]
    got = os.preadv(descriptor, buffers, 0)
    return written, got, b"".join(buffers) == b"".join(parts), outcome(os.writev, descriptor, [b"x"] * 1025)


@behaviour
def descriptors_that_may_not(place: Path) -> object:
    write_file(place / "file", b"abc")
    reading, writing = os.open(place / "file", os.O_RDONLY), os.open(place / "file", os.O_WRONLY)
    return {
        "write to a reader": tried(os.write, reading, b"x"),
        "read from a writer": tried(os.read, writing, 1),
        "truncate a reader": tried(os.ftruncate, reading, 0),
        "fallocate a reader": tried(syscalls.fallocate, reading, 0, 0, 10),
        "sync a reader": tried(os.fsync, reading),
        "datasync a reader": tried(os.fdatasync, reading),
    }


@behaviour
def offsets_at_the_edge(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    return {
        "5 GiB": outcome(os.pwrite, descriptor, b"far", 5 << 30),
        "size": os.fstat(descriptor).st_size,
        "back": os.pread(descriptor, 9, (5 << 30) - 2),
        "last": tried(os.pwrite, descriptor, b"xy", (1 << 63) - 2),
        "8 EiB": tried(os.ftruncate, descriptor, (1 << 63) - 1),
        "64 TiB": tried(os.ftruncate, descriptor, 1 << 46),
    }


@behaviour
def truncation(place: Path) -> object:
    write_file(place / "file", b"0123456789")
    os.truncate(place / "file", 4)
    short = read_file(place / "file")
    os.truncate(place / "file", 8)
    return {
        "short": short,
        "long": read_file(place / "file"),
        "directory": tried(os.truncate, place, 0),
        "missing": tried(os.truncate, place / "no", 0),
        "negative": tried(os.truncate, place / "file", -1),
    }


@behaviour
def two_descriptors_see_each_other_at_once(place: Path) -> object:
    one = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    two = os.open(place / "file", os.O_RDWR)
    seen = []
    for number in range(50):
        os.pwrite(one, b"%06d" % number, number % 7)
        seen.append(os.pread(two, 6, number % 7) == b"%06d" % number)
    os.ftruncate(one, 3)
    return all(seen), os.fstat(two).st_size, os.pread(two, 9, 0)


@behaviour
def a_shared_offset_after_fork(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"parent ")
    fork_and(lambda: os.write(descriptor, b"child "))()
    os.write(descriptor, b"parent")
    copy = os.dup(descriptor)
    os.close(descriptor)
    return read_file(place / "file"), os.lseek(copy, 0, os.SEEK_CUR), tried(os.close, copy)


@behaviour
def copy_file_range_within_the_filesystem(place: Path) -> object:
    write_file(place / "a", _pattern(100_000))
    source, target = os.open(place / "a", os.O_RDWR), os.open(place / "b", os.O_CREAT | os.O_RDWR, 0o644)
    appending = os.open(place / "b", os.O_WRONLY | os.O_APPEND)
    return {
        "all": outcome(os.copy_file_range, source, target, 200_000, 0, 0),
        "same": read_file(place / "a") == read_file(place / "b"),
        "at the end": outcome(os.copy_file_range, source, target, 10, 100_000, 0),
        "middle": outcome(os.copy_file_range, source, target, 10, 5, 50_000),
        "overlap": outcome(os.copy_file_range, source, source, 100, 0, 50),
        "same file": outcome(os.copy_file_range, source, source, 100, 0, 5000),
        "appending": outcome(os.copy_file_range, source, appending, 10, 0),
        "directory": outcome(os.copy_file_range, os.open(place, os.O_RDONLY), target, 10, 0, 0),
        "digest": _digest(read_file(place / "a")) + _digest(read_file(place / "b")),
    }


@behaviour
def sendfile_and_splice(place: Path) -> object:
    write_file(place / "a", _pattern(150_000))
    source, target = os.open(place / "a", os.O_RDONLY), os.open(place / "b", os.O_CREAT | os.O_RDWR, 0o644)
    sent = os.sendfile(target, source, 0, 150_000)
    reader, writer = os.pipe()
    into = os.splice(source, writer, 5000, offset_src=100)
    out = os.splice(reader, target, 5000, offset_dst=200_000)
    return sent, into, out, _digest(read_file(place / "b"))


@behaviour
def a_file_size_limit(place: Path) -> object:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    return {
        "over": outcome(os.write, descriptor, b"x" * 10_000),
        "then": outcome(os.write, descriptor, b"x"),
        "truncate": tried(os.ftruncate, descriptor, 9000),
        "fallocate": tried(syscalls.fallocate, descriptor, 0, 0, 9000),
        "size": os.fstat(descriptor).st_size,
    }


@behaviour
def a_file_size_limit_signals(place: Path) -> object:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    # Python ignores SIGXFSZ; the limit's signal is what a C program would see.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"x" * 4096)
    os.write(descriptor, b"x")
    return "lived on"


@behaviour
def sync_calls(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"x" * 10_000)
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    return {
        "fsync": tried(os.fsync, descriptor),
        "fdatasync": tried(os.fdatasync, descriptor),
        "directory": tried(os.fsync, folder),
        "directory data": tried(os.fdatasync, folder),
        "syncfs": tried(syscalls.syncfs, descriptor),
        "range": tried(syscalls.sync_file_range, descriptor, 0, 0, 7),
        "range flags": tried(syscalls.sync_file_range, descriptor, 0, 0, 64),
    }


@behaviour
def synchronous_descriptors(place: Path) -> object:
    answers = []
    for flag in (os.O_SYNC, os.O_DSYNC):
        descriptor = os.open(place / f"{flag}", os.O_CREAT | os.O_RDWR | flag, 0o644)
        answers.append((os.write(descriptor, b"x" * 5000), fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_SYNC == flag))
    return answers


@behaviour
def advice_and_readahead(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"x" * 100_000)
    advice = [tried(os.posix_fadvise, descriptor, 0, 0, number) for number in range(6)]
    return (
        advice,
        tried(os.posix_fadvise, descriptor, 0, 0, 99),
        tried(lambda: syscalls.checked(syscalls.libc.readahead(descriptor, 0, 4096))),
    )


@behaviour
def truncation_at_open(place: Path) -> object:
    write_file(place / "file", b"0123456789")
    before = os.stat(place / "file")
    let_clock_advance()
    os.close(os.open(place / "file", os.O_WRONLY | os.O_TRUNC))
    after = os.stat(place / "file")
    os.chmod(place / "file", 0o444)
    return {
        "size": after.st_size,
        "mtime": after.st_mtime_ns > before.st_mtime_ns,
        "ctime": after.st_ctime_ns > before.st_ctime_ns,
        "reading": tried(lambda: os.close(os.open(place / "file", os.O_RDONLY | os.O_TRUNC))),
    }
