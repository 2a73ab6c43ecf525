"""O_DIRECT: aligned transfers, the errors of unaligned ones, and the flag changed in mid-life."""

import fcntl
import mmap
import os
from pathlib import Path

from kit import behaviour, outcome, read_file, tried, write_file

BLOCK = 4096


def _aligned(length: int, letter: bytes = b"d") -> memoryview:
    area = mmap.mmap(-1, max(length, BLOCK) + BLOCK)
    view = memoryview(area)
    view[:length] = letter * length
    return view


@behaviour
def direct_aligned_transfers(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o644)
    buffer = _aligned(256 * 1024)
    written = os.pwritev(descriptor, [buffer[: 256 * 1024]], 0)
    back = _aligned(256 * 1024, b"0")
    got = os.preadv(descriptor, [back[: 256 * 1024]], 0)
    short = os.preadv(descriptor, [back[:8192]], 256 * 1024 - BLOCK)
    return written, got, bytes(back[:9]), short, len(read_file(place / "file"))


@behaviour
def direct_unaligned_transfers(place: Path) -> object:
    write_file(place / "file", b"x" * 100_000)
    descriptor = os.open(place / "file", os.O_RDWR | os.O_DIRECT)
    buffer = _aligned(16 * 1024)
    return {
        "write offset": outcome(os.pwritev, descriptor, [buffer[:BLOCK]], 100),
        "write length": outcome(os.pwritev, descriptor, [buffer[:100]], 0),
        "read offset": outcome(os.preadv, descriptor, [buffer[:BLOCK]], 100),
        "read length": outcome(os.preadv, descriptor, [buffer[:100]], 0),
        "half blocks": outcome(os.preadv, descriptor, [buffer[:512]], 512),
        "end": outcome(os.preadv, descriptor, [buffer[:BLOCK]], 98304),
    }


@behaviour
def direct_with_an_unaligned_buffer(place: Path) -> object:
    write_file(place / "file", b"x" * 100_000)
    descriptor = os.open(place / "file", os.O_RDWR | os.O_DIRECT)
    buffer = _aligned(16 * 1024)
    return outcome(os.preadv, descriptor, [buffer[3 : 3 + BLOCK]], 0), outcome(
        os.pwritev, descriptor, [buffer[7 : 7 + BLOCK]], 0
    )


@behaviour
def direct_switched_on_and_off_by_fcntl(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"x" * 10_000)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_DIRECT)
    on = (
        outcome(os.pwritev, descriptor, [_aligned(100)[:100]], 0),
        outcome(os.pwritev, descriptor, [_aligned(BLOCK, b"D")[:BLOCK]], 0),
    )
    fcntl.fcntl(descriptor, fcntl.F_SETFL, 0)
    off = outcome(os.pwritev, descriptor, [_aligned(100, b"o")[:100]], 50)
    return on, off, read_file(place / "file")[48:54]


@behaviour
def direct_appends(place: Path) -> object:
    write_file(place / "file", b"x" * BLOCK)
    descriptor = os.open(place / "file", os.O_WRONLY | os.O_APPEND | os.O_DIRECT)
    answers = (
        outcome(os.writev, descriptor, [_aligned(BLOCK)[:BLOCK]]),
        outcome(os.writev, descriptor, [_aligned(100)[:100]]),
    )
    return answers, os.stat(place / "file").st_size


@behaviour
def direct_and_buffered_agree(place: Path) -> object:
    direct = os.open(place / "file", os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o644)
    plain = os.open(place / "file", os.O_RDWR)
    os.pwritev(direct, [_aligned(BLOCK, b"a")[:BLOCK]], 0)
    seen = os.pread(plain, 3, 0)
    os.pwrite(plain, b"bbb", 0)
    back = _aligned(BLOCK)
    os.preadv(direct, [back[:BLOCK]], 0)
    return seen, bytes(back[:4])


@behaviour
def direct_on_a_directory(place: Path) -> object:
    return tried(lambda: os.close(os.open(place, os.O_RDONLY | os.O_DIRECT)))
