"""One trace of the sampler on disk (docs/trace-format.md): trace.json, the manifest, segments of the table `system` and
their merging. The folder's only writer; knows nothing of what is in a document.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from glassfs import __version__
from glassfs.about import SCHEMA_MAJOR
from glassfs.errors import EnvironmentProblem
from glassfs.system.documents import host_name
from glassfs.system.segments import Row, Segments
from glassfs.trace import MANIFEST, TRACE_JSON, Segment

# So many neighbours of one size become one: a day at 5 s leaves some seventy files.
MERGE_PARTS = 16

# Rows of one sample are merged so often at most: 16 * 16 samples are 20 minutes and some megabytes of text.
MERGE_GENERATIONS = 2

# A reader that has read the manifest may open a file that a merge has replaced, so long (trace-format.md).
MERGED_KEPT_S = 60.0

STREAM = 0


class Sampled(NamedTuple):
    """One document to be kept, as JSON."""

    dataset: str
    instance: str | None
    document: str


@dataclass(frozen=True)
class _Live:
    segment: Segment
    generation: int


class TraceWriter:
    """Makes the folder. `append` takes the rows of one sample; nothing is kept in memory between samples."""

    def __init__(self, parent: Path, options: dict[str, Any]) -> None:
        self.id = uuid.uuid4().hex
        self.path = _new_folder(parent)
        self.bytes = 0
        self._next_seq = 0
        self._number = 0
        self._live: list[_Live] = []
        self._merged: list[tuple[float, Path]] = []
        self._segments = Segments(self.id)
        self._about = _about(self.id, self.path.name, options)
        self._describe()

    @property
    def start_ns(self) -> int:
        return int(self._about["start_ns"])

    def append(self, rows: Sequence[Sampled], ts_ns: int) -> None:
        if not rows:
            return
        numbered = [Row(STREAM, self._next_seq + place, ts_ns, *row) for place, row in enumerate(rows)]
        streams = ((STREAM, numbered[0].seq, numbered[-1].seq),)
        segment = self._written(lambda file: self._segments.write(numbered, file), len(rows), streams, (ts_ns, ts_ns))
        self._log({"add": segment.file} | _contents(segment))
        self._next_seq += len(rows)
        self._live.append(_Live(segment, 0))
        self._merge_full_generations()
        self._delete_merged(older_than=time.monotonic() - MERGED_KEPT_S)

    def close(self, reason: str) -> None:
        """What is left of small segments becomes one; then the trace says that it has ended."""
        try:
            small = [live for live in self._live if live.generation < MERGE_GENERATIONS]
            if len(small) > 1:
                self._merge(small, MERGE_GENERATIONS)
            self._delete_merged(older_than=float("inf"))
            self._about |= {"end_ns": time.time_ns(), "end_reason": reason}
            self._describe()
        finally:
            self._segments.close()

    def _merge_full_generations(self) -> None:
        for generation in range(MERGE_GENERATIONS):
            parts = [live for live in self._live if live.generation == generation]
            if len(parts) >= MERGE_PARTS:
                self._merge(parts, generation + 1)

    def _merge(self, parts: list[_Live], generation: int) -> None:
        those = [part.segment for part in parts]
        files = [self.path / segment.file for segment in those]
        streams = ((STREAM, those[0].streams[0][1], those[-1].streams[0][2]),)
        times = (min(segment.from_ns for segment in those), max(segment.to_ns for segment in those))
        rows = sum(segment.rows for segment in those)
        merged = self._written(lambda file: self._segments.merge(files, file), rows, streams, times)
        self._log({"merge": merged.file, "from": [segment.file for segment in those]} | _contents(merged))
        place = self._live.index(parts[0])
        self._live = [live for live in self._live if live not in parts]
        self._live.insert(place, _Live(merged, generation))
        self._merged += [(time.monotonic(), file) for file in files]

    def _written(
        self,
        write: Callable[[Path], None],
        rows: int,
        streams: tuple[tuple[int, int, int], ...],
        times: tuple[int, int],
    ) -> Segment:
        name = f"system/{self._number:06}.parquet"
        temporary = self.path / "system" / f".tmp-{self._number:06}"
        self._number += 1
        write(temporary)
        with _said(self.path):
            size = temporary.stat().st_size
            temporary.rename(self.path / name)
        self.bytes += size
        return Segment(name, rows, size, streams, *times)

    def _log(self, line: dict[str, Any]) -> None:
        with _said(self.path), (self.path / MANIFEST).open("ab", buffering=0) as manifest:
            text = (json.dumps(line) + "\n").encode()
            # Half a line would make one with the next: it is taken back.
            before = manifest.seek(0, os.SEEK_END)
            if manifest.write(text) != len(text):
                manifest.truncate(before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _delete_merged(self, *, older_than: float) -> None:
        while self._merged and self._merged[0][0] <= older_than:
            file = self._merged.pop(0)[1]
            with contextlib.suppress(OSError):
                self.bytes -= file.stat().st_size
                file.unlink()

    def _describe(self) -> None:
        with _said(self.path):
            replace_about(self.path, self._about)


def replace_about(folder: Path, about: dict[str, Any]) -> None:
    temporary = folder / ".tmp-trace.json"
    temporary.write_text(json.dumps(about, indent=2) + "\n")
    temporary.rename(folder / TRACE_JSON)


def _contents(segment: Segment) -> dict[str, Any]:
    return {
        "rows": segment.rows,
        "bytes": segment.bytes,
        "streams": segment.streams,
        "from_ns": segment.from_ns,
        "to_ns": segment.to_ns,
    }


def _new_folder(parent: Path) -> Path:
    """Named after the second of its start; a second start within it gets a number."""
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    with _said(parent):
        for number in range(1, 1000):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                (folder / "system").mkdir()
                return folder
    raise EnvironmentProblem("cannot find a name for the sampler's trace", where=str(parent))


def _about(trace_id: str, name: str, options: dict[str, Any]) -> dict[str, Any]:
    now_ns = time.time_ns()
    return {
        "format": "glassfs-trace",
        "schema": {"major": SCHEMA_MAJOR, "minor": 0},
        "id": trace_id,
        "name": name,
        "host": {
            "name": host_name(),
            "kernel": os.uname().release,
            "cpus": psutil.cpu_count(),
            "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        },
        "recorder": {"version": __version__, "pid": os.getpid(), "start_ticks": _own_start_ticks()},
        "plane": "system",
        "plane_reason": "the machine's own figures",
        "mode": "default",
        "mounts": [],
        "ops": {},
        "options": options,
        "clock": {"wall_minus_mono_ns": now_ns - time.monotonic_ns()},
        "start_ns": now_ns,
        "end_ns": None,
        "end_reason": None,
        "command": None,
        "notes": [],
    }


def _own_start_ticks() -> int:
    return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])


@contextlib.contextmanager
def _said(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise EnvironmentProblem(
            f"cannot write the machine's figures ({problem.strerror})",
            where=str(where),
            next_step="Is the disk full, or the folder another user's? The sampler begins again by itself.",
        ) from problem
