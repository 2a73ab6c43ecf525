"""What family.py leaves out: shared positions, appends, links, signals, errors, calls that a libc hides: harder.py DIRECTORY."""

import contextlib
import ctypes
import fcntl
import mmap
import os
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from family import raw, tried

CREATE = os.O_CREAT | os.O_RDWR
# Numbers on x86-64, which Python has no function for.
CREAT, SYNC_FILE_RANGE, FACCESSAT2, STATX, OPENAT2, RENAMEAT2, SYNCFS = 85, 277, 439, 332, 437, 316, 306
PWRITEV2, GETDENTS64, CLOSE_RANGE, READAHEAD = 328, 217, 436, 187
RWF_APPEND, NOREPLACE, EXCHANGE, AT_FDCWD = 0x10, 1, 2, -100
FS_IOC_GETFLAGS = 0x80086601


def in_child(work: Callable[[], object]) -> None:
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    os.waitpid(child, 0)


def positions(place: Path) -> None:
    """One position, shared by copies, a child and whoever gets it in a message."""
    file = os.open(place / "shared", CREATE)
    os.write(file, b"0123456789" * 10)
    os.lseek(file, 3, os.SEEK_SET)
    copy = os.dup(file)
    os.read(copy, 4)
    in_child(lambda: os.read(file, 5))
    os.read(file, 6)
    os.lseek(copy, -2, os.SEEK_CUR)
    os.write(file, b"xyz")
    os.lseek(file, 0, os.SEEK_CUR)
    one, other = socket.socketpair()
    socket.send_fds(one, [b"x"], [file])

    def receive() -> None:
        _, (received,), _, _ = socket.recv_fds(other, 1, 1)
        os.read(received, 7)
        os.write(received, b"by the child")

    in_child(receive)
    os.read(copy, 8)
    again = os.open(place / "shared", os.O_RDONLY)
    os.read(again, 9)
    third = os.dup2(again, 200, inheritable=False)
    os.read(third, 1000)
    os.read(again, 1000)
    os.preadv(again, [bytearray(5)], 90)
    raw(PWRITEV2, file, b"", 0, ctypes.c_long(-1), 0, 0)
    raw(CLOSE_RANGE, 150, 250, 0)
    tried(os.read, third, 1)
    for each in (file, copy, again):
        os.close(each)


def appends(place: Path) -> None:
    """Two that append in turn to one file, and one that writes anywhere."""
    one = os.open(place / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(one, b"one")
    other = os.open(place / "log", os.O_RDWR | os.O_APPEND)
    os.write(other, b"other")
    anywhere = os.open(place / "log", os.O_WRONLY)
    os.pwrite(anywhere, b"far", 1000)
    os.writev(one, [b"two", b"buffers"])
    os.ftruncate(other, 20)
    copy = os.dup(other)
    os.write(copy, b"after the cut")
    in_child(lambda: os.write(one, b"a child's"))
    os.write(other, b"last")
    os.lseek(other, 2, os.SEEK_SET)
    os.read(other, 4)
    os.write(other, b"at the end all the same")
    os.pwritev(one, [b"told where"], 5)
    buffer = ctypes.create_string_buffer(b"flag")
    vector = struct.pack("QQ", ctypes.addressof(buffer), 4)
    raw(PWRITEV2, anywhere, vector, 1, ctypes.c_long(3), 0, RWF_APPEND)
    fcntl.fcntl(anywhere, fcntl.F_SETFL, os.O_APPEND)
    os.write(anywhere, b"made to append")
    os.write(one, bytes(3 << 20))
    os.writev(other, [bytes(16)] * 1000)
    for each in (one, other, anywhere, copy):
        os.close(each)


def links(place: Path) -> None:
    os.mkdir(place / "folder")
    first = os.open(place / "folder/first", CREATE)
    os.link(place / "folder/first", place / "second")
    second = os.open(place / "second", os.O_RDWR)
    os.write(first, b"by the first")
    os.write(second, b"by the second")
    os.rename(place / "folder", place / "moved")
    os.write(first, b"in a moved folder")
    os.unlink(place / "moved/first")
    os.write(first, b"without a name")
    os.write(second, b"with one")
    tried(os.link, place / "second", place / "second")
    tried(os.link, place / "second", place / "moved")
    os.symlink("moved", place / "to-folder")
    os.symlink("to-folder/../second", place / "to-second")
    os.symlink("to-second", place / "to-link")
    os.symlink(place / "nowhere", place / "dangling")
    os.symlink("circle", place / "circle")
    for link in ("to-second", "to-link", "dangling", "circle"):
        tried(os.stat, place / link)
        tried(os.lstat, place / link)
        tried(os.open, place / link, os.O_RDONLY)
        tried(os.open, place / link, os.O_RDONLY | os.O_NOFOLLOW)
        tried(os.truncate, place / link, 3)
        tried(os.readlink, place / link)
    os.close(os.open(place / "to-folder/new", CREATE))
    os.stat(place / "to-folder/new")
    os.chdir(place / "to-folder")
    os.stat("new")
    os.stat("../second")
    tried(os.stat, "../none")
    os.close(os.open("./new", os.O_RDONLY))
    os.chdir("/")
    os.unlink(place / "to-link")
    tried(os.symlink, "anything", place / "second")
    raw(RENAMEAT2, AT_FDCWD, os.fsencode(place / "second"), AT_FDCWD, os.fsencode(place / "moved/new"), NOREPLACE)
    raw(RENAMEAT2, AT_FDCWD, os.fsencode(place / "second"), AT_FDCWD, os.fsencode(place / "moved/new"), EXCHANGE)
    os.write(second, b"where the other was")
    for each in (first, second):
        os.close(each)


def errors(place: Path) -> None:
    file, folder = os.open(place / "file", CREATE), os.open(place, os.O_RDONLY)
    os.mkdir(place / "full")
    os.mkdir(place / "full/inner")
    (place / "plain").touch()
    os.mkfifo(place / "pipe")
    elsewhere = Path(tempfile.mkdtemp())
    for function, *arguments in (
        (os.stat, place / "file/below"),
        (os.stat, place / "none/below"),
        (os.open, place / "none/below", CREATE),
        (os.mkdir, place / "none/below"),
        (os.rename, place / "none/below", place / "x"),
        (os.rename, place / "plain", place / "none/x"),
        (os.stat, place / ("long" * 100)),
        (os.read, folder, 10),
        (os.write, folder, b"x"),
        (os.open, place / "full", os.O_WRONLY),
        (os.open, place / "pipe", os.O_WRONLY | os.O_NONBLOCK),
        (os.lseek, file, -1, os.SEEK_SET),
        (os.pread, file, 10, -5),
        (os.pwrite, file, b"x", -5),
        (os.unlink, place / "full"),
        (os.rmdir, place / "plain"),
        (os.rmdir, place / "full"),
        (os.rename, place / "full", place / "full/inner/x"),
        (os.rename, place / "plain", place / "full"),
        (os.rename, place / "full", place / "plain"),
        (os.rename, place / "plain", elsewhere / "x"),
        (os.rename, elsewhere, place / "from-elsewhere"),
        (os.link, place / "plain", place / "file"),
        (os.link, elsewhere / "none", place / "from-elsewhere"),
        (os.mkfifo, place / "plain"),
        (os.mkdir, place / "plain"),
        (os.setxattr, place / "plain", "nonsense.a", b"x"),
        (os.getxattr, place / "plain", "user.none"),
        (os.removexattr, place / "plain", "user.none"),
        (os.truncate, place / "full", 5),
        (os.truncate, place / "plain", -1),
        (os.ftruncate, folder, 5),
        (os.posix_fallocate, file, 0, 0),
        (os.chdir, place / "plain"),
        (os.listdir, place / "plain"),
    ):
        tried(function, *arguments)  # type: ignore[arg-type]
    elsewhere.rmdir()
    raw(0, file, ctypes.c_void_p(8), ctypes.c_ulong(0))
    os.write(file, b"readable")
    os.lseek(file, 0, os.SEEK_SET)
    raw(0, file, ctypes.c_void_p(8), ctypes.c_ulong(100))
    raw(1, file, ctypes.c_void_p(8), ctypes.c_ulong(100))
    for each in (file, folder):
        os.close(each)


def at_directories(place: Path) -> None:
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    os.mkdir("below", dir_fd=folder)
    os.close(os.open("below/one", CREATE, dir_fd=folder))
    os.link("below/one", "two", src_dir_fd=folder, dst_dir_fd=folder)
    os.symlink("two", "three", dir_fd=folder)
    os.readlink("three", dir_fd=folder)
    os.chmod("three", 0o640, dir_fd=folder)
    os.chown("two", 1, 1, dir_fd=folder)
    os.chown("three", 2, 2, dir_fd=folder, follow_symlinks=False)
    os.utime("two", (5, 6), dir_fd=folder)
    os.access("two", os.R_OK, dir_fd=folder)
    os.mknod("four", 0o600, dir_fd=folder)
    os.mkfifo("five", dir_fd=folder)
    tried(os.rmdir, "below", dir_fd=folder)
    answer = ctypes.create_string_buffer(512)
    raw(FACCESSAT2, folder, b"two", os.R_OK, 0x100)
    raw(STATX, folder, b"two", 0, 0x7FF, answer)
    raw(STATX, folder, b"none", 0, 0x7FF, answer)
    raw(OPENAT2, folder, b"none", struct.pack("QQQ", os.O_RDONLY, 0, 0), 24)
    opened = raw(OPENAT2, folder, b"two", struct.pack("QQQ", os.O_RDWR, 0, 0), 24)
    made = raw(CREAT, os.fsencode(place / "made"), 0o644)
    for file in (opened, made):
        os.fchmod(file, 0o600)
        os.fchown(file, 3, 3)
        os.utime(file, (7, 8))
        os.fstatvfs(file)
        os.setxattr(file, "user.a", b"value")
        os.getxattr(file, "user.a")
        os.listxattr(file)
        os.removexattr(file, "user.a")
        os.write(file, b"x" * 5000)
        raw(SYNC_FILE_RANGE, file, 0, 4096, 0)
        raw(READAHEAD, file, ctypes.c_long(0), ctypes.c_ulong(4096))
        raw(SYNCFS, file)
        tried(fcntl.ioctl, file, FS_IOC_GETFLAGS, bytearray(8))
        os.close(file)
    os.close(folder)


def listing(place: Path) -> None:
    os.mkdir(place / "many")
    for number in range(30):
        os.close(os.open(place / f"many/{number:03}", CREATE))
    folder = os.open(place / "many", os.O_RDONLY | os.O_DIRECTORY)
    answer = ctypes.create_string_buffer(300)
    while raw(GETDENTS64, folder, answer, 300) > 0:
        pass
    os.lseek(folder, 0, os.SEEK_SET)
    raw(GETDENTS64, folder, answer, 300)
    os.close(folder)


def large(place: Path) -> None:
    """More than one request holds; directly; short at the end."""
    file = os.open(place / "large", CREATE)
    os.write(file, bytes(3 << 20))
    os.pread(file, 4 << 20, 1 << 20)
    os.close(file)
    direct = os.open(place / "large", os.O_RDWR | os.O_DIRECT)
    page = mmap.mmap(-1, 8192)
    os.preadv(direct, [page], 4096)
    os.readv(direct, [page])
    os.pwritev(direct, [page], 8192)
    os.writev(direct, [page])
    os.preadv(direct, [page], (3 << 20) - 4096)
    tried(os.pread, direct, 100, 1)
    os.close(direct)
    source, target = os.open(place / "large", os.O_RDONLY), os.open(place / "target", CREATE)
    os.copy_file_range(source, target, 5000, (3 << 20) - 1000, 7)
    os.lseek(source, 40, os.SEEK_SET)
    os.sendfile(target, source, None, 300)
    os.sendfile(target, source, 100, 300)
    null = os.open("/dev/null", os.O_WRONLY)
    os.sendfile(null, source, 200, 300)
    os.sendfile(null, source, None, 300)
    reader, writer = os.pipe()
    os.splice(source, writer, 500)
    os.splice(reader, target, 100, offset_dst=7000)
    os.splice(reader, target, 100)
    for each in (source, target, null, reader, writer):
        os.close(each)


def maps(place: Path) -> None:
    file = os.open(place / "mapped", CREATE)
    os.ftruncate(file, 8192)
    page = mmap.mmap(file, 4096, offset=4096)
    page[0:4] = b"here"
    page.flush()
    os.pread(file, 4, 4096)
    page.close()
    os.close(file)


class Interrupted(Exception):
    pass


def signals(place: Path) -> None:
    """Calls that a signal ends, and one that goes on after it."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    signal.signal(signal.SIGALRM, interrupt)
    os.mkfifo(place / "quiet")
    fifo = os.open(place / "quiet", os.O_RDWR)
    held, wanted = (os.open(place / "locked", CREATE) for _ in range(2))
    fcntl.flock(held, fcntl.LOCK_EX)
    for function, *arguments in ((os.read, fifo, 10), (fcntl.flock, wanted, fcntl.LOCK_EX)):
        with contextlib.suppress(Interrupted):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            function(*arguments)  # type: ignore[operator]
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    child = os.fork()
    if child == 0:
        os.read(told, 1)
        os.write(fifo, b"at last")
        os._exit(0)
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, False)
    signal.set_wakeup_fd(tell)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    os.read(fifo, 10)
    signal.set_wakeup_fd(-1)
    os.waitpid(child, 0)
    for each in (fifo, held, wanted):
        os.close(each)


def main() -> None:
    directory = Path(sys.argv[1])
    for work in (positions, appends, links, errors, at_directories, listing, large, maps, signals):
        place = directory / work.__name__
        os.mkdir(place)
        work(place)
    os._exit(0)


if __name__ == "__main__":
    main()
