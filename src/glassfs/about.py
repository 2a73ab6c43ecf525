"""What a trace says about itself: trace.json as frozen dataclasses. Knows its fields, not where it lies.

Unknown fields are tolerated, missing ones get a default that means "not known"; only a newer major is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glassfs.errors import DamagedTrace, NewerSchema

# The newest schema major this reader understands. Minors only add.
SCHEMA_MAJOR = 1


@dataclass(frozen=True)
class Mount:
    connection: int
    source: str
    mount_point: str
    fs_type: str | None = None
    private: bool = False


@dataclass(frozen=True)
class OpenElsewhere:
    """A file or directory outside the traced ones that was seen open in the process tree."""

    path: str
    directory: str
    samples: int


@dataclass(frozen=True)
class Remaining:
    pid: int
    comm: str


@dataclass(frozen=True)
class Command:
    """The command of `run`. Byte counts are the process tree's own from /proc; None: not known."""

    argv: tuple[str, ...]
    cwd: str | None = None
    pid: int | None = None
    uid: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    exit_status: int | None = None
    signal: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    io_uring: bool = False
    open_elsewhere: tuple[OpenElsewhere, ...] = ()
    mapped: tuple[str, ...] = ()
    remaining: tuple[Remaining, ...] = ()


@dataclass(frozen=True)
class Note:
    kind: str
    text: str
    path: str | None = None
    target: str | None = None


@dataclass(frozen=True)
class About:
    id: str
    name: str
    host: str | None
    boot_id: str | None
    recorder_version: str | None
    recorder_pid: int | None
    recorder_start_ticks: int | None
    plane: str
    plane_reason: str | None
    mode: str
    mounts: tuple[Mount, ...]
    class_of_op: Mapping[str, str]
    wall_minus_mono_ns: int | None
    start_ns: int
    end_ns: int | None
    end_reason: str | None
    command: Command | None
    notes: tuple[Note, ...] = field(default=())

    @property
    def noun(self) -> str:
        """What one event is called in views: daemon-plane requests are never passed off as calls."""
        return "calls" if self.plane == "kernel" else "requests"


def parse(document: Any, where: str) -> About:
    """`document` is trace.json already decoded; `where` names it in errors."""
    if not isinstance(document, dict) or document.get("format") != "glassfs-trace":
        raise DamagedTrace("this is no glassfs trace (trace.json has another format)", where=where)
    _refuse_newer(document, where)
    try:
        return _about(document)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise DamagedTrace(f"trace.json lacks or misspells a field ({problem})", where=where) from problem


def _refuse_newer(document: dict[str, Any], where: str) -> None:
    schema = document.get("schema")
    major = schema.get("major") if isinstance(schema, dict) else None
    if not isinstance(major, int):
        raise DamagedTrace("trace.json does not say which schema it has", where=where)
    if major > SCHEMA_MAJOR:
        version = (document.get("recorder") or {}).get("version", "a later version")
        raise NewerSchema(
            f"the trace has schema {major}, this glassfs reads up to {SCHEMA_MAJOR}",
            where=where,
            next_step=f"Read it with the glassfs that wrote it ({version}) or a newer one.",
        )


def _about(document: dict[str, Any]) -> About:
    host = document.get("host") or {}
    recorder = document.get("recorder") or {}
    command = document.get("command")
    return About(
        id=str(document["id"]),
        name=str(document["name"]),
        host=host.get("name"),
        boot_id=host.get("boot_id"),
        recorder_version=recorder.get("version"),
        recorder_pid=recorder.get("pid"),
        recorder_start_ticks=recorder.get("start_ticks"),
        plane=document.get("plane", "daemon"),
        plane_reason=document.get("plane_reason"),
        mode=document.get("mode", "default"),
        mounts=tuple(_mount(one) for one in document.get("mounts") or ()),
        class_of_op=dict(document.get("ops") or {}),
        wall_minus_mono_ns=(document.get("clock") or {}).get("wall_minus_mono_ns"),
        start_ns=int(document["start_ns"]),
        end_ns=None if document.get("end_ns") is None else int(document["end_ns"]),
        end_reason=document.get("end_reason"),
        command=None if command is None else _command(command),
        notes=tuple(_note(one) for one in document.get("notes") or ()),
    )


def _mount(one: dict[str, Any]) -> Mount:
    return Mount(
        connection=int(one.get("connection", 0)),
        source=one["source"],
        mount_point=one["mount_point"],
        fs_type=one.get("fs_type"),
        private=bool(one.get("private", False)),
    )


def _command(one: dict[str, Any]) -> Command:
    plain = ("cwd", "pid", "uid", "start_ns", "end_ns", "exit_status", "signal", "read_bytes", "written_bytes")
    return Command(
        argv=tuple(one["argv"]),
        io_uring=bool(one.get("io_uring", False)),
        open_elsewhere=tuple(
            OpenElsewhere(each["path"], each.get("directory") or each["path"], int(each.get("samples", 1)))
            for each in one.get("open_elsewhere") or ()
        ),
        mapped=tuple(one.get("mapped") or ()),
        remaining=tuple(Remaining(int(each["pid"]), each.get("comm", "?")) for each in one.get("remaining") or ()),
        **{name: one.get(name) for name in plain},
    )


def _note(one: dict[str, Any]) -> Note:
    return Note(one.get("kind", "note"), one.get("text", ""), one.get("path"), one.get("target"))
