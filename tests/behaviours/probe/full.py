"""A filesystem that runs out of room: short writes, ENOSPC and what can still be done (group `full`)."""

import os
from pathlib import Path

import syscalls
from kit import behaviour, outcome, tried, write_file

CHUNK = 64 * 1024


def _fill(descriptor: int) -> str:
    """Writes until there is no room; the errno that ended it."""
    for size in (1 << 20, CHUNK, 4096, 1):
        while True:
            result = outcome(os.write, descriptor, b"x" * size)
            if result == 0 or isinstance(result, str):
                break
    return str(result)


def _empty(descriptor: int) -> None:
    """Gives the room back now. That of a deleted file comes back at its last close, which FUSE does in its own time."""
    os.ftruncate(descriptor, 0)
    os.fsync(descriptor)


@behaviour(group="full")
def writing_until_the_filesystem_is_full(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    ended = _fill(descriptor)
    answers = ended, tried(os.fsync, descriptor), os.stat(place / "file").st_size > 1 << 20
    _empty(descriptor)
    return answers


@behaviour(group="full")
def what_a_full_filesystem_refuses_and_allows(place: Path) -> object:
    write_file(place / "small", b"abc")
    os.mkdir(place / "empty")
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    _fill(descriptor)
    os.fsync(descriptor)
    answers = {
        "allocate": tried(syscalls.fallocate, descriptor, 0, 0, 1 << 40),
        "overwrite": outcome(os.pwrite, descriptor, b"y" * 100, 0),
        "rename": tried(os.rename, place / "small", place / "x"),
        "symlink": tried(os.symlink, "short", place / "s"),
        "long symlink": tried(os.symlink, "l" * 4000, place / "l"),
        "mkdir": tried(os.mkdir, place / "d"),
        "write elsewhere": outcome(lambda: os.write(os.open(place / "x", os.O_WRONLY | os.O_APPEND), b"z" * 100_000)),
        "large attribute": tried(os.setxattr, place / "file", "user.a", b"v" * 3000),
        "truncate": tried(os.ftruncate, descriptor, 1 << 20),
        "then": outcome(os.write, os.open(place / "new", os.O_CREAT | os.O_WRONLY, 0o644), b"room"),
    }
    _empty(descriptor)
    for name in os.listdir(place):
        (os.rmdir if name in ("empty", "d") else os.unlink)(place / name)
    return answers


@behaviour(group="full")
def a_short_write_at_the_end_of_the_room(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    _fill(descriptor)
    room = os.fstat(descriptor).st_size // 4096 * 4096
    os.ftruncate(descriptor, room - 256 * 1024)
    os.fsync(descriptor)
    syscalls.checked(syscalls.libc.syncfs(descriptor))
    os.lseek(descriptor, 0, os.SEEK_END)
    written = outcome(os.write, descriptor, b"x" * (1 << 20))
    size = os.fstat(descriptor).st_size
    _empty(descriptor)
    return isinstance(written, int) and 0 < written < 1 << 20, isinstance(written, int) and written == size - (
        room - 256 * 1024
    )
