"""Where a file's bytes lie: preallocation, holes, and what lseek finds of them."""

import os
from pathlib import Path

import syscalls
from kit import behaviour, elsewhere, outcome, read_file, tried

KEEP, PUNCH, COLLAPSE, ZERO, INSERT, UNSHARE = 1, 2, 8, 16, 32, 64
BLOCK = 4096


def _file(place: Path, blocks: int = 16) -> int:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"".join(bytes([65 + number % 26]) * BLOCK for number in range(blocks)))
    return descriptor


@behaviour
def preallocation(place: Path) -> object:
    descriptor = _file(place, 2)
    grown = tried(syscalls.fallocate, descriptor, 0, BLOCK, 10 * BLOCK)
    size = os.fstat(descriptor).st_size
    kept = tried(syscalls.fallocate, descriptor, KEEP, 0, 100 * BLOCK)
    return (
        grown,
        size,
        kept,
        os.fstat(descriptor).st_size,
        os.fstat(descriptor).st_blocks >= 800,
        set(os.pread(descriptor, 100, 3 * BLOCK)),
    )


@behaviour
def punching_holes(place: Path) -> object:
    descriptor = _file(place)
    before = os.fstat(descriptor).st_blocks
    done = tried(syscalls.fallocate, descriptor, PUNCH | KEEP, 4 * BLOCK, 4 * BLOCK)
    after = os.fstat(descriptor)
    return (
        done,
        before - after.st_blocks,
        after.st_size,
        os.pread(descriptor, 2, 4 * BLOCK - 1),
        os.pread(descriptor, 2, 8 * BLOCK - 1),
    )


@behaviour
def zeroing_a_range(place: Path) -> object:
    descriptor = _file(place)
    done = (
        tried(syscalls.fallocate, descriptor, ZERO, 100, 2 * BLOCK),
        tried(syscalls.fallocate, descriptor, ZERO | KEEP, 20 * BLOCK, BLOCK),
    )
    return done, os.fstat(descriptor).st_size, os.pread(descriptor, 3, 98), os.pread(descriptor, 3, 100 + 2 * BLOCK - 1)


@behaviour
def collapsing_a_range(place: Path) -> object:
    descriptor = _file(place)
    return (
        tried(syscalls.fallocate, descriptor, COLLAPSE, 0, BLOCK),
        os.fstat(descriptor).st_size,
        read_file(place / "file")[:2],
    )


@behaviour
def inserting_a_range(place: Path) -> object:
    descriptor = _file(place)
    return tried(syscalls.fallocate, descriptor, INSERT, 0, BLOCK), os.fstat(descriptor).st_size


@behaviour
def wrong_preallocations(place: Path) -> object:
    descriptor = _file(place, 1)
    return {
        "length 0": tried(syscalls.fallocate, descriptor, 0, 0, 0),
        "negative": tried(syscalls.fallocate, descriptor, 0, -1, 10),
        "punch without keep": tried(syscalls.fallocate, descriptor, PUNCH, 0, BLOCK),
        "unshare": tried(syscalls.fallocate, descriptor, UNSHARE, 0, BLOCK),
        "unknown": tried(syscalls.fallocate, descriptor, 1 << 20, 0, BLOCK),
        "directory": tried(syscalls.fallocate, os.open(place, os.O_RDONLY), 0, 0, BLOCK),
        "pipe": tried(syscalls.fallocate, os.pipe()[1], 0, 0, BLOCK),
        "too far": tried(syscalls.fallocate, descriptor, 0, 1 << 62, 1 << 62),
        "posix_fallocate": tried(os.posix_fallocate, descriptor, 0, 3 * BLOCK),
    }


@behaviour
def finding_data_and_holes(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.pwrite(descriptor, b"x" * BLOCK, 16 * BLOCK)
    os.pwrite(descriptor, b"x" * BLOCK, 48 * BLOCK)
    os.ftruncate(descriptor, 64 * BLOCK)
    os.fsync(descriptor)
    return [
        (place_, name, outcome(os.lseek, descriptor, place_ * BLOCK, whence))
        for place_ in (0, 16, 17, 48, 49, 64)
        for name, whence in (("data", os.SEEK_DATA), ("hole", os.SEEK_HOLE))
    ]


@behaviour
def plain_seeks(place: Path) -> object:
    descriptor = _file(place, 1)
    return {
        "end": os.lseek(descriptor, 0, os.SEEK_END),
        "past": os.lseek(descriptor, 100, os.SEEK_END),
        "current": os.lseek(descriptor, -50, os.SEEK_CUR),
        "negative": outcome(os.lseek, descriptor, -1, os.SEEK_SET),
        "unknown": outcome(os.lseek, descriptor, 0, 99),
        "data of nothing": outcome(os.lseek, os.open(place / "empty", os.O_CREAT | os.O_RDWR, 0o644), 0, os.SEEK_DATA),
    }


@behaviour
def end_after_another_process_has_written(place: Path) -> object:
    descriptor = _file(place, 1)
    elsewhere(lambda: os.pwrite(os.open(place / "file", os.O_WRONLY), b"x", 99_999))
    return os.lseek(descriptor, 0, os.SEEK_END)


@behaviour
def blocks_and_block_size(place: Path) -> object:
    descriptor = _file(place, 256)
    os.fsync(descriptor)
    facts = os.fstat(descriptor)
    os.ftruncate(os.open(place / "hole", os.O_CREAT | os.O_RDWR, 0o644), 1 << 30)
    return facts.st_blocks, facts.st_blksize, os.stat(place / "hole").st_blocks, os.stat(place / "hole").st_size
