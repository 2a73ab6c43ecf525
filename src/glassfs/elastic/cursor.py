"""How far a trace has been shipped to a cluster, on disk: what may be forgotten here is in the cluster or counted.

Beside the traces, never in one: `shipping/CLUSTER/NAMESPACE/ID.json`, and `ID.rejected.jsonl` with what was refused.
Knows files, no servers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO, Any

import msgspec

from glassfs.errors import DamagedTrace, EnvironmentProblem, TraceInUse

# Raised when an older glassfs could not go on from this file.
VERSION = 1

# Bytes of refused documents kept for a trace; what comes then is counted only.
LETTERS_MAX_BYTES = 64 << 20


class Counts(msgspec.Struct):
    """What has become of a trace's stored rows: each is counted once."""

    shipped: int = 0
    """The cluster has them."""
    rejected: int = 0
    """The cluster refused them for good."""
    expired: int = 0
    """Older than what the cluster keeps."""
    left_out: int = 0
    """Not chosen: elastic.ship."""
    skipped: int = 0
    """Left to the totals: elastic.when_behind."""
    removed: int = 0
    """Taken by the trace's size limit before they were shipped."""
    unreadable: int = 0
    """In damaged segments."""

    def add(self, other: Counts) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class State(msgspec.Struct):
    """`index_per` and `started_ns` are of the trace's first shipping and stay: an event's index must not change.
    `had`: of each stream, the seq up to which all is counted in `counts`. `last_ns`: when the last of them began."""

    trace: str
    name: str
    folder: str
    kind: str
    index_per: str
    started_ns: int
    version: int = VERSION
    had: dict[int, int] = msgspec.field(default_factory=dict)
    counts: Counts = msgspec.field(default_factory=Counts)
    last_ns: int = 0
    letters_bytes: int = 0
    totals_offset: int = 0
    complete: bool = False


class Cursor:
    """One trace's, held by one process at a time. What was refused is appended to its letters, and counts once `save`
    has been called."""

    def __init__(self, directory: Path, fresh: State) -> None:
        self._file = directory / f"{fresh.trace}.json"
        self._letters_file = directory / f"{fresh.trace}.rejected.jsonl"
        with _mapped(directory):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock: IO[bytes] = (directory / f"{fresh.trace}.lock").open("ab")
        self._take(fresh.name)
        self.state = read(self._file) or fresh
        self.state.folder, self.state.name = fresh.folder, fresh.name
        self._letters: IO[bytes] | None = None
        self._dirty = not self._file.exists()
        self.save()

    def _take(self, name: str) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            self._lock.close()
            raise TraceInUse(
                "another glassfs is shipping this trace", where=name, next_step="glassfs elastic status shows how far."
            ) from problem

    def reject(self, letters: list[dict[str, Any]]) -> None:
        """Keeps refused documents and why."""
        if letters and self.state.letters_bytes < LETTERS_MAX_BYTES:
            with _mapped(self._letters_file):
                data = b"".join(msgspec.json.encode(letter) + b"\n" for letter in letters)
                self._opened().write(data)
                self.state.letters_bytes += len(data)
        self._dirty = True

    def _opened(self) -> IO[bytes]:
        """What was written after the last save of a process that was killed comes again, so it is cut off."""
        if self._letters is None:
            self._letters = os.fdopen(os.open(self._letters_file, os.O_CREAT | os.O_RDWR, 0o600), "r+b")
            self._letters.truncate(self.state.letters_bytes)
            self._letters.seek(self.state.letters_bytes)
        return self._letters

    def changed(self) -> None:
        self._dirty = True

    def save(self) -> None:
        """On disk for good when this returns: what it says is never taken back."""
        if not self._dirty:
            return
        with _mapped(self._file):
            if self._letters is not None:
                self._letters.flush()
                os.fsync(self._letters.fileno())
            replace(self._file, msgspec.json.encode(self.state))
        self._dirty = False

    def close(self) -> None:
        self.save()
        if self._letters is not None:
            self._letters.close()
        self._lock.close()


def read(file: Path) -> State | None:
    """None if there is none yet."""
    with _mapped(file):
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            return None
    try:
        state = msgspec.json.decode(data, type=State)
    except msgspec.DecodeError as problem:
        raise DamagedTrace(
            f"the cursor is damaged ({problem})",
            where=str(file),
            next_step="Remove it to ship the trace again from its beginning: what the cluster has is not doubled.",
        ) from problem
    if state.version > VERSION:
        raise EnvironmentProblem(
            "a later glassfs has shipped this trace", where=str(file), next_step="Go on with that one."
        )
    return state


def replace(file: Path, data: bytes) -> None:
    """Written beside, synced, renamed, and the folder synced: after a power cut there is the old one or the new one."""
    temporary = file.with_name(f".tmp-{file.name}")
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _mapped(where: Path) -> Any:
    try:
        yield
    except OSError as problem:
        raise EnvironmentProblem(
            f"cannot keep how far it was shipped ({problem.strerror})",
            where=str(where),
            next_step="Is the disk full? Nothing is lost: shipping goes on from the last state that was kept.",
        ) from problem
