"""Extended attributes: every namespace, every size, every refusal."""

import ctypes
import os
import stat
from pathlib import Path

import syscalls
from kit import ANA, as_user, behaviour, outcome, tried, write_file


@behaviour
def user_attributes(place: Path) -> object:
    file = place / "file"
    write_file(file)
    return {
        "set": tried(os.setxattr, file, "user.a", b"one"),
        "get": os.getxattr(file, "user.a"),
        "create again": tried(os.setxattr, file, "user.a", b"x", os.XATTR_CREATE),
        "replace": tried(os.setxattr, file, "user.a", b"two", os.XATTR_REPLACE),
        "replace missing": tried(os.setxattr, file, "user.no", b"x", os.XATTR_REPLACE),
        "create": tried(os.setxattr, file, "user.b", b"", os.XATTR_CREATE),
        "empty": os.getxattr(file, "user.b"),
        "missing": outcome(os.getxattr, file, "user.no"),
        "list": sorted(os.listxattr(file)),
        "remove": tried(os.removexattr, file, "user.a"),
        "again": tried(os.removexattr, file, "user.a"),
        "value": os.getxattr(file, "user.b"),
        "left": os.listxattr(file),
        "both flags": tried(os.setxattr, file, "user.c", b"x", os.XATTR_CREATE | os.XATTR_REPLACE),
    }


@behaviour
def sizes_of_attribute_queries(place: Path) -> object:
    file = place / "file"
    write_file(file)
    os.setxattr(file, "user.a", b"x" * 100)
    os.setxattr(file, "user.bb", b"y")

    def get(size: int) -> object:
        return outcome(
            lambda: syscalls.checked(
                syscalls.libc.getxattr(
                    os.fsencode(file), b"user.a", ctypes.create_string_buffer(max(size, 1)), ctypes.c_size_t(size)
                )
            )
        )

    def listed(size: int) -> object:
        return outcome(
            lambda: syscalls.checked(
                syscalls.libc.listxattr(
                    os.fsencode(file), ctypes.create_string_buffer(max(size, 1)), ctypes.c_size_t(size)
                )
            )
        )

    return [(size, get(size)) for size in (0, 1, 99, 100, 200)], [(size, listed(size)) for size in (0, 1, 14, 15, 100)]


@behaviour
def long_names_and_values(place: Path) -> object:
    file = place / "file"
    write_file(file)
    longest = "user." + "n" * 250
    return {
        "name of 255": tried(os.setxattr, file, longest, b"x"),
        "name of 256": tried(os.setxattr, file, longest + "n", b"x"),
        "get 255": os.getxattr(file, longest),
        "get 256": outcome(os.getxattr, file, longest + "n"),
        "value over 64 KiB": tried(os.setxattr, file, "user.big", b"x" * 65537),
        "value of 64 KiB": tried(os.setxattr, file, "user.big", b"x" * 65536),
        "value of 3000": tried(os.setxattr, file, "user.mid", b"y" * 3000),
        "back": len(os.getxattr(file, "user.mid")),
        "empty name": tried(os.setxattr, file, "", b"x"),
        "prefix only": tried(os.setxattr, file, "user.", b"x"),
        "bytes": (tried(os.setxattr, file, b"user.\xff\n", b"\x00\xff"), os.getxattr(file, b"user.\xff\n")),
    }


@behaviour
def namespaces_of_attributes(place: Path) -> object:
    file = place / "file"
    write_file(file)
    answers = {}
    for name in ("nothing", "other.a", "system.a", "system.nfs4_acl", "os2.a", "user.a", "btrfs.a"):
        answers[name] = (
            tried(os.setxattr, file, name, b"x"),
            tried(os.getxattr, file, name),
            tried(os.removexattr, file, name),
        )
    return answers


@behaviour(root=True)
def trusted_and_security_attributes(place: Path) -> object:
    file = place / "file"
    write_file(file)
    os.chmod(file, 0o666)
    return {
        "trusted": tried(os.setxattr, file, "trusted.a", b"t"),
        "security": tried(os.setxattr, file, "security.a", b"s"),
        "user": tried(os.setxattr, file, "user.a", b"u"),
        "root lists": sorted(os.listxattr(file)),
        "user lists": as_user(lambda: sorted(os.listxattr(file))),
        "user gets trusted": as_user(lambda: os.getxattr(file, "trusted.a")),
        "user sets trusted": as_user(lambda: os.setxattr(file, "trusted.b", b"x")),
        "user gets security": as_user(lambda: os.getxattr(file, "security.a")),
        "user removes trusted": as_user(lambda: os.removexattr(file, "trusted.a")),
    }


@behaviour(root=True)
def attributes_of_unreadable_files(place: Path) -> object:
    file = place / "file"
    write_file(file)
    os.setxattr(file, "user.a", b"u")
    os.chmod(file, 0o200)
    os.chown(file, ANA, ANA)
    first = as_user(lambda: os.getxattr(file, "user.a")), as_user(lambda: os.setxattr(file, "user.b", b"x"))
    os.chmod(file, 0o400)
    return (
        first,
        as_user(lambda: os.getxattr(file, "user.a")),
        as_user(lambda: os.setxattr(file, "user.b", b"x")),
        as_user(lambda: os.listxattr(file), 1002),
    )


@behaviour
def attributes_of_links_and_special_files(place: Path) -> object:
    write_file(place / "file")
    os.symlink("file", place / "link")
    os.mkfifo(place / "fifo")
    os.mkdir(place / "d")
    return {
        "link itself": tried(os.setxattr, place / "link", "user.a", b"x", follow_symlinks=False),
        "through": tried(os.setxattr, place / "link", "user.a", b"x"),
        "file": os.listxattr(place / "file"),
        "fifo": tried(os.setxattr, place / "fifo", "user.a", b"x"),
        "get of fifo": tried(os.getxattr, place / "fifo", "user.a"),
        "directory": tried(os.setxattr, place / "d", "user.a", b"x"),
        "list of link": os.listxattr(place / "link", follow_symlinks=False),
    }


@behaviour(root=True)
def trusted_attributes_of_links_and_special_files(place: Path) -> object:
    os.symlink("nowhere", place / "link")
    os.mkfifo(place / "fifo")
    os.mknod(place / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    answers = []
    for name in ("link", "fifo", "null"):
        done = tried(os.setxattr, place / name, "trusted.a", b"x", follow_symlinks=False)
        answers.append(
            (
                name,
                done,
                outcome(os.getxattr, place / name, "trusted.a", follow_symlinks=False),
                os.listxattr(place / name, follow_symlinks=False),
                tried(os.removexattr, place / name, "trusted.a", follow_symlinks=False),
            )
        )
    return answers


@behaviour(root=True)
def attributes_of_sticky_directories(place: Path) -> object:
    os.mkdir(place / "d")
    os.chmod(place / "d", 0o1777)
    open_one = as_user(lambda: os.setxattr(place / "d", "user.a", b"x"))
    os.chmod(place / "d", 0o777)
    return open_one, as_user(lambda: os.setxattr(place / "d", "user.a", b"x"))


@behaviour
def attributes_by_descriptor_and_after_rename(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.setxattr(descriptor, "user.a", b"1")
    os.rename(place / "file", place / "moved")
    os.link(place / "moved", place / "link")
    reading = os.open(place / "link", os.O_RDONLY)
    return (
        os.getxattr(reading, "user.a"),
        tried(os.setxattr, reading, "user.b", b"2"),
        sorted(os.listxattr(place / "moved")),
    )


@behaviour
def fifty_attributes(place: Path) -> object:
    write_file(place / "file")
    done = [tried(os.setxattr, place / "file", f"user.number-{number:02}", b"v" * 20) for number in range(50)]
    listed = os.listxattr(place / "file")
    values = {os.getxattr(place / "file", name) for name in listed}
    return done.count("ok"), len(listed), len(set(listed)), values
