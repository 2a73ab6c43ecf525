"""The recorder's binary: where it is, what it is told, how it ends. The only file that knows it.

Must not know how a trace lies on disk, nor what a screen is: it starts and stops the binary and returns facts.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassfs.errors import AlreadySaid, BadUsage, EnvironmentProblem

BINARY = "glassfs-recorder"

# Its own failures, as `env` and `timeout` number them; anything else that `run` returns is the command's.
USAGE, ENVIRONMENT = 2, 3
OWN_FAILURES = RUN_FAILED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127

# What the terminal sends to the whole foreground group: the command decides, we wait for it.
FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
# What is sent to us alone and meant for the command.
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class NotInstalled(EnvironmentProblem):
    """There is no binary: reading works, tracing does not."""


@dataclass(frozen=True)
class Ended:
    """How `run` ended: a status, or the signal that the process died of."""

    status: int
    signal: int | None


@dataclass(frozen=True)
class Mounted:
    """A lasting mount, as the recorder told it."""

    trace: Path
    mount_point: Path
    source: Path
    pid: int


def find() -> Path:
    """The binary: $GLASSFS_RECORDER, beside the interpreter, where scripts are installed, or on PATH."""
    told = os.environ.get("GLASSFS_RECORDER")
    if told:
        if not is_executable(Path(told)):
            raise EnvironmentProblem(
                "$GLASSFS_RECORDER names no executable file", where=told, next_step="Unset it, or correct it."
            )
        return Path(told)
    for place in places():
        if is_executable(place / BINARY):
            return place / BINARY
    on_path = shutil.which(BINARY)
    if on_path:
        return Path(on_path)
    raise NotInstalled(
        f"the recorder ({BINARY}) is not installed",
        where=", ".join(map(str, places())),
        next_step="Run `make compile`, or install the wheel for this platform, or set $GLASSFS_RECORDER.",
    )


def places() -> list[Path]:
    """The folders in which pip puts a wheel's scripts, the likeliest first."""
    found = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    with contextlib.suppress(KeyError):
        found.append(Path(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))))
    return list(dict.fromkeys(found))


def is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def run(
    command: Sequence[str],
    *,
    trace: Path,
    directories: Sequence[Path] = (),
    exact: bool = False,
    plane: str = "auto",
) -> Ended:
    """Traces one command and waits for it. stdin, stdout, stderr, signals and open descriptors are the command's."""
    arguments = [str(need_linux_binary()), "run", "--trace", str(trace)]
    for directory in directories:
        arguments += ["-d", str(directory)]
    arguments += ["--exact"] * exact + ["--plane", plane, "--", *command]
    # glibc's posix_spawn leaves two signals ignored in what it starts, and the command would inherit that. The switch
    # is a documented one.
    subprocess._USE_POSIX_SPAWN = False  # type: ignore[misc]
    with signals_are_the_commands() as early:
        process = subprocess.Popen(arguments, close_fds=False, env=inherited_environment())
        code = wait(process, early)
    return Ended(code, None) if code >= 0 else Ended(128 - code, -code)


@contextlib.contextmanager
def signals_are_the_commands() -> Iterator[list[int]]:
    """For the time of a run no signal ends us; those that come before `wait` are gathered. Handlers, not SIG_IGN or a
    mask: either would stay so in the command."""
    early: list[int] = []
    before = {number: signal.getsignal(number) for number in FROM_TERMINAL + FORWARDED}
    for number, was in before.items():
        # Already ignored (nohup, a shell's background job): it stays so, for the command too.
        if was is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: early.append(number))
    try:
        yield early
    finally:
        for number, was in before.items():
            signal.signal(number, was)


def wait(process: subprocess.Popen[bytes], early: Sequence[int]) -> int:
    """Waits for the end. What a process sends to us is passed on; what the terminal sends, all have got already (of
    what came `early` we cannot tell)."""
    heard = {signal.SIGCHLD, *(number for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN)}
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    try:
        for number in heard.intersection(early):
            process.send_signal(number)
        while process.poll() is None:
            got = signal.sigwaitinfo(heard)
            if got.si_signo != signal.SIGCHLD and got.si_code <= 0:
                process.send_signal(got.si_signo)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
    return int(process.returncode)


def inherited_environment() -> dict[str, str]:
    """The environment that we were given: Python sets LC_CTYPE in the C locale, which the command must not see."""
    environment = dict(os.environ)
    try:
        given = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return environment
    if not any(entry.startswith(b"LC_CTYPE=") for entry in given):
        environment.pop("LC_CTYPE", None)
    return environment


def mount(source: Path, mount_point: Path | None, *, trace: Path, exact: bool = False, plane: str = "auto") -> Mounted:
    """Mounts and returns once it is mounted. The recorder prints its own messages on stderr."""
    arguments = ["mount", "--trace", str(trace), *["--exact"] * exact, "--plane", plane, str(source)]
    arguments += [str(mount_point)] if mount_point else []
    # Reads one line, not to the end: the recorder lives on and may hold its stdout.
    with subprocess.Popen([str(need_linux_binary()), *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        code = process.wait()
    if code != 0:
        raise AlreadySaid(own_failure(code))
    facts = decoded(line, "mount")
    return Mounted(Path(facts["trace"]), Path(facts["mount_point"]), Path(facts["source"]), int(facts["pid"]))


def umount(mount_point: Path) -> None:
    """Unmounts; the recorder has ended and its trace is closed on return."""
    code = subprocess.run([str(need_linux_binary()), "umount", str(mount_point)], check=False).returncode
    if code != 0:
        raise AlreadySaid(own_failure(code))


def probe(*, cost: bool = False) -> dict[str, Any]:
    """What works here, as facts."""
    return ask("probe", *["--cost"] * cost)


def schema() -> dict[str, Any]:
    """Ops with their classes, and the columns of each table."""
    return ask("schema")


def version() -> str:
    """The recorder's own version."""
    return answer_of("version").strip().removeprefix(BINARY).strip()


def ask(*arguments: str) -> dict[str, Any]:
    return decoded(answer_of(*arguments).encode(), arguments[0])


def answer_of(*arguments: str) -> str:
    binary = find()
    try:
        done = subprocess.run([str(binary), *arguments], capture_output=True, check=False, text=True)
    except OSError as error:
        raise EnvironmentProblem(f"the recorder cannot be started ({error.strerror})", where=str(binary)) from error
    said = done.stderr.strip().removeprefix("glassfs: ")
    if done.returncode == USAGE:
        raise BadUsage(said)
    if done.returncode != 0:
        raise EnvironmentProblem(said or f"the recorder ended with {done.returncode}", where=str(binary))
    return done.stdout


def decoded(line: bytes, verb: str) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise EnvironmentProblem(
            f"the recorder's answer to `{verb}` is no JSON",
            where=repr(line[:80]),
            next_step="It may be of another version than glassfs: see `glassfs version`.",
        ) from error
    return facts


def need_linux_binary() -> Path:
    """What mounts. Elsewhere than on Linux traces can only be read."""
    if not sys.platform.startswith("linux"):
        raise EnvironmentProblem(
            "tracing needs Linux", next_step="Traces can be read here: copy one over and name its folder."
        )
    return find()


def own_failure(code: int) -> int:
    """The recorder's exit code as ours: its own numbers stay, a death by signal is a failed environment."""
    return code if code in (USAGE, ENVIRONMENT) else ENVIRONMENT
