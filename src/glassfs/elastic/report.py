"""What the shipper says of itself: to `serve` each second, and in a file to `glassfs elastic status`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from glassfs.errors import GlassfsError

if TYPE_CHECKING:
    from glassfs.elastic.followed import FollowedTrace
    from glassfs.elastic.pace import Pace

FILE = "status.json"

# Of things said, the last ones.
SAID_MAX = 20


class Moving(msgspec.Struct, kw_only=True):
    """A trace that is being shipped: rows waiting, and how long the oldest of them has waited."""

    trace: str
    ahead: int
    lag_s: float


class Status(msgspec.Struct, kw_only=True):
    """`server_per_s`: the most the server was seen to take while rows waited; 0 if none ever did."""

    pid: int = 0
    at_ns: int = 0
    documents_per_s: float = 0.0
    server_per_s: float = 0.0
    problem: str | None = None
    warnings: list[str] = msgspec.field(default_factory=list)
    moving: list[Moving] = msgspec.field(default_factory=list)


class Report:
    """From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problem: str | None = None
        self._warnings: list[str] = []
        self._finished = 0
        self._status = Status()
        self._shipped = self._rejected = self._now_shipped = self._now_rejected = 0

    def problem(self, problem: GlassfsError | None) -> None:
        with self._lock:
            self._problem = None if problem is None else str(problem)

    def warn(self, text: str) -> None:
        with self._lock:
            if text not in self._warnings:
                self._warnings = [*self._warnings[-SAID_MAX + 1 :], text]

    def warnings(self) -> list[str]:
        with self._lock:
            return list(self._warnings)

    def finished(self, one: FollowedTrace) -> None:
        with self._lock:
            self._finished += 1
            self._shipped += one.cursor.state.counts.shipped
            self._rejected += one.cursor.state.counts.rejected

    def write(self, directory: Path, followed: Iterable[FollowedTrace], pace: Pace, *, ended: bool = False) -> None:
        """For other processes; a status that is lost in a power cut is no loss."""
        those = list(followed)
        moving = [Moving(trace=one.trace.about.id, ahead=one.ahead(), lag_s=round(one.lag_s(), 3)) for one in those]
        if sum(each.ahead for each in moving) > pace.now_per_s():
            pace.saw_backlog()
        with self._lock:
            self._status = Status(
                pid=os.getpid(),
                at_ns=0 if ended else time.time_ns(),
                documents_per_s=round(pace.now_per_s(), 1),
                server_per_s=round(pace.most_per_s, 1),
                problem=self._problem,
                warnings=self._warnings,
                moving=moving,
            )
            self._now_shipped = self._shipped + sum(one.cursor.state.counts.shipped for one in those)
            self._now_rejected = self._rejected + sum(one.cursor.state.counts.rejected for one in those)
        # Before the first trace there is no cursor, and so no folder.
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = directory / f".tmp-{FILE}"
        temporary.write_bytes(msgspec.json.encode(self._status))
        os.replace(temporary, directory / FILE)

    def summary(self) -> Mapping[str, int | float | str]:
        with self._lock:
            status = self._status
            said: dict[str, Any] = {
                "traces": len(status.moving),
                "shipped": self._now_shipped,
                "rejected": self._now_rejected,
                "waiting": sum(each.ahead for each in status.moving),
                "lag_s": max((each.lag_s for each in status.moving), default=0.0),
                "documents_per_s": status.documents_per_s,
            }
            if self._problem:
                said["problem"] = self._problem
            if self._warnings:
                said["warnings"] = "\n".join(" ".join(each.split()) for each in self._warnings)
            return said


def read(directory: Path) -> Status | None:
    """What a shipper wrote last; None if none ever ran for this cluster and namespace."""
    try:
        return msgspec.json.decode((directory / FILE).read_bytes(), type=Status)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
