"""How a trace lies on disk (docs/trace-format.md): its folder, trace.json, the manifest and which segments count.

The only file that knows it. Knows no SQL and nothing of what is in a segment; it never writes into a trace.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from glassfs import about as about_module
from glassfs.about import About
from glassfs.alive import recorder_runs
from glassfs.errors import DamagedTrace, EnvironmentProblem, TraceNotFound

TRACE_JSON = "trace.json"
MANIFEST = "manifest"
TABLES = ("events", "totals", "ledger", "processes", "system")

# A manifest may not lead out of its folder, whoever wrote it.
_SEGMENT_NAME = re.compile(rf"(?:{'|'.join(TABLES)})/[A-Za-z0-9_][A-Za-z0-9_.-]*\.parquet")

PARQUET_MAGIC = b"PAR1"
# Magic at both ends and the footer's length: nothing shorter is a Parquet file.
PARQUET_MIN_BYTES = 12

# Contents of event segments are compared with their checksum on opening up to this much (some 0.2 s of reading);
# `traces check` compares all.
CHECKSUM_BUDGET_BYTES = 64 << 20


class State(enum.Enum):
    LIVE = "live"
    ENDED = "ended"
    NO_GOODBYE = "no goodbye"


@dataclass(frozen=True)
class Segment:
    """One file that the manifest names. `streams`: (stream, first seq, last seq), inclusive."""

    file: str
    rows: int
    bytes: int
    streams: tuple[tuple[int, int, int], ...]
    from_ns: int
    to_ns: int
    crc32: int | None = None

    @property
    def table(self) -> str:
        return self.file.partition("/")[0]


IS_MISSING = "is missing"


@dataclass(frozen=True)
class Damage:
    """A segment that cannot be read, and why."""

    segment: Segment
    why: str

    @property
    def is_missing(self) -> bool:
        return self.why == IS_MISSING

    def __str__(self) -> str:
        return f"{self.segment.file} {self.why}: {self.segment.rows:,} rows left out".replace(",", " ")


@dataclass
class Manifest:
    """The manifest as far as it has been read: the live set, and where to read on."""

    offset: int = 0
    lines: int = 0
    live: dict[str, Segment] = field(default_factory=dict)
    removed: list[Segment] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def segments(self, table: str) -> list[Segment]:
        """In the order they were recorded: a merged segment stands where its first part stood."""
        those = [segment for segment in self.live.values() if segment.table == table]
        return sorted(those, key=lambda segment: self._places[segment.file])

    def feed(self, data: bytes) -> None:
        """Takes what stands at `offset`. A last line without its end is not there yet."""
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.split(b"\n")[:-1]:
            self.lines += 1
            try:
                self._apply(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as problem:
                self.warnings.append(
                    f"manifest line {self.lines} is damaged ({_reason(problem)}); what it names is left out"
                )

    def _apply(self, entry: Mapping[str, Any]) -> None:
        if "add" in entry:
            self._put(_segment(entry, entry["add"]), self.lines)
        elif "merge" in entry:
            merged, parts = _segment(entry, entry["merge"]), list(entry["from"])
            place = min((self._places[part] for part in parts if part in self._places), default=self.lines)
            for part in parts:
                self.live.pop(part, None)
            self._put(merged, place)
        elif "remove" in entry and (gone := self.live.pop(entry["remove"], None)):
            self.removed.append(gone)

    def _put(self, segment: Segment, place: int) -> None:
        self.live[segment.file] = segment
        self._places[segment.file] = place


def _segment(entry: Mapping[str, Any], name: str) -> Segment:
    if not _SEGMENT_NAME.fullmatch(name):
        raise ValueError(f"no segment is called {name!r}")
    return Segment(
        file=name,
        rows=int(entry["rows"]),
        bytes=int(entry["bytes"]),
        streams=tuple((int(stream), int(first), int(last)) for stream, first, last in entry.get("streams") or ()),
        from_ns=int(entry.get("from_ns") or 0),
        to_ns=int(entry.get("to_ns") or 0),
        crc32=entry.get("crc32"),
    )


def _reason(problem: Exception) -> str:
    return "no JSON" if isinstance(problem, json.JSONDecodeError) else str(problem) or type(problem).__name__


class Trace:
    """One trace folder. Opening reads trace.json; everything else is read when asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about = self._read_about()

    def _read_about(self) -> About:
        file = self.path / TRACE_JSON
        text = _read(file)
        try:
            document = json.loads(text)
        except ValueError as problem:
            raise DamagedTrace(
                f"trace.json is damaged ({problem})", where=str(file), next_step=self._what_is_left()
            ) from problem
        return about_module.parse(document, str(file))

    def _what_is_left(self) -> str:
        try:
            events = self.manifest().segments("events")
        except (DamagedTrace, EnvironmentProblem):
            return "The manifest cannot be read either; the folder's *.parquet files may still be whole."
        return (
            f"Its {len(events)} event segments ({sum(each.rows for each in events)} rows) are plain Parquet files: "
            f"any Parquet reader opens {self.path}/events/*.parquet."
        )

    def refresh(self) -> None:
        """Reads trace.json again: a live trace ends, and then its command is known."""
        self.about = self._read_about()

    def manifest(self) -> Manifest:
        manifest = Manifest()
        self.read_on(manifest)
        if self.about_ended() and manifest.offset < self._manifest_bytes():
            manifest.warnings.append("the manifest is cut off in its last line; what that line names is left out")
        return manifest

    def about_ended(self) -> bool:
        """Whether trace.json was read and says that the trace has ended."""
        known: About | None = getattr(self, "about", None)
        return known is not None and known.end_ns is not None

    def _manifest_bytes(self) -> int:
        return (self.path / MANIFEST).stat().st_size

    def read_on(self, manifest: Manifest) -> bool:
        """Reads what has been appended since; False if nothing."""
        before = manifest.offset
        file = self.path / MANIFEST
        try:
            with file.open("rb") as lines:
                lines.seek(before)
                manifest.feed(lines.read())
        except FileNotFoundError:
            # The recorder makes it with the first segment.
            return False
        except OSError as problem:
            raise _unreadable(file, problem) from problem
        return manifest.offset > before

    def segment_path(self, segment: Segment) -> Path:
        return self.path / segment.file

    def state(self) -> State:
        if self.about.end_ns is not None:
            return State.ENDED
        started = None
        if self.about.wall_minus_mono_ns is not None:
            started = self.about.start_ns - self.about.wall_minus_mono_ns
        runs = recorder_runs(self.about.recorder_pid, self.about.boot_id, started)
        return State.LIVE if runs else State.NO_GOODBYE

    def size_bytes(self) -> int:
        """Bytes on disk now, with segments that a merge has replaced but not yet deleted."""
        return folder_bytes(self.path)

    def check(self, segments: Iterable[Segment], *, thorough: bool = False) -> tuple[list[Segment], list[Damage]]:
        """Parts segments into those that look whole and those that do not. Damage inside a large segment without
        `thorough` may show only when it is read."""
        good, damaged, budget = [], [], CHECKSUM_BUDGET_BYTES
        for segment in segments:
            budget -= segment.bytes
            why = _damage(self.segment_path(segment), segment, compare=thorough or budget >= 0)
            if why is None:
                good.append(segment)
            else:
                damaged.append(Damage(segment, why))
        return good, damaged


def folder_bytes(folder: Path) -> int:
    """What its files take; one that goes away meanwhile takes nothing."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total


def _damage(path: Path, segment: Segment, *, compare: bool) -> str | None:
    try:
        with path.open("rb") as file:
            why = _shape_damage(file, segment)
            if why is None and compare and segment.crc32 is not None:
                file.seek(0)
                why = None if zlib.crc32(file.read()) == segment.crc32 else "is damaged (its checksum is wrong)"
            return why
    except FileNotFoundError:
        return IS_MISSING
    except OSError as problem:
        return f"cannot be read ({problem.strerror})"


def _shape_damage(file: BinaryIO, segment: Segment) -> str | None:
    length = file.seek(0, os.SEEK_END)
    if length != segment.bytes or length < PARQUET_MIN_BYTES:
        return _length_damage(length, segment)
    file.seek(0)
    head = file.read(len(PARQUET_MAGIC))
    file.seek(-len(PARQUET_MAGIC), os.SEEK_END)
    return None if head == file.read() == PARQUET_MAGIC else "is damaged (no Parquet file)"


def _length_damage(length: int, segment: Segment) -> str:
    word = "cut off" if length < segment.bytes else "too long"
    return f"is {word} ({length} of {segment.bytes} bytes)"


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as problem:
        raise TraceNotFound("no trace here (it has no trace.json)", where=str(file.parent)) from problem
    except NotADirectoryError as problem:
        raise TraceNotFound("no trace here (not a folder)", where=str(file.parent)) from problem
    except UnicodeDecodeError as problem:
        raise DamagedTrace("trace.json is damaged (not UTF-8)", where=str(file)) from problem
    except OSError as problem:
        raise _unreadable(file, problem) from problem


def _unreadable(file: Path, problem: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"cannot read the trace ({problem.strerror})",
        where=str(file),
        next_step="A trace is readable only for the user who recorded it (and root).",
    )
