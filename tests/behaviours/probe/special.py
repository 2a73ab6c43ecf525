"""Fifos, sockets, devices, programs, ioctls, notifications, handles: what is not a plain file or directory."""

import array
import contextlib
import fcntl
import os
import select
import shutil
import socket
import stat
import struct
import subprocess
from pathlib import Path

import syscalls
from kit import behaviour, fork_and, outcome, tried, write_file

GETFLAGS, SETFLAGS, GETVERSION = 0x80086601, 0x40086602, 0x80087601
FSGETXATTR, FSSETXATTR = 0x801C581F, 0x401C5820
FICLONE, FIEMAP, FITRIM, FIGETBSZ, FIONREAD, TCGETS = 0x40049409, 0xC020660B, 0xC0185879, 2, 0x541B, 0x5401
APPEND_FLAG, IMMUTABLE_FLAG, NODUMP_FLAG, NOATIME_FLAG = 0x20, 0x10, 0x40, 0x80
IN_ALL = 0xFFF


@behaviour
def fifos_carry_bytes_between_processes(place: Path) -> object:
    os.mkfifo(place / "fifo", 0o600)
    no_reader = tried(os.open, place / "fifo", os.O_WRONLY | os.O_NONBLOCK)
    answer = fork_and(lambda: os.read(os.open(place / "fifo", os.O_RDONLY), 100))
    writer = os.open(place / "fifo", os.O_WRONLY)
    os.write(writer, b"through")
    return no_reader, answer(), stat.S_ISFIFO(os.fstat(writer).st_mode), tried(os.lseek, writer, 0, os.SEEK_SET)


@behaviour
def sockets_accept_where_they_are_bound(place: Path) -> object:
    os.chdir(place)
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket")
    server.listen()

    def client() -> object:
        one = socket.socket(socket.AF_UNIX)
        one.connect("moved")
        return one.recv(10)

    again = tried(socket.socket(socket.AF_UNIX).bind, "socket")
    os.rename("socket", "moved")
    answer = fork_and(client)
    server.accept()[0].send(b"hello")
    kind = stat.S_ISSOCK(os.stat("moved").st_mode)
    os.unlink("moved")
    return (
        again,
        answer(),
        kind,
        tried(socket.socket(socket.AF_UNIX).connect, "moved"),
        tried(os.open, "moved", os.O_RDONLY),
    )


@behaviour(root=True)
def device_nodes_work(place: Path) -> object:
    os.mknod(place / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.mknod(place / "block", stat.S_IFBLK | 0o600, os.makedev(259, 77))
    facts = os.stat(place / "zero")
    zeros = outcome(lambda: os.read(os.open(place / "zero", os.O_RDONLY), 3))
    return (
        zeros,
        os.major(facts.st_rdev),
        os.minor(facts.st_rdev),
        os.stat(place / "block").st_rdev == os.makedev(259, 77),
        stat.S_ISBLK(os.stat(place / "block").st_mode),
    )


@behaviour
def programs_run(place: Path) -> object:
    shutil.copy("/bin/echo", place / "echo")
    write_file(place / "script", b"#!/bin/sh\necho script $1\n", 0o755)
    write_file(place / "plain", b"#!/bin/sh\necho no\n", 0o644)

    def said(words: tuple[str, ...]) -> str:
        return subprocess.run(words, capture_output=True, text=True).stdout.strip()

    def run(*words: str) -> object:
        return outcome(said, words)

    return (
        run(str(place / "echo"), "binary"),
        run(str(place / "script"), "works"),
        run(str(place / "plain")),
        run(str(place)),
    )


@behaviour
def a_running_program_is_not_written(place: Path) -> object:
    shutil.copy("/bin/sleep", place / "sleep")
    running = subprocess.Popen([place / "sleep", "30"])
    while os.readlink(f"/proc/{running.pid}/exe").rsplit("/", 1)[1] != "sleep":
        pass
    answers = (
        tried(os.open, place / "sleep", os.O_WRONLY),
        tried(os.open, place / "sleep", os.O_WRONLY | os.O_TRUNC),
        tried(os.open, place / "sleep", os.O_RDONLY | os.O_TRUNC),
        tried(os.truncate, place / "sleep", 0),
        tried(os.open, place / "sleep", os.O_RDONLY),
        os.stat(place / "sleep").st_size == os.stat("/bin/sleep").st_size,
        running.poll(),
    )
    removed = tried(os.unlink, place / "sleep")
    running.kill()
    running.wait()
    return answers, removed


@behaviour
def a_written_program_is_not_run(place: Path) -> object:
    shutil.copy("/bin/true", place / "true")
    writing = os.open(place / "true", os.O_WRONLY)
    busy = tried(subprocess.run, [str(place / "true")])
    os.close(writing)
    return busy, tried(subprocess.run, [str(place / "true")])


@behaviour
def libraries_load(place: Path) -> object:
    library = next(
        Path(line.split()[-1])
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "/libc.so" in line or "/libc-" in line
    )
    shutil.copy(library, place / "copy.so")
    return outcome(lambda: syscalls.ctypes.CDLL(str(place / "copy.so")).abs(-5))


def _ioctl_number(descriptor: int, command: int) -> int:
    value = array.array("l", [0])
    fcntl.ioctl(descriptor, command, value)
    return value[0] & 0xFFFFFFFF


@behaviour
def file_flags_are_read_and_set(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    before = _ioctl_number(descriptor, GETFLAGS)
    done = tried(fcntl.ioctl, descriptor, SETFLAGS, array.array("l", [before | NODUMP_FLAG | NOATIME_FLAG]))
    after = _ioctl_number(descriptor, GETFLAGS)
    fcntl.ioctl(descriptor, SETFLAGS, array.array("l", [before]))
    os.mkdir(place / "d")
    folder = os.open(place / "d", os.O_RDONLY)
    return (
        hex(before),
        done,
        hex(after),
        hex(_ioctl_number(descriptor, GETFLAGS)),
        hex(_ioctl_number(folder, GETFLAGS)),
        tried(_ioctl_number, descriptor, GETVERSION),
    )


@behaviour
def extended_file_flags(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    buffer = bytearray(28)
    got = tried(fcntl.ioctl, descriptor, FSGETXATTR, buffer)
    flags, extent, _, project = struct.unpack_from("<4I", buffer)
    struct.pack_into("<I", buffer, 0, flags | 0x80)
    done = tried(fcntl.ioctl, descriptor, FSSETXATTR, buffer)
    again = bytearray(28)
    fcntl.ioctl(descriptor, FSGETXATTR, again)
    return got, hex(flags), extent, project, done, hex(struct.unpack_from("<I", again)[0])


@behaviour(root=True)
def append_only_files(place: Path) -> object:
    file = place / "file"
    write_file(file, b"first")
    descriptor = os.open(file, os.O_RDONLY)
    done = tried(
        fcntl.ioctl, descriptor, SETFLAGS, array.array("l", [_ioctl_number(descriptor, GETFLAGS) | APPEND_FLAG])
    )
    answers = {
        "set": done,
        "append": outcome(lambda: os.write(os.open(file, os.O_WRONLY | os.O_APPEND), b"+more")),
        "write": tried(os.open, file, os.O_WRONLY),
        "truncate": tried(os.truncate, file, 0),
        "unlink": tried(os.unlink, file),
        "rename": tried(os.rename, file, place / "x"),
        "chmod": tried(os.chmod, file, 0o600),
        "trunc at open": tried(os.open, file, os.O_WRONLY | os.O_APPEND | os.O_TRUNC),
        "read": os.read(descriptor, 100),
        "link": tried(os.link, file, place / "y"),
    }
    fcntl.ioctl(descriptor, SETFLAGS, array.array("l", [_ioctl_number(descriptor, GETFLAGS) & ~APPEND_FLAG]))
    return answers, tried(os.unlink, file)


@behaviour(root=True)
def immutable_files(place: Path) -> object:
    file = place / "file"
    write_file(file, b"first")
    descriptor = os.open(file, os.O_RDONLY)
    done = tried(
        fcntl.ioctl, descriptor, SETFLAGS, array.array("l", [_ioctl_number(descriptor, GETFLAGS) | IMMUTABLE_FLAG])
    )
    answers = {
        "set": done,
        "write": tried(os.open, file, os.O_WRONLY),
        "chmod": tried(os.chmod, file, 0o600),
        "chown": tried(os.chown, file, 1, 1),
        "times": tried(os.utime, file, (1, 1)),
        "xattr": tried(os.setxattr, file, "user.a", b"x"),
        "unlink": tried(os.unlink, file),
        "link": tried(os.link, file, place / "y"),
        "read": os.read(descriptor, 100),
        "access": os.access(file, os.W_OK),
    }
    fcntl.ioctl(descriptor, SETFLAGS, array.array("l", [_ioctl_number(descriptor, GETFLAGS) & ~IMMUTABLE_FLAG]))
    return answers, tried(os.unlink, file)


@behaviour
def ioctls_that_are_none(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"12345")
    os.lseek(descriptor, 2, os.SEEK_SET)
    return {
        "terminal": tried(fcntl.ioctl, descriptor, TCGETS, bytearray(64)),
        "unknown": tried(fcntl.ioctl, descriptor, 0xC0FFEE, bytearray(64)),
        "bytes to read": outcome(lambda: struct.unpack("i", fcntl.ioctl(descriptor, FIONREAD, b"\0" * 4))[0]),
        "isatty": os.isatty(descriptor),
        "block size": outcome(lambda: struct.unpack("i", fcntl.ioctl(descriptor, FIGETBSZ, b"\0" * 4))[0]),
    }


@behaviour
def cloning_and_extent_ioctls(place: Path) -> object:
    one = os.open(place / "one", os.O_CREAT | os.O_RDWR, 0o644)
    two = os.open(place / "two", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(one, b"x" * 10_000)
    return {
        "clone": tried(fcntl.ioctl, two, FICLONE, one),
        "extents": tried(fcntl.ioctl, one, FIEMAP, bytearray(struct.pack("<QQIIII", 0, 1 << 40, 1, 0, 0, 0))),
    }


@behaviour
def file_handles(place: Path) -> object:
    write_file(place / "file")
    return tried(syscalls.name_to_handle_at, place / "file"), tried(syscalls.name_to_handle_at, place)


@behaviour
def readiness_of_files(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLOUT | select.POLLPRI)
    events = poll.poll(0)[0][1]
    epoll = select.epoll()
    return (
        events,
        tried(epoll.register, descriptor),
        [len(one) for one in select.select([descriptor], [descriptor], [], 0)],
    )


def _events(watch: int) -> list[str]:
    """What has been notified so far, by name of the event."""
    names = {
        1: "access",
        2: "modify",
        4: "attrib",
        8: "close_write",
        16: "close_nowrite",
        32: "open",
        64: "moved_from",
        128: "moved_to",
        256: "create",
        512: "delete",
    }
    found, blob = [], b""
    os.set_blocking(watch, False)
    with contextlib.suppress(BlockingIOError):
        blob = os.read(watch, 65536)
    at = 0
    while at < len(blob):
        _, mask, _, length = struct.unpack_from("iIII", blob, at)
        found.append(
            "+".join(name for bit, name in names.items() if mask & bit)
            + ":"
            + blob[at + 16 : at + 16 + length].rstrip(b"\0").decode()
        )
        at += 16 + length
    return found


@behaviour
def notifications_of_changes_through_the_same_way(place: Path) -> object:
    watch = syscalls.checked(syscalls.libc.inotify_init1(0))
    syscalls.checked(syscalls.libc.inotify_add_watch(watch, os.fsencode(place), IN_ALL & ~(1 | 16 | 32)))
    write_file(place / "a", b"x")
    os.chmod(place / "a", 0o600)
    os.rename(place / "a", place / "b")
    os.mkdir(place / "d")
    os.truncate(place / "b", 0)
    os.unlink(place / "b")
    return _events(watch)


@behaviour
def hints_and_seals(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    hint = array.array("Q", [2])
    return (
        tried(fcntl.fcntl, descriptor, 1036, hint.tobytes()),
        tried(fcntl.fcntl, descriptor, 1033, 0),
        tried(fcntl.fcntl, descriptor, fcntl.F_GETFD),
    )


@behaviour
def reads_through_other_system_calls(place: Path) -> object:
    write_file(place / "file", b"0123456789" * 10_000)
    with open(place / "file", "rb") as stream:
        lines = stream.read(10), stream.seek(99_995), stream.read(), stream.read()
    copied = shutil.copyfile(place / "file", place / "copy") and (place / "copy").stat().st_size
    archive = subprocess.run(
        ["tar", "cf", str(place / "a.tar"), "-C", str(place), "file"], capture_output=True
    ).returncode
    return lines, copied, archive, subprocess.run(["cmp", place / "file", place / "copy"]).returncode
