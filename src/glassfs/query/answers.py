"""Answers to the fixed questions: frozen, plain values, ready to be drawn or written as JSON. Times and sizes are in
the unit of their name; a share is between 0 and 1; None: not known.

`count` counts what the trace's plane counts: requests in the daemon plane, system calls in the kernel plane.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    average_ns: int
    min_ns: int
    p50_ns: int
    p99_ns: int
    max_ns: int


@dataclass(frozen=True)
class ClassRow:
    """One of the six classes, or (`ops`) one op; `latency` is None where nothing was counted."""

    name: str
    count: int
    count_share: float
    time_ns: int
    time_share: float
    bytes: int
    errors: int
    latency: Latency | None


@dataclass(frozen=True)
class OpRow(ClassRow):
    op_class: str


@dataclass(frozen=True)
class FileRow:
    path: str
    count: int
    time_ns: int
    read_bytes: int
    written_bytes: int
    errors: int
    latency: Latency


@dataclass(frozen=True)
class FamilyRow:
    """What files mean to a database: `family` such as postgresql.wal; `relation`: the table or index, if known."""

    family: str
    relation: str | None
    count: int
    time_ns: int
    read_bytes: int
    written_bytes: int
    errors: int
    latency: Latency


@dataclass(frozen=True)
class ThreadRow:
    """`process`: the name of the process' first thread; `thread`: this one's, which may change while it runs."""

    pid: int | None
    tid: int | None
    process: str | None
    thread: str | None
    cmdline: str | None
    count: int
    time_ns: int
    read_bytes: int
    written_bytes: int
    errors: int


@dataclass(frozen=True)
class PathCount:
    path: str
    count: int


@dataclass(frozen=True)
class ErrorRow:
    """`examples`: the paths it met most often, of the events that are stored."""

    op: str
    errno: int
    errno_name: str
    count: int
    examples: tuple[PathCount, ...]


@dataclass(frozen=True)
class LossReason:
    reason: str
    stage: str | None
    count: int


@dataclass(frozen=True)
class Losses:
    """seen = stored + dropped; of what was stored, `removed` has been taken by retention."""

    seen: int
    stored: int
    dropped: int
    removed: int
    reasons: tuple[LossReason, ...]


@dataclass(frozen=True)
class Elsewhere:
    """Seen open outside the mount; `directory` is what to add with -d."""

    path: str
    directory: str


@dataclass(frozen=True)
class Coverage:
    """How much of the command's own reading and writing went through the mount. `unknown`: why it cannot be said."""

    seen_bytes: int
    program_bytes: int | None
    unknown: str | None
    open_elsewhere: tuple[Elsewhere, ...]
    more_elsewhere: int

    @property
    def share(self) -> float | None:
        if self.program_bytes is None:
            return None
        return 1.0 if self.program_bytes <= self.seen_bytes else self.seen_bytes / self.program_bytes


@dataclass(frozen=True)
class Headline:
    """What the trace is. `command` is the program's name, None for a lasting mount; `state` as `traces` lists it."""

    name: str
    id: str
    folder: str
    state: str
    end_reason: str | None
    noun: str
    plane: str
    plane_reason: str | None
    mode: str
    host: str | None
    start_ns: int
    end_ns: int
    command: str | None
    arguments: tuple[str, ...]
    exit_status: int | None
    signal: int | None
    mount_points: tuple[str, ...]
    bytes_on_disk: int

    @property
    def duration_ns(self) -> int:
        return max(self.end_ns - self.start_ns, 0)


@dataclass(frozen=True)
class Hint:
    """Something a reader must know to read the figures: what is not visible, who still runs, a symlink that leaves."""

    kind: str
    text: str


@dataclass(frozen=True)
class Summary:
    """`count` and `stored_count` are of what the filter lets through; without one `count` includes what was lost."""

    headline: Headline
    filtered_by: str | None
    count: int
    stored_count: int
    losses: Losses
    coverage: Coverage | None
    classes: tuple[ClassRow, ...]
    files: tuple[FileRow, ...]
    threads: tuple[ThreadRow, ...]
    errors: tuple[ErrorRow, ...]
    hints: tuple[Hint, ...]


@dataclass(frozen=True)
class TraceRow:
    """One line of the list of traces. `number`: what comes after the `@`; `problem`: why it cannot be read."""

    number: int
    name: str
    id: str | None
    folder: str
    state: str
    start_ns: int | None
    end_ns: int | None
    command: str | None
    count: int | None
    lost: int | None
    bytes_on_disk: int
    problem: str | None


@dataclass(frozen=True)
class Checked:
    """What was found when all of a trace was read."""

    events: int
    segments: int
    problems: tuple[str, ...]
