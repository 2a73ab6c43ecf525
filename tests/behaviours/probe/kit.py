"""What every observation uses: the register, one forked process and fresh directory each, other users, short words."""

import contextlib
import errno
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# A single observation is over in well under a second; behind a stuck filesystem it would never be.
DEADLINE_S = 40
# Numeric identities need no entry in /etc/passwd.
ANA, BEN, CAI = 1001, 1002, 1003
TEAM = 2000


@dataclass(frozen=True)
class Behaviour:
    name: str
    run: Callable[[Path], object]
    root: bool
    group: str


REGISTER: list[Behaviour] = []


def behaviour(function: Callable[[Path], object] | None = None, *, root: bool = False, group: str = "plain"):
    """Registers a function under its own name. `root`: it needs other users or privileges."""
    if function is None:
        return lambda real: behaviour(real, root=root, group=group)
    REGISTER.append(Behaviour(function.__name__, function, root, group))
    return function


def chosen(group: str, only: Iterable[str], *, is_root: bool) -> list[Behaviour]:
    wanted = set(only)
    unknown = wanted - {one.name for one in REGISTER}
    if unknown:
        sys.exit(f"no such behaviour: {', '.join(sorted(unknown))}")
    return [
        one
        for one in REGISTER
        if one.group == group and (is_root or not one.root) and (not wanted or one.name in wanted)
    ]


def observe(one: Behaviour, directory: Path) -> str:
    """Runs one observation in a process group of its own, in a fresh directory, and ends whatever it leaves."""
    place = directory / one.name
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setpgid(0, 0)
        _answer(writer, lambda: _in_fresh_directory(one, place))
    os.close(writer)
    text = _read_until(reader, time.monotonic() + DEADLINE_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    if text is None:
        return f"no answer in {DEADLINE_S} s"
    _, status = os.waitpid(child, 0)
    if not text and os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        return f"died of {signal.Signals(os.WTERMSIG(status)).name}"
    return text


def _in_fresh_directory(one: Behaviour, place: Path) -> object:
    place.mkdir(mode=0o755)
    return one.run(place)


def _answer(writer: int, function: Callable[[], object]) -> None:
    """Runs a function, writes its result as one line of text, and ends this process."""
    try:
        text = word(function())
    except BaseException as problem:  # an unexpected failure is an observation too
        text = f"! {type(problem).__name__} {name_of(problem)}"
    os.write(writer, text.encode("utf-8", "backslashreplace")[:60_000])
    os._exit(0)


def _read_until(reader: int, deadline: float) -> str | None:
    parts: list[bytes] = []
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.close(reader)
            return None
        part = os.read(reader, 65536)
        if not part:
            os.close(reader)
            return b"".join(parts).decode()
        parts.append(part)


def word(value: object) -> str:
    """One line of text for any result."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "backslashreplace")
    elif isinstance(value, dict):
        text = " ".join(f"{key}={word(one)}" for key, one in value.items())
    elif isinstance(value, (list, tuple)):
        text = "[" + ",".join(word(one) for one in value) + "]"
    else:
        text = str(value)
    return "".join(one if one.isprintable() and one != "\\" else f"\\x{ord(one):02x}" for one in text)


def name_of(problem: BaseException) -> str:
    number = getattr(problem, "errno", None)
    return errno.errorcode.get(number, str(number)) if number is not None else str(problem)


def outcome(function: Callable[..., object], *arguments: object, **named: object) -> object:
    """'ok' (or what it returned) or the errno's name."""
    try:
        result = function(*arguments, **named)
    except OSError as problem:
        return name_of(problem)
    return "ok" if result is None else result


def tried(function: Callable[..., object], *arguments: object, **named: object) -> str:
    """'ok' whatever it returned, or the errno's name."""
    result = outcome(function, *arguments, **named)
    return result if isinstance(result, str) and result.startswith("E") else "ok"


def fork_and(function: Callable[[], object]) -> Callable[[], str]:
    """Starts the function in another process; calling the result waits for its answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(writer, function)
    os.close(writer)

    def wait() -> str:
        text = _read_until(reader, time.monotonic() + DEADLINE_S)
        os.waitpid(child, 0)
        return text if text is not None else "no answer"

    return wait


def elsewhere(function: Callable[[], object]) -> str:
    """The function's answer from another process."""
    return fork_and(function)()


def as_user(function: Callable[[], object], uid: int = ANA, gid: int | None = None, groups: Iterable[int] = ()) -> str:
    """The function's answer, run as somebody else; an errno's name where it fails."""

    def become() -> object:
        os.setgroups(list(groups))
        os.setresgid(*([uid if gid is None else gid] * 3))
        os.setresuid(uid, uid, uid)
        return outcome(function)

    return elsewhere(become)


def write_file(path: Path | str | bytes, content: bytes = b"", mode: int = 0o644) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def read_file(path: Path | str | bytes) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(descriptor, 1 << 20):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def mode_of(path: Path | str) -> str:
    return f"{os.lstat(path).st_mode & 0o7777:04o}"


def owner_of(path: Path | str) -> str:
    facts = os.lstat(path)
    return f"{facts.st_uid}:{facts.st_gid}"


def open_to_all(place: Path) -> Path:
    os.chmod(place, 0o777)
    return place


def let_clock_advance() -> None:
    """Filesystem times move in steps of one scheduler tick (up to 10 ms): two moments need more between them."""
    time.sleep(0.025)
