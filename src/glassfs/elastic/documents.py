"""What a call's document looks like: each field of `fields` and where it comes from. Knows no SQL and no server."""

from __future__ import annotations

from collections.abc import Mapping

from glassfs import errnos
from glassfs.about import About
from glassfs.elastic import indices
from glassfs.elastic.fields import ECS_VERSION
from glassfs.query.json_lines import Column, Constant, Joined, Moment, OnlyFor, Shape, Value, Words

# An op that trace.json does not know (a later minor version) still has a class.
UNKNOWN_CLASS = "other"

# ECS's allowed values of event.type for files; what only looks or ends something is info.
TYPES = {
    **dict.fromkeys(("read", "open", "opendir", "readdir", "readdirplus", "readlink", "lookup"), "access"),
    **dict.fromkeys(
        ("write", "copy_file_range", "fallocate", "truncate", "chmod", "chown", "utimens", "setattr", "setxattr"),
        "change",
    ),
    "rename": "change",
    **dict.fromkeys(("create", "tmpfile", "mkdir", "mknod", "symlink", "link"), "creation"),
    **dict.fromkeys(("unlink", "rmdir", "removexattr"), "deletion"),
}
OTHER_TYPE = "info"

# ECS says dir; the other words are the trace's own.
FILE_TYPES = {"directory": "dir"} | {
    word: word for word in ("file", "symlink", "fifo", "socket", "char_device", "block_device")
}


def error_codes() -> dict[int, str | None]:
    """None for 0 comes first: most calls are done with there."""
    return {0: None, **errnos.named()}


def common(about: About, labels: Mapping[str, str], dataset: str, kind: str) -> dict[str, Value]:
    """What all documents of a trace bear."""
    shape: dict[str, Value] = {
        "ecs.version": Constant(ECS_VERSION),
        "event.kind": Constant(kind),
        "event.module": Constant("glassfs"),
        "event.dataset": Constant(dataset),
        "event.provider": Constant("fuse"),
        "glassfs.trace.id": Constant(about.id),
        "glassfs.trace.name": Constant(about.name),
    }
    if about.host is not None:
        shape["host.name"] = Constant(about.host)
    return shape | {f"labels.{name}": Constant(label) for name, label in labels.items()}


def event(about: About, labels: Mapping[str, str], *, hide_names: bool) -> Shape:
    """With `hide_names` paths are hashes already; a command line cannot be taken apart into paths, so it stays here."""
    shape = {
        "@timestamp": Column("time"),
        **common(about, labels, "glassfs.events", "event"),
        "event.category": Constant(["file"]),
        "event.type": Words("op", {op: [kind] for op, kind in TYPES.items()}, [OTHER_TYPE]),
        "event.action": Column("op"),
        "event.outcome": Words("errno", {0: "success"}, "failure"),
        "event.duration": Column("duration_ns"),
        "event.sequence": Column("seq"),
        "error.code": Words("errno", error_codes()),
        "file.path": Column("path"),
        "file.name": Column("path_name"),
        "file.directory": Column("path_directory"),
        "file.extension": Column("path_extension"),
        "file.inode": Column("ino", as_text=True),
        "file.type": Words("file_type", FILE_TYPES),
        "file.target_path": OnlyFor("path2", "op", "symlink"),
        "process.pid": Column("pid"),
        "process.name": Column("process_name"),
        "process.executable": Column("exe"),
        "process.command_line": Column("cmdline"),
        "process.parent.pid": Column("ppid"),
        "process.thread.id": Column("tid"),
        "process.thread.name": Column("comm"),
        "user.id": Column("uid", as_text=True),
        "group.id": Column("gid", as_text=True),
        "glassfs.stream": Column("stream"),
        "glassfs.class": Words("op", about.class_of_op, UNKNOWN_CLASS),
        "glassfs.dev": Column("dev", as_text=True),
        "glassfs.fh": Column("fh", as_text=True),
        "glassfs.bytes": Column("moved_bytes"),
    }
    for name in ("kind", "origin", "plane", "requests", "syscall_nr", "backing_ns", "offset", "size", "result"):
        shape[f"glassfs.{name}"] = Column(name)
    for name in ("errno", "flags", "mode", "path2"):
        shape[f"glassfs.{name}"] = Column(name)
    if hide_names:
        del shape["process.command_line"]
    return shape


def create(kind: str, namespace: str, trace_id: str, per: str = "day") -> Shape:
    """The line before each document: its index follows from the row's own time, and its id from its place."""
    return {
        "create._index": Joined((f"{indices.alias(kind, namespace)}-", Moment(indices.period_format(per)))),
        "create._id": Joined((f"{trace_id}-", Column("stream"), "-", Column("seq"))),
    }
