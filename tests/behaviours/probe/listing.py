"""Reading directories: every entry once, positions that can be kept, changes while reading."""

import os
from pathlib import Path

from kit import behaviour, fork_and, tried, write_file
from syscalls import Directory

ENTRIES = 3000


def _filled(place: Path, count: int = ENTRIES) -> None:
    for number in range(count):
        os.close(os.open(place / f"entry-{number:05}", os.O_CREAT | os.O_WRONLY, 0o644))


@behaviour
def three_thousand_entries_once_each(place: Path) -> object:
    _filled(place)
    found = [entry.name for entry in Directory(place).rest()]
    return len(found), len(set(found)), b"." in found and b".." in found


@behaviour
def kept_positions_lead_back(place: Path) -> object:
    _filled(place)
    stream = Directory(place)
    kept = []
    while True:
        at = stream.tell()
        entry = stream.read()
        if entry is None:
            break
        kept.append((at, entry.name))
    wrong = 0
    for at, name in kept[::37] + kept[::-53] + kept[-1:]:
        stream.seek(at)
        entry = stream.read()
        wrong += entry is None or entry.name != name
    return len(kept), wrong


@behaviour
def the_rest_after_a_kept_position(place: Path) -> object:
    _filled(place, 1000)
    stream = Directory(place)
    first = [stream.read() for _ in range(400)]
    at = stream.tell()
    rest = [entry.name for entry in stream.rest()]
    stream.seek(at)
    again = [entry.name for entry in stream.rest()]
    return rest == again, len(rest) + len(first)


@behaviour
def rewinding_shows_what_is_new(place: Path) -> object:
    _filled(place, 10)
    stream = Directory(place)
    before = len(stream.rest())
    write_file(place / "new")
    os.unlink(place / "entry-00003")
    stream.rewind()
    found = {entry.name for entry in stream.rest()}
    os.lseek(stream.descriptor(), 0, os.SEEK_SET)
    return before, len(found), b"new" in found, b"entry-00003" in found


@behaviour
def deleting_while_reading(place: Path) -> object:
    _filled(place)
    stream, seen = Directory(place), 0
    while entry := stream.read():
        if entry.name not in (b".", b".."):
            os.unlink(os.fsencode(place) + b"/" + entry.name)
            seen += 1
    return seen, os.listdir(place), tried(os.rmdir, place)


@behaviour
def deleting_others_while_reading(place: Path) -> object:
    _filled(place)
    stream = Directory(place)
    first = {stream.read().name for _ in range(100)}
    for number in range(0, ENTRIES, 2):
        os.unlink(place / f"entry-{number:05}")
    rest = [entry.name for entry in stream.rest()]
    kept = {b"entry-%05d" % number for number in range(1, ENTRIES, 2)}
    return len(kept - first - set(rest)), len(rest) == len(set(rest))


@behaviour
def creating_while_reading_loses_nothing(place: Path) -> object:
    _filled(place, 500)
    stream, seen, made = Directory(place), [], 0
    while entry := stream.read():
        seen.append(entry.name)
        if made < 300:
            write_file(place / f"late-{made}")
            made += 1
    old = [name for name in seen if name.startswith(b"entry-")]
    return len(old), len(set(seen)) == len(seen), len(os.listdir(place))


@behaviour
def kinds_and_inodes_of_entries(place: Path) -> object:
    write_file(place / "file")
    os.mkdir(place / "directory")
    os.symlink("x", place / "symlink")
    os.mkfifo(place / "fifo")
    os.mknod(place / "socket", 0o140600)
    found = {entry.name.decode(): entry for entry in Directory(place).rest()}
    kinds = {name: entry.kind for name, entry in sorted(found.items())}
    same = all(entry.inode == os.lstat(place / name).st_ino for name, entry in found.items() if name != "..")
    return kinds, same, found[".."].inode == os.stat(place.parent).st_ino


@behaviour
def four_processes_list_while_two_change(place: Path) -> object:
    _filled(place, 400)

    def list_often() -> object:
        return min(sum(name.startswith("entry-") for name in os.listdir(place)) for _ in range(20))

    def change(tag: str) -> object:
        for number in range(300):
            write_file(place / f"{tag}{number % 20}")
            os.unlink(place / f"{tag}{number % 20}")
        return "done"

    waiting = [fork_and(list_often) for _ in range(4)] + [fork_and(lambda tag=tag: change(tag)) for tag in ("x", "y")]
    return [wait() for wait in waiting]


@behaviour
def listing_through_a_second_descriptor(place: Path) -> object:
    _filled(place, 300)
    one, two = Directory(place), Directory(place)
    names_one, names_two = [], []
    for _ in range(302):
        names_one.append(one.read().name)
        names_two.append(two.read().name)
    return names_one == names_two, one.read() is None and two.read() is None


@behaviour
def long_names_fill_the_buffer(place: Path) -> object:
    for number in range(400):
        write_file(place / f"{number:03}{'n' * 240}")
    found = os.listdir(place)
    return len(found), len(set(found))


@behaviour
def listings_are_refused_where_they_must_be(place: Path) -> object:
    write_file(place / "file")
    return tried(os.listdir, place / "file"), tried(os.listdir, place / "no"), tried(Directory, place / "file")
