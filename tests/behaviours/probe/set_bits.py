"""When suid, sgid and file capabilities vanish: by writes, truncation, chown, fallocate; and when they stay."""

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import syscalls
from kit import ANA, BEN, TEAM, as_user, behaviour, mode_of, open_to_all, outcome, tried, write_file

CAPABILITY = "security.capability"
# VFS_CAP_REVISION_2 with the effective bit, CAP_NET_RAW permitted.
NET_RAW = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)


def _set_bits(file: Path, mode: int = 0o6777, owner: int = 0, group: int = 0) -> None:
    write_file(file, b"0123456789" * 1000)
    os.chown(file, owner, group)
    os.chmod(file, mode)


def _opened(file: Path, flags: int, work: Callable[[int], object]) -> object:
    descriptor = os.open(file, flags)
    try:
        return work(descriptor)
    finally:
        os.close(descriptor)


WAYS: dict[str, Callable[[Path], object]] = {
    "write": lambda f: _opened(f, os.O_WRONLY, lambda d: os.write(d, b"x")),
    "pwrite": lambda f: _opened(f, os.O_RDWR, lambda d: os.pwrite(d, b"x", 5)),
    "append": lambda f: _opened(f, os.O_WRONLY | os.O_APPEND, lambda d: os.write(d, b"x")),
    "truncate": lambda f: os.truncate(f, 10),
    "ftruncate": lambda f: _opened(f, os.O_RDWR, lambda d: os.ftruncate(d, 20)),
    "truncate same": lambda f: os.truncate(f, 10000),
    "O_TRUNC": lambda f: _opened(f, os.O_WRONLY | os.O_TRUNC, lambda d: None),
    "fallocate": lambda f: _opened(f, os.O_RDWR, lambda d: syscalls.fallocate(d, 0, 0, 30000)),
    "punch": lambda f: _opened(f, os.O_RDWR, lambda d: syscalls.fallocate(d, 3, 0, 4096)),
    "open only": lambda f: _opened(f, os.O_RDWR, lambda d: None),
    "zero bytes": lambda f: _opened(f, os.O_RDWR, lambda d: os.write(d, b"")),
}


def _after_each_way(place: Path, run: Callable[[Callable[[], object]], object], mode: int) -> dict[str, str]:
    answers = {}
    for name, way in WAYS.items():
        file = place / name
        _set_bits(file, mode)
        done = run(lambda file=file, way=way: way(file))
        answers[name] = mode_of(file) if not str(done).startswith("E") else str(done)
    return answers


@behaviour(root=True)
def suid_and_sgid_after_changes_by_a_user(place: Path) -> object:
    return _after_each_way(place, as_user, 0o6777)


@behaviour(root=True)
def suid_and_sgid_after_changes_by_root(place: Path) -> object:
    return _after_each_way(place, outcome, 0o6777)


@behaviour(root=True)
def sgid_without_group_execution_after_changes_by_a_user(place: Path) -> object:
    return _after_each_way(place, as_user, 0o6766)


@behaviour
def suid_after_the_owners_own_write(place: Path) -> object:
    file = place / "file"
    write_file(file, b"abc")
    os.chmod(file, 0o6755)
    with open(file, "r+b") as stream:
        stream.write(b"x")
    return mode_of(file) if os.geteuid() else ("root", mode_of(file))


@behaviour(root=True)
def suid_and_sgid_after_chown(place: Path) -> object:
    answers = {}
    for name, mode, owner, group in (
        ("by root", 0o6755, ANA, ANA),
        ("group only", 0o6755, -1, TEAM),
        ("unchanged", 0o6755, -1, -1),
        ("no group execution", 0o6744, ANA, TEAM),
        ("not executable", 0o6644, ANA, ANA),
    ):
        _set_bits(place / name, mode)
        os.chown(place / name, owner, group)
        answers[name] = mode_of(place / name)
    os.mkdir(place / "directory")
    os.chmod(place / "directory", 0o6755)
    os.chown(place / "directory", ANA, ANA)
    answers["directory"] = mode_of(place / "directory")
    _set_bits(place / "by owner", 0o6755, ANA, ANA)
    as_user(lambda: os.chown(place / "by owner", -1, TEAM), groups=[TEAM])
    answers["by owner"] = mode_of(place / "by owner")
    return answers


@behaviour(root=True)
def suid_after_copy_file_range_by_a_user(place: Path) -> object:
    _set_bits(place / "target")
    write_file(place / "source", b"s" * 5000, 0o644)

    def copy() -> object:
        source = os.open(place / "source", os.O_RDONLY)
        return _opened(place / "target", os.O_RDWR, lambda d: os.copy_file_range(source, d, 5000))

    return as_user(copy), mode_of(place / "target")


@behaviour(root=True)
def setgid_by_chmod_of_members_and_others(place: Path) -> object:
    answers = {}
    for name, groups in (("member", [TEAM]), ("stranger", [BEN])):
        write_file(place / name)
        os.chown(place / name, ANA, TEAM)
        answers[name] = as_user(lambda name=name: os.chmod(place / name, 0o2755), groups=groups), mode_of(place / name)
    write_file(place / "root")
    os.chown(place / "root", ANA, TEAM)
    os.chmod(place / "root", 0o2755)
    return answers, mode_of(place / "root")


@behaviour(root=True)
def setgid_directories_by_a_stranger(place: Path) -> object:
    inner = place / "inner"
    os.mkdir(inner)
    os.chown(inner, ANA, TEAM)
    done = as_user(lambda: os.chmod(inner, 0o2777))
    made = as_user(lambda: os.mkdir(inner / "child", 0o2770))
    return done, mode_of(inner), made, mode_of(inner / "child")


@behaviour(root=True)
def file_capabilities_after_changes(place: Path) -> object:
    answers = {}
    ways = WAYS | {
        "chown": lambda f: os.chown(f, ANA, ANA),
        "chmod": lambda f: os.chmod(f, 0o700),
        "utime": lambda f: os.utime(f, (5, 5)),
    }
    for name, way in ways.items():
        file = place / name
        write_file(file, b"0123456789" * 1000)
        os.setxattr(file, CAPABILITY, NET_RAW)
        way(file)
        answers[name] = "kept" if tried(os.getxattr, file, CAPABILITY) == "ok" else "gone"
    return answers


@behaviour(root=True)
def file_capabilities_after_a_users_write(place: Path) -> object:
    file = place / "file"
    write_file(file, b"abc")
    os.chmod(file, 0o666)
    os.setxattr(file, CAPABILITY, NET_RAW)
    done = as_user(lambda: _opened(file, os.O_WRONLY, lambda d: os.write(d, b"x")))
    return done, tried(os.getxattr, file, CAPABILITY)


@behaviour(root=True)
def file_capabilities_set_by_a_user(place: Path) -> object:
    file = open_to_all(place) / "file"
    as_user(lambda: write_file(file))
    return as_user(lambda: os.setxattr(file, CAPABILITY, NET_RAW)), as_user(
        lambda: os.setxattr(file, "security.other", b"x")
    )


@behaviour(root=True)
def a_suid_program_runs_as_its_owner(place: Path) -> object:
    program = place / "id"
    shutil.copy("/usr/bin/id", program)
    os.chown(program, BEN, TEAM)
    os.chmod(program, 0o6755)

    def run() -> object:
        return [
            subprocess.run([str(program), flag], capture_output=True, text=True).stdout.strip()
            for flag in ("-u", "-ru", "-g")
        ]

    return as_user(run, ANA)
