"""POSIX access lists, set and read as the raw attributes that the kernel defines (version 2), without setfacl."""

import os
import struct
from pathlib import Path

from kit import ANA, BEN, CAI, TEAM, as_user, behaviour, mode_of, open_to_all, outcome, read_file, tried, write_file

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF


def packed(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, bits, who) for tag, bits, who in entries)


def readable(path: Path, name: str = ACCESS) -> str:
    words = {USER_OBJ: "u", USER: "u", GROUP_OBJ: "g", GROUP: "g", MASK: "m", OTHER: "o"}
    blob = outcome(os.getxattr, path, name)
    if isinstance(blob, str):
        return blob
    found = [struct.unpack_from("<HHI", blob, at) for at in range(4, len(blob), 8)]
    return ",".join(f"{words[tag]}{'' if who == NOBODY else who}:{bits}" for tag, bits, who in found)


def plain(user: int, group: int, mask: int, other: int, *named: tuple[int, int, int]) -> bytes:
    first = [(USER_OBJ, user, NOBODY)] + [one for one in named if one[0] == USER]
    then = [(GROUP_OBJ, group, NOBODY)] + [one for one in named if one[0] == GROUP]
    return packed(*first, *then, (MASK, mask, NOBODY), (OTHER, other, NOBODY))


@behaviour
def a_default_acl_overrides_the_umask(place: Path) -> object:
    os.setxattr(place, DEFAULT, plain(7, 6, 6, 6, (USER, 6, ANA)))
    os.umask(0o077)
    write_file(place / "file", b"", 0o666)
    os.mkdir(place / "directory", 0o777)
    os.mkfifo(place / "fifo", 0o640)
    return {one.name: (mode_of(one), readable(one), readable(one, DEFAULT)) for one in sorted(place.iterdir())}


@behaviour(root=True)
def a_default_acl_works_for_files_another_user_makes(place: Path) -> object:
    open_to_all(place)
    os.setxattr(place, DEFAULT, plain(6, 0, 4, 0, (GROUP, 6, TEAM)))
    made = as_user(lambda: write_file(place / "file", b"", 0o666))
    return made, mode_of(place / "file"), readable(place / "file")


@behaviour(root=True)
def an_acl_grants_a_named_user(place: Path) -> object:
    file = place / "file"
    write_file(file, b"secret", 0o600)
    os.setxattr(file, ACCESS, plain(6, 0, 4, 0, (USER, 4, ANA)))
    return {
        "mode": mode_of(file),
        "named reads": as_user(lambda: read_file(file)),
        "named writes": as_user(lambda: write_file(file)),
        "other reads": as_user(lambda: read_file(file), BEN),
    }


@behaviour(root=True)
def an_acl_grants_a_named_group(place: Path) -> object:
    file = place / "file"
    write_file(file, b"secret", 0o600)
    os.setxattr(file, ACCESS, plain(6, 0, 6, 0, (GROUP, 6, TEAM)))
    return {
        "member writes": as_user(lambda: write_file(file, b"new"), groups=[TEAM]),
        "other reads": as_user(lambda: read_file(file), BEN),
        "access": as_user(lambda: os.access(file, os.W_OK), groups=[TEAM]),
    }


@behaviour(root=True)
def an_acl_mask_does_not_widen_the_owning_group(place: Path) -> object:
    file = place / "file"
    write_file(file, b"secret", 0o600)
    os.chown(file, 0, TEAM)
    os.setxattr(file, ACCESS, plain(6, 0, 6, 0, (USER, 6, ANA)))
    return mode_of(file), as_user(lambda: read_file(file), BEN, groups=[TEAM]), as_user(lambda: read_file(file), ANA)


@behaviour(root=True)
def an_acl_denies_a_named_user_what_others_have(place: Path) -> object:
    file = place / "file"
    write_file(file, b"open", 0o644)
    os.setxattr(file, ACCESS, plain(6, 4, 4, 4, (USER, 0, CAI)))
    return as_user(lambda: read_file(file), CAI), as_user(lambda: read_file(file), BEN)


@behaviour
def chmod_changes_an_acls_mask(place: Path) -> object:
    file = place / "file"
    write_file(file, b"", 0o600)
    os.setxattr(file, ACCESS, plain(6, 4, 7, 0, (USER, 7, ANA)))
    before = mode_of(file), readable(file)
    os.chmod(file, 0o640)
    return before, mode_of(file), readable(file)


@behaviour
def an_acl_that_is_only_a_mode_becomes_the_mode(place: Path) -> object:
    file = place / "file"
    write_file(file, b"", 0o600)
    os.setxattr(file, ACCESS, packed((USER_OBJ, 7, NOBODY), (GROUP_OBJ, 5, NOBODY), (OTHER, 1, NOBODY)))
    return mode_of(file), readable(file), sorted(os.listxattr(file))


@behaviour
def wrong_and_removed_acls(place: Path) -> object:
    file = place / "file"
    write_file(file, b"", 0o600)
    return {
        "short": tried(os.setxattr, file, ACCESS, b"xy"),
        "version": tried(os.setxattr, file, ACCESS, struct.pack("<I", 9) + bytes(8)),
        "no mask": tried(
            os.setxattr,
            file,
            ACCESS,
            packed((USER_OBJ, 6, NOBODY), (USER, 6, ANA), (GROUP_OBJ, 0, NOBODY), (OTHER, 0, NOBODY)),
        ),
        "default on a file": tried(os.setxattr, file, DEFAULT, plain(7, 7, 7, 7)),
        "none there": readable(file),
        "set": tried(os.setxattr, file, ACCESS, plain(6, 4, 6, 0, (USER, 6, ANA))),
        "listed": sorted(os.listxattr(file)),
        "removed": tried(os.removexattr, file, ACCESS),
        "then": (mode_of(file), readable(file)),
    }


@behaviour(root=True)
def setting_an_acl_clears_setgid_for_a_non_member(place: Path) -> object:
    file = place / "file"
    write_file(file, b"")
    os.chown(file, ANA, TEAM)
    os.chmod(file, 0o2770)
    by_owner = as_user(lambda: os.setxattr(file, ACCESS, plain(7, 7, 7, 0, (USER, 7, BEN))), ANA)
    return by_owner, mode_of(file)


@behaviour(root=True)
def setting_an_acl_keeps_setgid_for_a_member_and_root(place: Path) -> object:
    answers = []
    for name, setter in (
        (
            "member",
            lambda f: as_user(lambda: os.setxattr(f, ACCESS, plain(7, 7, 7, 0, (USER, 7, BEN))), ANA, groups=[TEAM]),
        ),
        ("root", lambda f: outcome(os.setxattr, f, ACCESS, plain(7, 7, 7, 0, (USER, 7, BEN)))),
    ):
        file = place / name
        write_file(file)
        os.chown(file, ANA, TEAM)
        os.chmod(file, 0o2770)
        answers.append((name, setter(file), mode_of(file)))
    return answers
