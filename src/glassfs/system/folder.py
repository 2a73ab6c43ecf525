"""The sampler's folder, beside that of the traces: one trace after the other, a lock, and what is thrown away.

system/
  .lock                held by the sampler that runs
  20261124T181343Z/    a trace: one a start, or some hours, so that no manifest grows for ever
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from glassfs import places
from glassfs.errors import EnvironmentProblem, GlassfsError
from glassfs.system.writer import Sampled, TraceWriter, replace_about
from glassfs.trace import MANIFEST, TRACE_JSON, Trace

# A new trace is begun after so long or so much: a reader of one moment then reads a manifest of some thousand lines,
# and what is thrown away is thrown away by folders.
ROLL_AFTER_S = 6 * 3600
ROLL_BYTES = 64 << 20

# What is kept, whichever comes first.
KEPT_S = 7 * 24 * 3600
KEPT_BYTES = 1 << 30


class Folder:
    """Only one sampler at a time: a second one is refused. Use it in `with`: leaving it ends the trace."""

    def __init__(self, path: Path, options: dict[str, Any]) -> None:
        self.path = path
        self._options = options
        self._lock = _locked(path)
        try:
            self._finish_what_was_killed()
            self._forget_old()
            self.trace = TraceWriter(path, options)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.trace.close("stopped" if kind is None else "failed")
        finally:
            self._lock.close()

    def append(self, rows: Sequence[Sampled], ts_ns: int) -> None:
        if ts_ns - self.trace.start_ns > ROLL_AFTER_S * 1e9 or self.trace.bytes > ROLL_BYTES:
            self._roll()
        self.trace.append(rows, ts_ns)

    def _roll(self) -> None:
        self.trace.close("continued in the next one")
        self._forget_old()
        self.trace = TraceWriter(self.path, self._options)

    def _finish_what_was_killed(self) -> None:
        for folder in _traces(self.path):
            with contextlib.suppress(GlassfsError, OSError, ValueError):
                _finish(folder)

    def _forget_old(self) -> None:
        entries = [places.entry_at(folder) for folder in reversed(_traces(self.path))]
        for entry in places.beyond(
            entries, now_ns=time.time_ns(), older_than_ns=int(KEPT_S * 1e9), max_bytes=KEPT_BYTES - ROLL_BYTES
        ):
            places.remove(entry)


def _traces(path: Path) -> list[Path]:
    """The oldest first: their names are times. What is no trace yet, or no longer, is not ours to touch."""
    return sorted(folder for folder in path.iterdir() if (folder / TRACE_JSON).is_file())


def _locked(path: Path) -> IO[bytes]:
    try:
        path.mkdir(parents=True, mode=0o700, exist_ok=True)
        lock = (path / ".lock").open("ab")
    except OSError as problem:
        raise EnvironmentProblem(f"cannot use the sampler's folder ({problem.strerror})", where=str(path)) from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        lock.close()
        raise EnvironmentProblem(
            "another sampler writes here already",
            where=str(path),
            next_step="One `glassfs serve` a user is enough: stop the other one, or set sampler.enabled: false.",
        ) from problem
    return lock


def _finish(folder: Path) -> None:
    """A trace whose sampler was killed; since this one holds the lock, nothing more will come. Its named segments are
    whole; a torn line and files that no line names go."""
    trace = Trace(folder)
    if trace.about.end_ns is not None:
        return
    manifest = trace.manifest()
    if (folder / MANIFEST).exists():
        os.truncate(folder / MANIFEST, manifest.offset)
    for file in (folder / "system").iterdir():
        if f"system/{file.name}" not in manifest.live:
            file.unlink()
    last_ns = max((segment.to_ns for segment in manifest.live.values()), default=trace.about.start_ns)
    about = json.loads((folder / TRACE_JSON).read_text())
    replace_about(folder, about | {"end_ns": last_ns, "end_reason": "killed"})
