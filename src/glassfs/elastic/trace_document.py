"""The document of a trace: what was run where, with which options, and what has become of its calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glassfs.about import About, Command
from glassfs.elastic.cursor import Counts
from glassfs.elastic.fields import ECS_VERSION
from glassfs.elastic.hashing import Hasher
from glassfs.elastic.times import rfc3339
from glassfs.query.answers import Losses
from glassfs.trace import State

Json = dict[str, Any]


def document(
    about: About,
    raw: Json,
    state: State,
    losses: Losses,
    counts: Counts,
    labels: Mapping[str, str],
    hasher: Hasher | None,
) -> Json:
    """`raw`: trace.json itself, for what `About` does not keep. With a hasher no real name is left."""
    made: Json = {
        "@timestamp": rfc3339(about.start_ns),
        "ecs": {"version": ECS_VERSION},
        "event": {
            "kind": "state",
            "module": "glassfs",
            "dataset": "glassfs.traces",
            "provider": "fuse",
            "start": rfc3339(about.start_ns),
        },
        "labels": dict(labels) or None,
        "host": {
            "name": about.host,
            "os": {"kernel": (raw.get("host") or {}).get("kernel")},
            "boot": {"id": about.boot_id},
        },
        "glassfs": {
            "trace": {
                "id": about.id,
                "name": about.name if hasher is None else hasher.path(about.name),
                "state": {State.LIVE: "live", State.ENDED: "finished"}.get(state, "ended without a goodbye"),
                "end_reason": about.end_reason,
                "schema": "{major}.{minor}".format(**{"minor": 0, **(raw.get("schema") or {"major": 1})}),
                "recorder": about.recorder_version,
                "mode": about.mode,
            },
            "plane": about.plane,
            "plane_reason": about.plane_reason,
            "mount": _mounts(about, hasher),
            "option": _options(raw),
            "ledger": _ledger(losses, counts),
        },
    }
    if about.end_ns is not None:
        made["event"] |= {"end": rfc3339(about.end_ns), "duration": about.end_ns - about.start_ns}
    if about.command is not None:
        _add_command(made, about.command, hasher)
    cleaned: Json = _without_nulls(made)
    return cleaned


def _mounts(about: About, hasher: Hasher | None) -> Json:
    def path(text: str) -> str:
        return text if hasher is None else hasher.path(text)

    return {
        "source": [path(mount.source) for mount in about.mounts],
        "point": [path(mount.mount_point) for mount in about.mounts],
        "fs_type": [mount.fs_type for mount in about.mounts if mount.fs_type],
    }


def _options(raw: Json) -> Json:
    options = raw.get("options")
    known = ("max_bytes", "min_free_percent")
    return {name: options.get(name) for name in known} if isinstance(options, dict) else {}


def _ledger(losses: Losses, counts: Counts) -> Json:
    lost: dict[str, int] = {}
    for reason in losses.reasons:
        if reason.stage != "retention" and reason.reason:
            name = reason.reason.replace(" ", "_")
            lost[name] = lost.get(name, 0) + reason.count
    return {
        "seen": losses.seen,
        "stored": losses.stored,
        "dropped": losses.dropped,
        "removed": losses.removed,
        "lost": lost,
        "shipped": counts.shipped,
        "rejected": counts.rejected,
        "expired": counts.expired,
        "left_out": counts.left_out,
        "skipped": counts.skipped,
        "removed_unshipped": counts.removed,
        "unreadable": counts.unreadable,
    }


def _add_command(made: Json, command: Command, hasher: Hasher | None) -> None:
    made["process"] = {"pid": command.pid, "exit_code": command.exit_status}
    if hasher is None:
        made["process"] |= {
            "command_line": " ".join(command.argv),
            "args": list(command.argv),
            "working_directory": command.cwd,
        }
    elif command.cwd is not None:
        made["process"]["working_directory"] = hasher.path(command.cwd)
    if command.uid is not None:
        made["user"] = {"id": str(command.uid)}
    made["glassfs"]["command"] = {
        "signal": command.signal,
        "read_bytes": command.read_bytes,
        "written_bytes": command.written_bytes,
    }


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    cleaned = {name: _without_nulls(each) for name, each in value.items()}
    return {name: each for name, each in cleaned.items() if each not in (None, {}, [])}
