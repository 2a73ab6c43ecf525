"""Locks between processes: flock, POSIX record locks, OFD locks, leases; who waits, who is refused, who lets go."""

import errno
import fcntl
import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path

from kit import behaviour, elsewhere, fork_and, outcome, tried, write_file

# struct flock of 64-bit Linux: type, whence, (padding), start, length, pid.
FLOCK = "hhqqi4x"


def _lock(kind: int, start: int = 0, length: int = 0, pid: int = 0) -> bytes:
    return struct.pack(FLOCK, kind, os.SEEK_SET, start, length, pid)


def _open(place: Path) -> int:
    return os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)


def _set(descriptor: int, kind: int, start: int = 0, length: int = 0, *, command: int = fcntl.F_SETLK) -> str:
    return tried(fcntl.fcntl, descriptor, command, _lock(kind, start, length))


def _gate() -> tuple[Callable[[], None], Callable[[], None]]:
    """One process waits, another lets it go on."""
    reader, writer = os.pipe()
    return lambda: (os.read(reader, 1), None)[1], lambda: (os.write(writer, b"."), None)[1]


@behaviour
def flock_between_processes(place: Path) -> object:
    own = _open(place)
    fcntl.flock(own, fcntl.LOCK_EX)
    ask = lambda how: elsewhere(lambda: tried(fcntl.flock, _open(place), how | fcntl.LOCK_NB))  # noqa: E731
    exclusive = ask(fcntl.LOCK_EX), ask(fcntl.LOCK_SH)
    fcntl.flock(own, fcntl.LOCK_SH)
    shared = ask(fcntl.LOCK_EX), ask(fcntl.LOCK_SH)
    fcntl.flock(own, fcntl.LOCK_UN)
    return exclusive, shared, ask(fcntl.LOCK_EX)


@behaviour
def flock_belongs_to_the_open_file(place: Path) -> object:
    own = _open(place)
    fcntl.flock(own, fcntl.LOCK_EX)
    inherited = elsewhere(lambda: tried(fcntl.flock, own, fcntl.LOCK_EX | fcntl.LOCK_NB))
    copy = os.dup(own)
    second = tried(fcntl.flock, _open(place), fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(own)
    held = elsewhere(lambda: tried(fcntl.flock, _open(place), fcntl.LOCK_EX | fcntl.LOCK_NB))
    os.close(copy)
    return inherited, second, held, elsewhere(lambda: tried(fcntl.flock, _open(place), fcntl.LOCK_EX | fcntl.LOCK_NB))


@behaviour
def record_locks_between_processes(place: Path) -> object:
    own = _open(place)
    taken = _set(own, fcntl.F_WRLCK, 10, 10)
    ask = lambda kind, start, length: elsewhere(lambda: _set(_open(place), kind, start, length))  # noqa: E731
    return {
        "taken": taken,
        "same": ask(fcntl.F_WRLCK, 15, 1),
        "shared": ask(fcntl.F_RDLCK, 10, 1),
        "before": ask(fcntl.F_WRLCK, 0, 10),
        "after": ask(fcntl.F_WRLCK, 20, 5),
        "own again": _set(own, fcntl.F_RDLCK, 10, 10),
        "now shared": ask(fcntl.F_RDLCK, 10, 1),
        "not exclusive": ask(fcntl.F_WRLCK, 10, 1),
        "released": (_set(own, fcntl.F_UNLCK, 10, 5), ask(fcntl.F_WRLCK, 10, 5), ask(fcntl.F_WRLCK, 15, 5)),
    }


@behaviour
def the_holder_of_a_record_lock_is_named(place: Path) -> object:
    own = _open(place)
    _set(own, fcntl.F_WRLCK, 5, 7)
    me = os.getpid()

    def ask() -> object:
        kind, _, start, length, pid = struct.unpack(
            FLOCK, fcntl.fcntl(_open(place), fcntl.F_GETLK, _lock(fcntl.F_RDLCK))
        )
        return kind == fcntl.F_WRLCK, start, length, pid == me

    return elsewhere(ask)


@behaviour
def record_locks_vanish_with_any_close(place: Path) -> object:
    own = _open(place)
    _set(own, fcntl.F_WRLCK)
    before = elsewhere(lambda: _set(_open(place), fcntl.F_WRLCK))
    os.close(_open(place))
    return before, elsewhere(lambda: _set(_open(place), fcntl.F_WRLCK))


@behaviour
def record_locks_are_not_inherited(place: Path) -> object:
    own = _open(place)
    _set(own, fcntl.F_WRLCK)
    child = elsewhere(lambda: _set(own, fcntl.F_WRLCK))
    return child, elsewhere(lambda: _set(_open(place), fcntl.F_RDLCK))


@behaviour
def record_locks_need_the_right_descriptor(place: Path) -> object:
    write_file(place / "file")
    reading, writing = os.open(place / "file", os.O_RDONLY), os.open(place / "file", os.O_WRONLY)
    return (
        _set(reading, fcntl.F_WRLCK),
        _set(reading, fcntl.F_RDLCK),
        _set(writing, fcntl.F_RDLCK),
        _set(writing, fcntl.F_WRLCK),
    )


@behaviour
def open_file_locks(place: Path) -> object:
    one, two = _open(place), _open(place)
    return {
        "first": _set(one, fcntl.F_WRLCK, 0, 10, command=fcntl.F_OFD_SETLK),
        "second descriptor": _set(two, fcntl.F_WRLCK, 0, 10, command=fcntl.F_OFD_SETLK),
        "elsewhere": _set(two, fcntl.F_WRLCK, 10, 10, command=fcntl.F_OFD_SETLK),
        "child": elsewhere(lambda: _set(one, fcntl.F_WRLCK, 0, 10, command=fcntl.F_OFD_SETLK)),
        "posix against it": elsewhere(lambda: _set(_open(place), fcntl.F_WRLCK, 0, 10)),
        "close of another": (os.close(_open(place)), elsewhere(lambda: _set(_open(place), fcntl.F_WRLCK, 0, 10)))[1],
        "closed": (os.close(one), elsewhere(lambda: _set(_open(place), fcntl.F_WRLCK, 0, 10)))[1],
    }


@behaviour
def a_waiter_gets_the_lock_when_it_is_released(place: Path) -> object:
    wait_ready, ready = _gate()
    own = _open(place)
    fcntl.flock(own, fcntl.LOCK_EX)

    def waiter() -> object:
        descriptor = _open(place)
        refused = tried(fcntl.flock, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ready()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return refused, os.pread(descriptor, 4, 0)

    answer = fork_and(waiter)
    wait_ready()
    os.pwrite(own, b"done", 0)
    fcntl.flock(own, fcntl.LOCK_UN)
    return answer()


@behaviour
def twelve_waiters_do_not_stop_others(place: Path) -> object:
    wait_ready, ready = _gate()
    own = _open(place)
    fcntl.flock(own, fcntl.LOCK_EX)

    def waiter() -> object:
        descriptor = _open(place)
        ready()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return "had it"

    waiting = [fork_and(waiter) for _ in range(12)]
    for _ in waiting:
        wait_ready()
    write_file(place / "other", b"goes on")
    names = sorted(os.listdir(place))
    fcntl.flock(own, fcntl.LOCK_UN)
    return names, [wait() for wait in waiting].count("had it")


@behaviour
def a_signal_interrupts_a_waiter(place: Path) -> object:
    own = _open(place)
    fcntl.flock(own, fcntl.LOCK_EX)
    _set(own, fcntl.F_WRLCK)

    class Rung(Exception):
        pass

    def ring(*_: object) -> None:
        raise Rung

    def waiter(lock: Callable[[int], object]) -> object:
        descriptor = _open(place)
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            lock(descriptor)
        except Rung:
            return errno.errorcode[errno.EINTR]
        return "had it"

    return (
        elsewhere(lambda: waiter(lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_EX))),
        elsewhere(lambda: waiter(lambda descriptor: fcntl.fcntl(descriptor, fcntl.F_SETLKW, _lock(fcntl.F_WRLCK)))),
        tried(fcntl.flock, own, fcntl.LOCK_UN),
    )


@behaviour
def record_locks_find_a_deadlock(place: Path) -> object:
    wait_ready, ready = _gate()
    wait_go, go = _gate()
    own = _open(place)
    _set(own, fcntl.F_WRLCK, 0, 1)

    def other() -> object:
        descriptor = _open(place)
        _set(descriptor, fcntl.F_WRLCK, 1, 1)
        ready()
        wait_go()
        return tried(fcntl.fcntl, descriptor, fcntl.F_SETLKW, _lock(fcntl.F_WRLCK, 0, 1))

    answer = fork_and(other)
    wait_ready()
    go()
    mine = tried(fcntl.fcntl, own, fcntl.F_SETLKW, _lock(fcntl.F_WRLCK, 1, 1))
    _set(own, fcntl.F_UNLCK)
    return sorted([mine, answer()])


@behaviour
def the_end_of_a_process_frees_its_locks(place: Path) -> object:
    wait_ready, ready = _gate()

    def holder() -> object:
        descriptor = _open(place)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _set(descriptor, fcntl.F_WRLCK)
        ready()
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    answer = fork_and(holder)
    wait_ready()
    answer()
    own = _open(place)
    return tried(fcntl.flock, own, fcntl.LOCK_EX | fcntl.LOCK_NB), _set(own, fcntl.F_WRLCK)


@behaviour
def locks_survive_rename_and_unlink(place: Path) -> object:
    own = _open(place)
    _set(own, fcntl.F_WRLCK)
    os.rename(place / "file", place / "moved")
    moved = elsewhere(lambda: _set(os.open(place / "moved", os.O_RDWR), fcntl.F_WRLCK))
    fresh = elsewhere(lambda: _set(_open(place), fcntl.F_WRLCK))
    return moved, fresh


@behaviour
def leases(place: Path) -> object:
    write_file(place / "file")
    reading = os.open(place / "file", os.O_RDONLY)
    return {
        "read": tried(fcntl.fcntl, reading, fcntl.F_SETLEASE, fcntl.F_RDLCK),
        "is": outcome(fcntl.fcntl, reading, fcntl.F_GETLEASE),
        "write": tried(fcntl.fcntl, reading, fcntl.F_SETLEASE, fcntl.F_WRLCK),
        "none": tried(fcntl.fcntl, reading, fcntl.F_SETLEASE, fcntl.F_UNLCK),
    }
