"""Several processes after the same name or file at once: exactly one wins, nothing is lost or mixed."""

import errno
import os
from pathlib import Path

import syscalls
from kit import behaviour, fork_and, outcome, read_file, write_file


@behaviour
def only_one_creates_exclusively(place: Path) -> object:
    def run() -> object:
        won = 0
        for number in range(100):
            won += (
                outcome(
                    lambda number=number: os.close(
                        os.open(place / f"{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
                    )
                )
                == "ok"
            )
        return won

    return sum(int(wait()) for wait in [fork_and(run) for _ in range(4)])


@behaviour
def only_one_makes_a_directory_and_only_one_removes_it(place: Path) -> object:
    def make() -> object:
        return sum(outcome(os.mkdir, place / f"{number}") == "ok" for number in range(100))

    def remove() -> object:
        return sum(outcome(os.rmdir, place / f"{number}") == "ok" for number in range(100))

    made = sum(int(wait()) for wait in [fork_and(make) for _ in range(4)])
    return made, sum(int(wait()) for wait in [fork_and(remove) for _ in range(4)]), os.listdir(place)


@behaviour
def only_one_links_renames_or_unlinks(place: Path) -> object:
    for number in range(100):
        write_file(place / f"{number}", b"x")

    def unlink() -> object:
        return sum(outcome(os.unlink, place / f"{number}") == "ok" for number in range(50))

    def rename() -> object:
        return sum(outcome(os.rename, place / f"{number}", place / f"r{number}") == "ok" for number in range(50, 100))

    gone = sum(int(wait()) for wait in [fork_and(unlink) for _ in range(3)])
    return gone, sum(int(wait()) for wait in [fork_and(rename) for _ in range(3)]), len(os.listdir(place))


@behaviour
def a_file_replaced_by_rename_is_always_whole(place: Path) -> object:
    write_file(place / "file", b"0" * 5000)

    def replace() -> object:
        for number in range(300):
            write_file(place / "next", str(number % 10).encode() * 5000)
            os.rename(place / "next", place / "file")
        return "done"

    def read() -> object:
        wrong = 0
        for _ in range(300):
            content = read_file(place / "file")
            wrong += len(content) != 5000 or len(set(content)) != 1
        return wrong

    writer, readers = fork_and(replace), [fork_and(read) for _ in range(2)]
    return writer(), [wait() for wait in readers]


@behaviour
def exchanged_names_are_never_missing(place: Path) -> object:
    write_file(place / "a", b"1")
    write_file(place / "b", b"2")

    def exchange() -> object:
        for _ in range(400):
            syscalls.renameat2(place / "a", place / "b", syscalls.RENAME_EXCHANGE)
        return "done"

    def look() -> object:
        missing = 0
        for _ in range(400):
            try:
                read_file(place / "a")
            except OSError as problem:
                missing += problem.errno == errno.ENOENT
        return missing

    one, two = fork_and(exchange), fork_and(look)
    return one(), two(), sorted((read_file(place / "a"), read_file(place / "b")))


@behaviour
def positioned_writers_do_not_disturb_each_other(place: Path) -> object:
    write_file(place / "file")

    def run(lane: int) -> object:
        descriptor = os.open(place / "file", os.O_RDWR)
        for turn in range(200):
            os.pwrite(descriptor, bytes([65 + lane]) * 50, (turn * 4 + lane) * 50)
        return None

    for wait in [fork_and(lambda lane=lane: run(lane)) for lane in range(4)]:
        wait()
    content = read_file(place / "file")
    return len(content), all(
        content[at : at + 50] == bytes([65 + at // 50 % 4]) * 50 for at in range(0, len(content), 50)
    )


@behaviour
def names_come_and_go_under_a_walking_process(place: Path) -> object:
    for number in range(30):
        os.makedirs(place / f"d{number}/in")
        write_file(place / f"d{number}/in/kept")

    def churn() -> object:
        for turn in range(200):
            os.rename(place / f"d{turn % 30}/in", place / f"d{turn % 30}/out")
            os.rename(place / f"d{turn % 30}/out", place / f"d{turn % 30}/in")
        return "done"

    def walk() -> object:
        problems = set()
        for _ in range(10):
            for top, _, files in os.walk(place):
                for name in files:
                    result = outcome(os.stat, os.path.join(top, name))
                    if isinstance(result, str) and result not in ("ok", "ENOENT"):
                        problems.add(result)
        return sorted(problems)

    one, two = fork_and(churn), fork_and(walk)
    return one(), two(), sum(len(files) for _, _, files in os.walk(place))
