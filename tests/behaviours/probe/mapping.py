"""mmap: shared maps agree with reads and writes, private ones keep to themselves, ends and protections hold."""

import ctypes
import mmap
import os
import signal
import time
from pathlib import Path

import syscalls
from kit import behaviour, elsewhere, fork_and, let_clock_advance, read_file, tried, write_file

PAGE = 4096


def _file(place: Path, content: bytes) -> int:
    write_file(place / "file", content)
    return os.open(place / "file", os.O_RDWR)


@behaviour
def a_shared_map_sees_writes_and_reads_see_stores(place: Path) -> object:
    descriptor = _file(place, b"a" * 3 * PAGE)
    area = mmap.mmap(descriptor, 3 * PAGE)
    os.pwrite(descriptor, b"written", 100)
    seen = area[100:107]
    area[5000:5006] = b"stored"
    by_read = os.pread(descriptor, 6, 5000)
    os.pwrite(descriptor, b"again", 5002)
    return seen, by_read, area[5000:5007], read_file(place / "file")[5000:5007]


@behaviour
def a_shared_map_between_processes(place: Path) -> object:
    descriptor = _file(place, b"." * PAGE)
    area = mmap.mmap(descriptor, PAGE)

    def other() -> object:
        again = os.open(place / "file", os.O_RDWR)
        own = mmap.mmap(again, PAGE)
        before = own[0:4]
        own[10:15] = b"child"
        return before

    area[0:4] = b"here"
    answer = elsewhere(other)
    return answer, area[10:15], os.pread(descriptor, 5, 10)


@behaviour
def a_private_map_keeps_its_stores(place: Path) -> object:
    descriptor = _file(place, b"a" * PAGE)
    area = mmap.mmap(descriptor, PAGE, flags=mmap.MAP_PRIVATE)
    area[0:3] = b"own"
    return area[0:4], os.pread(descriptor, 4, 0), read_file(place / "file")[:4]


@behaviour
def stores_survive_unmap_and_sync(place: Path) -> object:
    descriptor = _file(place, b"a" * 2 * PAGE)
    area = mmap.mmap(descriptor, 2 * PAGE)
    area[PAGE : PAGE + 4] = b"kept"
    area.flush()
    area.close()
    os.close(descriptor)
    return read_file(place / "file")[PAGE - 1 : PAGE + 5]


@behaviour
def a_map_outlives_close_and_unlink(place: Path) -> object:
    descriptor = _file(place, b"a" * PAGE)
    area = mmap.mmap(descriptor, PAGE)
    os.close(descriptor)
    os.unlink(place / "file")
    area[0:4] = b"live"
    area.flush()
    return area[0:5], sorted(os.listdir(place))


@behaviour
def a_map_beyond_the_end_faults(place: Path) -> object:
    descriptor = _file(place, b"a" * 100)
    area = mmap.mmap(descriptor, 0)
    whole = syscalls.map_shared(descriptor, 2 * PAGE)
    inside = ctypes.string_at(whole + 100, 3)
    child = os.fork()
    if child == 0:
        ctypes.string_at(whole + PAGE, 1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return area[:2], inside, os.WIFSIGNALED(status) and signal.Signals(os.WTERMSIG(status)).name


@behaviour
def truncation_under_a_map(place: Path) -> object:
    descriptor = _file(place, b"a" * 2 * PAGE)
    area = mmap.mmap(descriptor, 2 * PAGE)
    os.ftruncate(descriptor, 10)
    os.ftruncate(descriptor, 2 * PAGE)
    return area[8:12], area[PAGE : PAGE + 2]


@behaviour
def a_growing_file_shows_in_its_map(place: Path) -> object:
    descriptor = _file(place, b"a" * 10)
    os.ftruncate(descriptor, 4 * PAGE)
    area = mmap.mmap(descriptor, 4 * PAGE)
    os.pwrite(descriptor, b"end", 4 * PAGE - 3)
    return area[4 * PAGE - 4 :], area[9:12]


@behaviour
def protections_of_maps(place: Path) -> object:
    write_file(place / "file", b"a" * PAGE)
    reading, writing = os.open(place / "file", os.O_RDONLY), os.open(place / "file", os.O_WRONLY)
    return {
        "shared write on a reader": tried(mmap.mmap, reading, PAGE),
        "private on a reader": tried(mmap.mmap, reading, PAGE, flags=mmap.MAP_PRIVATE),
        "read on a writer": tried(mmap.mmap, writing, PAGE),
        "read on a reader": tried(mmap.mmap, reading, PAGE, prot=mmap.PROT_READ),
        "execute": tried(mmap.mmap, reading, PAGE, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "directory": tried(mmap.mmap, os.open(place, os.O_RDONLY), PAGE, prot=mmap.PROT_READ),
    }


@behaviour
def times_after_a_store_and_msync(place: Path) -> object:
    descriptor = _file(place, b"a" * PAGE)
    before = os.fstat(descriptor)
    let_clock_advance()
    area = mmap.mmap(descriptor, PAGE)
    area[0:1] = b"b"
    area.flush()
    after = os.stat(place / "file")
    return after.st_mtime_ns > before.st_mtime_ns, after.st_ctime_ns > before.st_ctime_ns, after.st_size


@behaviour
def each_store_shows_in_the_times_just_after_a_look(place: Path) -> object:
    """Looks that follow each other so closely that attributes might still be kept; the first store to a clean page moves the
    times."""
    descriptor = _file(place, b"a" * PAGE)
    os.fstat(descriptor)
    area = mmap.mmap(descriptor, PAGE)
    newer = []
    for turn in range(3):
        area.flush()
        before = os.fstat(descriptor).st_mtime_ns
        # More than a tick of the clock.
        time.sleep(0.012)
        os.fstat(descriptor)
        area[turn : turn + 1] = b"b"
        newer.append((os.fstat(descriptor).st_mtime_ns > before, os.stat(place / "file").st_mtime_ns > before))
    return newer


@behaviour
def a_map_that_becomes_writable_later_shows_in_the_times(place: Path) -> object:
    descriptor = _file(place, b"a" * PAGE)
    address = syscalls.shared_map(descriptor, PAGE, mmap.PROT_READ)
    before = os.fstat(descriptor).st_mtime_ns
    time.sleep(0.012)
    os.fstat(descriptor)
    syscalls.mprotect(address, PAGE, mmap.PROT_READ | mmap.PROT_WRITE)
    ctypes.memset(address, ord("b"), 1)
    return os.fstat(descriptor).st_mtime_ns > before, os.pread(descriptor, 2, 0)


@behaviour
def readers_and_a_storing_writer_never_see_a_mixed_word(place: Path) -> object:
    descriptor = _file(place, b"a" * PAGE)
    area = mmap.mmap(descriptor, PAGE)

    def read() -> object:
        again = os.open(place / "file", os.O_RDONLY)
        return {bytes(set(os.pread(again, 8, 64))).decode() for _ in range(300)} <= {"a", "b"}

    wait = fork_and(read)
    for number in range(3000):
        area[64:72] = b"a" * 8 if number % 2 else b"b" * 8
    return wait()


@behaviour
def dropping_pages_and_reading_again(place: Path) -> object:
    descriptor = _file(place, b"a" * 4 * PAGE)
    area = mmap.mmap(descriptor, 4 * PAGE)
    area[0:3] = b"new"
    area.flush()
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    area.madvise(mmap.MADV_DONTNEED)
    return area[0:4], area[3 * PAGE : 3 * PAGE + 2]
