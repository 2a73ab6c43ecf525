"""A few calls of every family, good and bad, on a directory: family.py DIRECTORY. Written so that nothing is left to chance."""

import contextlib
import ctypes
import fcntl
import mmap
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)


def tried(function: Callable[..., object], *arguments: object, **named: object) -> None:
    with contextlib.suppress(OSError):
        function(*arguments, **named)


def raw(number: int, *arguments: object) -> int:
    LIBC.syscall.restype = ctypes.c_long
    return int(LIBC.syscall(ctypes.c_long(number), *arguments))


def data(file: int) -> None:
    os.write(file, b"0123456789" * 100)
    os.pwrite(file, b"abc", 5000)
    os.pread(file, 100, 10)
    os.pread(file, 100, 1 << 20)
    os.lseek(file, 0, os.SEEK_SET)
    os.read(file, 4096)
    os.read(file, 0)
    os.writev(file, [b"one", b"two", b""])
    os.readv(file, [bytearray(10), bytearray(20)])
    os.pwritev(file, [b"x"] * 20, 100)
    os.pwritev(file, [b"x"] * 64, 100)
    os.pwritev(file, [b"x"] * 65, 100)
    os.preadv(file, [bytearray(5), bytearray(6)], 3)
    os.preadv(file, [bytearray(5)], 3, os.RWF_HIPRI)
    os.pwritev(file, [b"sync"], 0, os.RWF_DSYNC)
    os.lseek(file, 0, os.SEEK_END)
    os.lseek(file, 0, os.SEEK_DATA)
    tried(os.lseek, file, 1 << 40, os.SEEK_HOLE)
    os.ftruncate(file, 6000)
    os.posix_fallocate(file, 0, 9000)
    os.fsync(file)
    os.fdatasync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_SEQUENTIAL)


def appended(directory: Path) -> None:
    file = os.open(directory / "appended", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, b"first")
    os.write(file, b"second")
    os.pwrite(file, b"third", 1)
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    fcntl.fcntl(file, fcntl.F_SETFL, flags & ~os.O_APPEND)
    os.pwrite(file, b"FIRST", 0)
    tried(os.read, file, 1)
    os.close(file)


def transfers(directory: Path) -> None:
    source = os.open(directory / "data", os.O_RDONLY)
    target = os.open(directory / "copy", os.O_RDWR | os.O_CREAT)
    os.sendfile(target, source, 0, 500)
    os.sendfile(target, source, None, 500)
    os.copy_file_range(source, target, 300, 0, 1000)
    os.copy_file_range(source, target, 300)
    reader, writer = os.pipe()
    os.splice(source, writer, 200, offset_src=10)
    os.splice(reader, target, 200)
    for each in (source, target, reader, writer):
        os.close(each)


def maps(file: int) -> None:
    shared = mmap.mmap(file, 8192)
    shared[0:5] = b"mmap!"
    private = mmap.mmap(file, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    assert private[0:1]
    shared.close()
    private.close()
    tried(lambda: mmap.mmap(file, 4096, prot=1 << 20, flags=0))


def descriptors(file: int) -> None:
    copy = os.dup(file)
    os.dup2(file, copy)
    fcntl.fcntl(copy, fcntl.F_DUPFD_CLOEXEC, 100)
    fcntl.flock(copy, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(copy, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.fstat(copy)
    os.fstatvfs(copy)
    os.close(copy)
    tried(os.close, copy)
    tried(os.read, copy, 1)
    one, other = socket.socketpair()
    socket.send_fds(one, [b"x"], [file])
    _, received, _, _ = socket.recv_fds(other, 1, 1)
    os.pread(received[0], 3, 0)
    os.close(received[0])


def names(directory: Path) -> None:
    for path in (directory / "data", directory / "missing"):
        for function in (os.stat, os.lstat, os.listdir, os.readlink, os.listxattr, os.unlink, os.statvfs):
            if path.name == "missing" or function is not os.unlink:
                tried(function, path)
        os.access(path, os.R_OK | os.W_OK)
        tried(os.open, path, os.O_RDONLY | os.O_CREAT | os.O_EXCL if path.name == "data" else os.O_RDWR)
        tried(os.chmod, path, 0o600)
        tried(os.chown, path, 0, 0)
        tried(os.utime, path, (1, 2))
        tried(os.truncate, path, 8000)
        tried(os.rename, path, directory / "renamed")
        tried(os.rename, directory / "renamed", path)
        tried(os.link, path, directory / "linked")
        tried(os.setxattr, path, "user.a", b"value")
        tried(os.getxattr, path, "user.a")
        tried(os.getxattr, path, "user.none")
        tried(os.removexattr, path, "user.a")
        tried(os.chdir, path)
    os.symlink("data", directory / "symlink")
    os.readlink(directory / "symlink")
    os.stat(directory / "symlink")
    os.mkfifo(directory / "fifo")
    os.mkdir(directory / "folder")
    tried(os.mkdir, directory / "folder")
    os.mkdir(directory / "folder/inner")
    tried(os.rmdir, directory / "folder")
    folder = os.open(directory / "folder", os.O_RDONLY | os.O_DIRECTORY)
    os.open("at", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
    os.stat("at", dir_fd=folder)
    tried(os.stat, "none", dir_fd=folder)
    os.rename("at", "at2", src_dir_fd=folder, dst_dir_fd=folder)
    os.unlink("at2", dir_fd=folder)
    os.rmdir("inner", dir_fd=folder)
    os.fsync(folder)
    os.listdir(folder)
    os.fchdir(folder)
    os.chdir("/")
    os.close(folder)
    os.rmdir(directory / "folder")
    nameless = os.open(directory, os.O_TMPFILE | os.O_RDWR)
    os.write(nameless, b"nameless")
    os.close(nameless)
    opened = os.open(directory / "data", os.O_PATH)
    tried(os.read, opened, 1)
    os.close(opened)


def gone(directory: Path) -> None:
    """Renamed and unlinked while it is open."""
    file = os.open(directory / "gone", os.O_RDWR | os.O_CREAT)
    os.write(file, b"before")
    os.rename(directory / "gone", directory / "gone2")
    os.write(file, b"between")
    os.unlink(directory / "gone2")
    os.write(file, b"after")
    os.close(file)


def processes(file: int, directory: Path) -> None:
    """A child with an inherited descriptor, threads, an exec."""
    child = os.fork()
    if child == 0:
        os.pread(file, 7, 0)
        os.dup2(file, 0)
        os.execv("/bin/head", ["head", "-c", "11"])
    os.waitpid(child, 0)
    threads = [threading.Thread(target=lambda at=at: os.pread(file, 50 + at, at)) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bystander = os.open("/etc/hostname", os.O_RDONLY)
    os.read(bystander, 10)
    os.close(bystander)
    tried(os.execv, directory / "data", ["data"])


def fifo(directory: Path) -> None:
    both = os.open(directory / "fifo", os.O_RDWR | os.O_NONBLOCK)
    os.write(both, b"through")
    os.read(both, 100)
    with contextlib.suppress(BlockingIOError):
        os.read(both, 100)
    os.close(both)


def main() -> None:
    directory = Path(sys.argv[1])
    file = os.open(directory / "data", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    data(file)
    appended(directory)
    transfers(directory)
    maps(file)
    descriptors(file)
    names(directory)
    gone(directory)
    fifo(directory)
    processes(file, directory)
    os.close(file)
    os._exit(0)


if __name__ == "__main__":
    main()
