"""Starts and ends the recorder's binary for a test. Whatever happens, no mount and no process is left behind."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.people import Person
from support.places import force_unmount, mounted_at
from support.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
STARTS_IN_S = 30
ENDS_IN_S = 60


def binary() -> Path:
    return Path(os.environ.get("GLASSFS_RECORDER", REPOSITORY / "target/release/glassfs-recorder"))


def public_binary(folder: Path, program: Path | None = None) -> Path:
    """A copy that ordinary users can run, wherever the repository lies."""
    copy = folder / "glassfs-recorder"
    if not copy.exists():
        shutil.copy(program or binary(), copy)
        os.chmod(copy, 0o755)
    return copy


@dataclass
class Mount:
    """One running recorder and its mount."""

    source: Path
    mount_point: Path
    trace: Path
    process: subprocess.Popen[str]
    command: list[str]
    options: dict[str, object] = field(default_factory=dict)
    # Of the recorder itself, which serves the mount; `process` is what was started and waits for it.
    pid: int = 0

    def memory_peak_bytes(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the recorder has no VmHWM")

    def unmount(self) -> None:
        """As a person would; then the recorder says goodbye to its trace and ends."""
        done = subprocess.run(
            [self.command[0], "umount", str(self.mount_point)],
            capture_output=True,
            text=True,
            timeout=ENDS_IN_S,
            **self.options,
        )  # type: ignore[call-overload]
        assert done.returncode == 0, f"umount: exit {done.returncode}: {done.stderr}"
        self.process.wait(ENDS_IN_S)

    def abort(self) -> None:
        """The hard end: kills the recorder, and the mount with whoever waits in it."""
        if self.process.poll() is None:
            self.kill()
        for _ in range(3):
            force_unmount(self.mount_point)
        try:
            self.process.wait(ENDS_IN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def kill(self) -> None:
        """kill -9 of the recorder."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid or self.process.pid, signal.SIGKILL)


def start_mount(
    source: Path,
    mount_point: Path,
    trace: Path,
    *,
    program: Path | None = None,
    extra: tuple[str, ...] = (),
    user: Person | None = None,
    environment: dict[str, str] | None = None,
    limits: object = None,
) -> Mount:
    """Mounts and returns when the recorder has said so."""
    command = [
        str(program or binary()),
        "mount",
        "--foreground",
        "--trace",
        str(trace),
        *extra,
        str(source),
        str(mount_point),
    ]
    options = user.subprocess_options() if user else {}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
        preexec_fn=limits,
        **options,  # type: ignore[call-overload]
    )
    mount = Mount(source, mount_point, trace, process, command, options)
    try:
        announced = _first_line(process)
        mount.pid = int(announced["pid"])  # type: ignore[call-overload]
        assert Path(str(announced["mount_point"])) == mount_point, announced
        wait_until(lambda: mounted_at(mount_point), f"a mount at {mount_point}")
    except BaseException:
        mount.abort()
        raise
    _drain(process)
    return mount


@contextmanager
def mounted(
    source: Path, mount_point: Path, trace: Path, *, deadline_s: float = 300, **options: object
) -> Iterator[Mount]:
    """A mount for the length of a test. Past the deadline it is torn down, so callers stuck in it get an error."""
    mount = start_mount(source, mount_point, trace, **options)  # type: ignore[arg-type]
    guard = threading.Timer(deadline_s, mount.abort)
    guard.start()
    try:
        yield mount
        if mounted_at(mount_point):
            mount.unmount()
    finally:
        guard.cancel()
        mount.abort()


def run_traced(
    directories: list[Path],
    words: list[str | Path],
    trace: Path,
    *,
    program: Path | None = None,
    extra: tuple[str, ...] = (),
    user: Person | None = None,
    timeout: float = 300,
    **named: object,
) -> subprocess.CompletedProcess[str]:
    """`glassfs-recorder run` over directories: the command's own output and status come back."""
    command = [str(program or binary()), "run", "--trace", str(trace), *extra]
    for directory in directories:
        command += ["-d", str(directory)]
    options = user.subprocess_options() if user else {}
    return subprocess.run(
        [*command, "--", *map(str, words)], capture_output=True, text=True, timeout=timeout, **options, **named
    )  # type: ignore[call-overload]


def _first_line(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None and process.stderr is not None
    end = time.monotonic() + STARTS_IN_S
    ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
    if not ready:
        raise AssertionError(f"the recorder said nothing in {STARTS_IN_S} s")
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"the recorder ended at its start: {process.stderr.read()[-3000:]}")
    return json.loads(line)


def _drain(process: subprocess.Popen[str]) -> None:
    """Keeps reading what the recorder says, so that a full pipe never blocks it."""

    def keep() -> None:
        assert process.stderr is not None
        process.said = process.stderr.read()  # type: ignore[attr-defined]

    threading.Thread(target=keep, daemon=True, name="recorder-stderr").start()
