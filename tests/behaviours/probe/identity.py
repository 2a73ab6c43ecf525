"""Who owns what is made, and who may do what: other users, groups, umask, sticky directories, real ids."""

import ctypes
import os
import stat
from pathlib import Path

import syscalls
from kit import (
    ANA,
    BEN,
    TEAM,
    as_user,
    behaviour,
    elsewhere,
    fork_and,
    mode_of,
    open_to_all,
    outcome,
    owner_of,
    tried,
    write_file,
)


def _one_of_each(place: Path) -> None:
    write_file(place / "file", b"x")
    os.mkdir(place / "directory")
    os.symlink("target", place / "symlink")
    os.mkfifo(place / "fifo")
    os.mknod(place / "socket", stat.S_IFSOCK | 0o600)
    os.link(place / "file", place / "hardlink")
    descriptor = os.open(place, os.O_TMPFILE | os.O_RDWR, 0o600)
    syscalls.linkat(syscalls.AT_FDCWD, f"/proc/self/fd/{descriptor}", place / "tmpfile", syscalls.AT_SYMLINK_FOLLOW)
    os.close(descriptor)


@behaviour(root=True)
def owner_and_group_of_new_files(place: Path) -> object:
    open_to_all(place)
    made = as_user(lambda: _one_of_each(place), ANA, BEN)
    return made, {one.name: owner_of(one) for one in sorted(place.iterdir())}


@behaviour(root=True)
def owner_of_files_made_as_root(place: Path) -> object:
    _one_of_each(place)
    return {one.name: owner_of(one) for one in sorted(place.iterdir())}


@behaviour(root=True)
def files_made_under_a_setfsuid(place: Path) -> object:
    open_to_all(place)
    syscalls.setfsuid(ANA)
    write_file(place / "file")
    syscalls.setfsuid(0)
    return owner_of(place / "file")


@behaviour(root=True)
def new_files_in_a_setgid_directory_take_its_group(place: Path) -> object:
    os.chown(place, 0, TEAM)
    os.chmod(place, 0o2777)
    made = as_user(lambda: _one_of_each(place))
    return made, {one.name: f"{owner_of(one)}/{mode_of(one)}" for one in sorted(place.iterdir())}


@behaviour(root=True)
def a_setgid_executable_made_by_a_non_member(place: Path) -> object:
    os.chown(place, 0, TEAM)
    os.chmod(place, 0o2777)
    made = as_user(lambda: write_file(place / "file", b"", 0o2775))
    return made, mode_of(place / "file")


@behaviour(root=True)
def a_supplementary_group_lets_one_create_rename_and_unlink(place: Path) -> object:
    os.chown(place, 0, TEAM)
    os.chmod(place, 0o775)

    def work() -> object:
        return (
            outcome(write_file, place / "a"),
            outcome(os.mkdir, place / "d"),
            outcome(os.rename, place / "a", place / "d/b"),
            outcome(os.unlink, place / "d/b"),
            outcome(os.rmdir, place / "d"),
            outcome(os.symlink, "x", place / "s"),
        )

    return {"member": as_user(work, groups=[TEAM]), "stranger": as_user(work, BEN)}


@behaviour(root=True)
def a_supplementary_group_lets_one_write_a_file(place: Path) -> object:
    file = place / "file"
    write_file(file, b"", 0o664)
    os.chown(file, 0, TEAM)
    os.chmod(file, 0o664)
    return {
        "member": as_user(lambda: write_file(file, b"m"), groups=[TEAM]),
        "stranger": as_user(lambda: write_file(file, b"s")),
        "truncate by member": as_user(lambda: os.truncate(file, 0), groups=[TEAM]),
        "truncate by stranger": as_user(lambda: os.truncate(file, 0)),
    }


@behaviour(root=True)
def chgrp_by_its_owner(place: Path) -> object:
    file = place / "file"
    write_file(file)
    os.chown(file, ANA, ANA)
    return {
        "to own supplementary group": as_user(lambda: os.chown(file, -1, TEAM), groups=[TEAM]),
        "then": owner_of(file),
        "to a foreign group": as_user(lambda: os.chown(file, -1, BEN), groups=[TEAM]),
        "to another owner": as_user(lambda: os.chown(file, BEN, -1)),
        "nothing": as_user(lambda: os.chown(file, -1, -1)),
    }


@behaviour(root=True)
def a_stranger_changes_attributes(place: Path) -> object:
    file = place / "file"
    write_file(file, b"", 0o666)
    os.chmod(file, 0o666)
    return {
        "chmod": as_user(lambda: os.chmod(file, 0o600)),
        "chown": as_user(lambda: os.chown(file, ANA, ANA)),
        "times set": as_user(lambda: os.utime(file, (1, 1))),
        "times now": as_user(lambda: os.utime(file)),
        "xattr": as_user(lambda: os.setxattr(file, "user.a", b"1")),
        "noatime": as_user(lambda: os.close(os.open(file, os.O_RDONLY | os.O_NOATIME))),
    }


@behaviour
def umask_cuts_modes(place: Path) -> object:
    os.umask(0o027)
    write_file(place / "file", b"", 0o666)
    os.mkdir(place / "directory", 0o777)
    os.mkfifo(place / "fifo", 0o666)
    os.umask(0o777)
    write_file(place / "nothing", b"", 0o666)
    os.umask(0)
    write_file(place / "all", b"", 0o777)
    os.mkdir(place / "sticky", 0o1777)
    return {one.name: mode_of(one) for one in sorted(place.iterdir())}


@behaviour
def umask_belongs_to_each_process(place: Path) -> object:
    def make(mask: int) -> object:
        os.umask(mask)
        for number in range(60):
            write_file(place / f"{mask:o}-{number}", b"", 0o666)
        return None

    waiting = [fork_and(lambda mask=mask: make(mask)) for mask in (0o000, 0o022, 0o077)]
    for wait in waiting:
        wait()
    return sorted({f"{one.name.split('-')[0]}:{mode_of(one)}" for one in place.iterdir()})


@behaviour(root=True)
def ids_belong_to_each_process(place: Path) -> object:
    open_to_all(place)

    def make(uid: int) -> object:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        for number in range(60):
            write_file(place / f"{uid}-{number}", b"")
        return None

    waiting = [fork_and(lambda uid=uid: make(uid)) for uid in (ANA, BEN, 1003, 1004)]
    for wait in waiting:
        wait()
    return sorted({f"{one.name.split('-')[0]}:{owner_of(one)}" for one in place.iterdir()})


@behaviour(root=True)
def a_sticky_directory_guards_its_files(place: Path) -> object:
    os.chmod(place, 0o1777)
    for name in ("a", "b", "c"):
        as_user(lambda name=name: write_file(place / name), ANA)
    return {
        "unlink by another": as_user(lambda: os.unlink(place / "a"), BEN),
        "rename by another": as_user(lambda: os.rename(place / "a", place / "z"), BEN),
        "replace by another": as_user(
            lambda: (write_file(place / "mine"), os.rename(place / "mine", place / "b"))[1], BEN
        ),
        "unlink by owner": as_user(lambda: os.unlink(place / "a"), ANA),
        "unlink by root": outcome(os.unlink, place / "b"),
    }


@behaviour(root=True)
def access_asks_for_the_real_user(place: Path) -> object:
    file = place / "file"
    write_file(file, b"", 0o600)

    def ask() -> object:
        os.setresuid(ANA, 0, 0)
        return os.access(file, os.R_OK), os.access(file, os.R_OK, effective_ids=True), os.access(file, os.F_OK)

    return elsewhere(ask)


@behaviour(root=True)
def access_of_a_plain_user(place: Path) -> object:
    for mode in (0o000, 0o400, 0o040, 0o004, 0o700, 0o070, 0o007, 0o111):
        write_file(place / f"{mode:03o}")
        os.chmod(place / f"{mode:03o}", mode)
        os.chown(place / f"{mode:03o}", ANA, TEAM)

    def ask() -> object:
        return [
            "".join("rwx"[at] if os.access(one, what) else "-" for at, what in enumerate((os.R_OK, os.W_OK, os.X_OK)))
            for one in sorted(place.iterdir())
        ]

    return {"owner": as_user(ask), "group": as_user(ask, BEN, groups=[TEAM]), "other": as_user(ask, BEN), "root": ask()}


@behaviour(root=True)
def directories_without_search_or_read_permission(place: Path) -> object:
    for mode in (0o744, 0o711, 0o700):
        inner = place / f"{mode:o}"
        os.mkdir(inner)
        write_file(inner / "file", b"x", 0o644)
        os.chmod(inner, mode)

    def ask() -> object:
        return [
            (
                one.name,
                tried(os.listdir, one),
                tried(os.stat, one / "file"),
                tried(os.open, one / "file", os.O_RDONLY),
                tried(os.chdir, one),
                tried(write_file, one / "new"),
            )
            for one in sorted(place.iterdir())
        ]

    return as_user(ask)


@behaviour(root=True)
def root_without_capabilities_is_nobody_special(place: Path) -> object:
    file = place / "file"
    write_file(file, b"", 0o600)
    os.chown(file, ANA, ANA)

    def ask() -> object:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        syscalls.checked(syscalls.libc.capset(header, (ctypes.c_uint32 * 6)()))
        return tried(os.open, file, os.O_RDONLY), tried(os.chmod, file, 0o644), tried(os.chown, file, 0, 0)

    return elsewhere(ask)


@behaviour(root=True)
def device_nodes_by_an_ordinary_user(place: Path) -> object:
    open_to_all(place)
    null = os.makedev(1, 3)
    return {
        "char": as_user(lambda: os.mknod(place / "char", stat.S_IFCHR | 0o666, null)),
        "block": as_user(lambda: os.mknod(place / "block", stat.S_IFBLK | 0o666, os.makedev(7, 0))),
        "file": as_user(lambda: os.mknod(place / "file", stat.S_IFREG | 0o640)),
        "fifo": as_user(lambda: os.mknod(place / "fifo", stat.S_IFIFO | 0o640)),
    }
