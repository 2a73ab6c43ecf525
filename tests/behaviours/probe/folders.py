"""Directories as things: removed while open, current directory, link counts, times, chroot."""

import os
from pathlib import Path

from kit import behaviour, elsewhere, let_clock_advance, outcome, tried, write_file


@behaviour
def a_directory_removed_while_open(place: Path) -> object:
    os.mkdir(place / "d")
    folder = os.open(place / "d", os.O_RDONLY)
    os.rmdir(place / "d")
    return {
        "links": os.fstat(folder).st_nlink,
        "list": outcome(os.listdir, folder),
        "create": tried(lambda: os.open("x", os.O_CREAT | os.O_RDWR, 0o644, dir_fd=folder)),
        "mkdir": tried(os.mkdir, "x", dir_fd=folder),
        "stat": tried(os.stat, "x", dir_fd=folder),
        "parent": tried(os.stat, "..", dir_fd=folder),
        "chmod": tried(os.fchmod, folder, 0o700),
        "sync": tried(os.fsync, folder),
    }


@behaviour
def a_current_directory_that_is_removed(place: Path) -> object:
    os.mkdir(place / "d")
    os.chdir(place / "d")
    os.rmdir(place / "d")
    return {
        "getcwd": outcome(os.getcwd),
        "list": outcome(os.listdir, "."),
        "create": tried(write_file, "x"),
        "stat": tried(os.stat, "."),
        "up": tried(os.stat, ".."),
        "proc": os.readlink("/proc/self/cwd").removeprefix(str(place)),
        "chdir": tried(os.chdir, "."),
    }


@behaviour
def a_directory_made_again_under_its_old_name(place: Path) -> object:
    os.mkdir(place / "d")
    old = os.open(place / "d", os.O_RDONLY)
    os.rmdir(place / "d")
    os.mkdir(place / "d")
    write_file(place / "d/new")
    return outcome(os.listdir, old), os.listdir(place / "d"), tried(os.stat, "new", dir_fd=old)


@behaviour
def link_counts_of_directories(place: Path) -> object:
    counts = [os.stat(place).st_nlink]
    for name in ("a", "b", "c"):
        os.mkdir(place / name)
    counts.append(os.stat(place).st_nlink)
    write_file(place / "file")
    os.rmdir(place / "a")
    counts.append(os.stat(place).st_nlink)
    os.rename(place / "b", place / "c/b")
    counts.append(os.stat(place).st_nlink)
    counts.append(os.stat(place / "c").st_nlink)
    return counts


@behaviour
def current_directory_and_relative_names(place: Path) -> object:
    os.makedirs(place / "a/b")
    os.chdir(place / "a")
    write_file("b/file", b"x")
    write_file("../top", b"y")
    os.chdir("b")
    return (
        os.getcwd().removeprefix(str(place)),
        sorted(os.listdir("../..")),
        os.stat("../../top").st_size,
        os.path.realpath("../b/file").removeprefix(str(place)),
    )


@behaviour
def times_of_a_directory(place: Path) -> object:
    answers = {}
    os.mkdir(place / "d")
    for name, work in (
        ("create", lambda: write_file(place / "d/a")),
        ("write", lambda: write_file(place / "d/a", b"x")),
        ("link", lambda: os.link(place / "d/a", place / "d/b")),
        ("chmod child", lambda: os.chmod(place / "d/a", 0o600)),
        ("unlink", lambda: os.unlink(place / "d/b")),
        ("mkdir", lambda: os.mkdir(place / "d/c")),
        ("symlink", lambda: os.symlink("x", place / "d/s")),
        ("chmod", lambda: os.chmod(place / "d", 0o700)),
        ("list", lambda: os.listdir(place / "d")),
    ):
        before = os.stat(place / "d")
        let_clock_advance()
        work()
        after = os.stat(place / "d")
        answers[name] = (
            f"{'m' if after.st_mtime_ns > before.st_mtime_ns else '-'}"
            f"{'c' if after.st_ctime_ns > before.st_ctime_ns else '-'}"
        )
    return answers


@behaviour(root=True)
def a_changed_root(place: Path) -> object:
    os.makedirs(place / "root/etc")
    write_file(place / "root/etc/file", b"inside")
    os.symlink("/etc/file", place / "root/link")

    def inside() -> object:
        os.chroot(place / "root")
        os.chdir("/")
        return sorted(os.listdir("/")), os.stat("/link").st_size, tried(os.stat, "/../../proc"), os.getcwd()

    return elsewhere(inside)


@behaviour
def dot_and_dot_dot(place: Path) -> object:
    os.makedirs(place / "a/b")
    return (
        os.stat(place / "a/b/..").st_ino == os.stat(place / "a").st_ino,
        os.stat(f"{place}/a/.").st_ino == os.stat(place / "a").st_ino,
        os.stat(f"{place}/a/b/../../a/b").st_ino == os.stat(place / "a/b").st_ino,
        tried(os.stat, place / "a/x/.."),
    )


@behaviour
def one_device_for_everything(place: Path) -> object:
    os.makedirs(place / "a/b")
    write_file(place / "a/file")
    os.symlink("x", place / "link")
    devices = {os.lstat(one).st_dev for one in (place, place / "a", place / "a/b", place / "a/file", place / "link")}
    return len(devices), os.stat("/proc").st_dev in devices, os.path.ismount(place)


@behaviour
def inode_numbers_are_stable_and_distinct(place: Path) -> object:
    for number in range(200):
        write_file(place / f"{number}")
    first = [os.stat(place / f"{number}").st_ino for number in range(200)]
    again = [os.stat(place / f"{number}").st_ino for number in range(200)]
    return first == again, len(set(first))
