"""rename and renameat2: what is replaced, what is refused, and what follows a name that moves."""

import os
import stat
from pathlib import Path

from kit import ANA, BEN, as_user, behaviour, let_clock_advance, outcome, read_file, tried, write_file
from syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2


@behaviour
def rename_replaces_a_file(place: Path) -> object:
    write_file(place / "a", b"new")
    write_file(place / "b", b"old")
    old, moved = os.open(place / "b", os.O_RDONLY), os.stat(place / "a").st_ino
    os.rename(place / "a", place / "b")
    return (
        read_file(place / "b"),
        os.fstat(old).st_nlink,
        os.read(old, 3),
        os.listdir(place),
        os.stat(place / "b").st_ino == moved,
    )


@behaviour
def a_replaced_file_with_other_links_lives_on(place: Path) -> object:
    write_file(place / "a", b"new")
    write_file(place / "b", b"old")
    os.link(place / "b", place / "c")
    os.rename(place / "a", place / "b")
    return read_file(place / "b"), read_file(place / "c"), os.stat(place / "c").st_nlink


@behaviour
def rename_of_two_links_to_one_file_does_nothing(place: Path) -> object:
    write_file(place / "a", b"x")
    os.link(place / "a", place / "b")
    return (
        tried(os.rename, place / "a", place / "b"),
        sorted(os.listdir(place)),
        tried(os.rename, place / "a", place / "a"),
    )


@behaviour
def renames_between_kinds(place: Path) -> object:
    for name in ("empty", "empty2", "full"):
        os.mkdir(place / name)
    write_file(place / "full/x")
    write_file(place / "file")
    os.symlink("file", place / "link")
    return {
        "directory over file": tried(os.rename, place / "empty", place / "file"),
        "file over directory": tried(os.rename, place / "file", place / "empty"),
        "over full": tried(os.rename, place / "empty", place / "full"),
        "into itself": tried(os.rename, place / "full", place / "full/in"),
        "over its parent": tried(os.rename, place / "full/x", place / "full"),
        "dot": tried(os.rename, f"{place}/empty/.", place / "z"),
        "over empty": tried(os.rename, place / "full", place / "empty"),
        "file over link": tried(os.rename, place / "file", place / "link"),
        "missing": tried(os.rename, place / "no", place / "z"),
        "no parent": tried(os.rename, place / "link", place / "no/z"),
        "slash": tried(os.rename, f"{place}/link/", place / "z"),
        "other filesystem": tried(os.rename, place / "link", "/dev/shm/x"),
        "left": sorted(os.listdir(place)),
    }


@behaviour
def rename_without_replacing(place: Path) -> object:
    write_file(place / "a", b"a")
    write_file(place / "b", b"b")
    os.mkdir(place / "d")
    return {
        "existing": tried(renameat2, place / "a", place / "b", RENAME_NOREPLACE),
        "new": tried(renameat2, place / "a", place / "c", RENAME_NOREPLACE),
        "directory": tried(renameat2, place / "d", place / "e", RENAME_NOREPLACE),
        "itself": tried(renameat2, place / "c", place / "c", RENAME_NOREPLACE),
        "left": sorted(os.listdir(place)),
        "content": read_file(place / "b"),
    }


@behaviour
def rename_exchanges(place: Path) -> object:
    write_file(place / "a", b"a")
    write_file(place / "b", b"b")
    os.makedirs(place / "d/inner")
    os.mkdir(place / "e")
    held = os.open(place / "a", os.O_RDONLY)
    answers = {
        "files": tried(renameat2, place / "a", place / "b", RENAME_EXCHANGE),
        "a": read_file(place / "a"),
        "held": os.read(held, 1),
        "file and directory": tried(renameat2, place / "a", place / "d", RENAME_EXCHANGE),
        "inner": os.listdir(place / "a"),
        "d": read_file(place / "d"),
        "across": tried(renameat2, place / "b", place / "a/inner", RENAME_EXCHANGE),
        "missing": tried(renameat2, place / "b", place / "no", RENAME_EXCHANGE),
        "with its parent": tried(renameat2, place / "a", place / "a/inner", RENAME_EXCHANGE),
        "links": os.stat(place).st_nlink,
        "still": (read_file(place / "a/inner"), sorted(os.listdir(place))),
    }
    write_file(place / "d", b"after the exchange")
    return answers, read_file(place / "d")


@behaviour(root=True)
def rename_leaves_a_whiteout(place: Path) -> object:
    write_file(place / "a", b"a")
    done = tried(renameat2, place / "a", place / "b", RENAME_WHITEOUT)
    facts = os.lstat(place / "a")
    write_file(place / "c", b"c")
    again = tried(renameat2, place / "b", place / "c", RENAME_WHITEOUT)
    refused = tried(renameat2, place / "c", place / "a", RENAME_WHITEOUT | RENAME_NOREPLACE)
    return (
        done,
        stat.S_ISCHR(facts.st_mode),
        facts.st_rdev,
        f"{facts.st_mode & 0o777:o}",
        again,
        refused,
        read_file(place / "c"),
    )


@behaviour(root=True)
def a_whiteout_of_an_ordinary_user(place: Path) -> object:
    os.chmod(place, 0o777)
    as_user(lambda: write_file(place / "a"))
    done = as_user(lambda: renameat2(place / "a", place / "b", RENAME_WHITEOUT))
    return done, {one.name: os.lstat(one).st_uid for one in sorted(place.iterdir())}


@behaviour
def rename_flags_that_are_refused(place: Path) -> object:
    write_file(place / "a")
    write_file(place / "b")
    return [
        tried(renameat2, place / "a", place / "b", flags)
        for flags in (RENAME_EXCHANGE | RENAME_NOREPLACE, RENAME_EXCHANGE | RENAME_WHITEOUT, 8, 1 << 20)
    ]


@behaviour
def a_renamed_directory_takes_everything_with_it(place: Path) -> object:
    os.makedirs(place / "d/sub")
    write_file(place / "d/sub/file", b"content")
    held = os.open(place / "d/sub/file", os.O_RDWR)
    folder = os.open(place / "d/sub", os.O_RDONLY)
    os.rename(place / "d", place / "moved")
    os.pwrite(held, b"CONTENT", 0)
    os.close(os.open("new", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=folder))
    return read_file(place / "moved/sub/file"), sorted(os.listdir(place / "moved/sub")), tried(os.stat, place / "d")


@behaviour
def a_moved_directory_has_a_new_parent(place: Path) -> object:
    os.makedirs(place / "a/d")
    os.mkdir(place / "b")
    os.rename(place / "a/d", place / "b/d")
    up = os.stat(place / "b/d/..").st_ino == os.stat(place / "b").st_ino
    return up, os.stat(place / "a").st_nlink, os.stat(place / "b").st_nlink, os.stat(place).st_nlink


@behaviour
def the_current_directory_is_renamed_and_moved(place: Path) -> object:
    os.makedirs(place / "a/d")
    os.mkdir(place / "b")
    os.chdir(place / "a/d")
    os.rename(place / "a/d", place / "b/e")
    write_file("file", b"x")
    return (
        os.getcwd().removeprefix(str(place)),
        os.listdir("."),
        os.listdir(place / "b/e"),
        tried(os.chdir, "..") or "",
        os.getcwd().removeprefix(str(place)),
    )


@behaviour
def times_after_a_rename(place: Path) -> object:
    os.mkdir(place / "d")
    write_file(place / "a")
    before, folder, target = os.stat(place / "a"), os.stat(place), os.stat(place / "d")
    let_clock_advance()
    os.rename(place / "a", place / "d/a")
    after, folder_after, target_after = os.stat(place / "d/a"), os.stat(place), os.stat(place / "d")
    return (
        after.st_ctime_ns > before.st_ctime_ns,
        after.st_mtime_ns == before.st_mtime_ns,
        folder_after.st_mtime_ns > folder.st_mtime_ns,
        target_after.st_mtime_ns > target.st_mtime_ns,
    )


@behaviour(root=True)
def renames_of_other_users_directories(place: Path) -> object:
    os.chmod(place, 0o777)
    as_user(lambda: os.makedirs(place / "ana/inner"), ANA)
    as_user(lambda: os.mkdir(place / "ben"), BEN)
    return {
        "into one's own": as_user(lambda: os.rename(place / "ana", place / "ben/ana"), BEN),
        "in a common place": as_user(lambda: os.rename(place / "ana", place / "x"), BEN),
        "out of another's": as_user(lambda: os.rename(place / "x/inner", place / "inner"), BEN),
        "left": sorted(os.listdir(place)),
    }


@behaviour
def a_chain_of_renames_keeps_every_content(place: Path) -> object:
    for number in range(100):
        write_file(place / f"{number}", b"%d" % number)
    for turn in range(3):
        for number in range(100):
            os.rename(place / f"{number}", place / f"t{(number * 7 + turn) % 100}")
        for number in range(100):
            os.rename(place / f"t{number}", place / f"{number}")
    return sorted(int(read_file(place / f"{number}")) for number in range(100)) == list(range(100)), outcome(
        lambda: read_file(place / "5")
    )
