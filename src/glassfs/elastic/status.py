"""How far each trace has been shipped: from the cursors, the traces and what a running shipper last said of itself.

Asks no server; who calls says which cluster.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from glassfs import places
from glassfs.elastic import cursor, report
from glassfs.elastic.report import Status
from glassfs.errors import DamagedTrace, EnvironmentProblem, GlassfsError
from glassfs.follow import rows_after
from glassfs.query.seconds import ledger
from glassfs.trace import Trace

# A status older than this is of a shipper that does not run any more.
FRESH_S = 5.0


@dataclass(frozen=True)
class TraceStatus:
    """`seen`: calls, by the trace's ledger; None if it cannot be read any more. `ahead`: stored rows not answered for.
    `lag_s`: how old the oldest of them is. The rest as in `cursor.Counts`."""

    name: str
    trace: str
    kind: str
    complete: bool
    seen: int | None
    shipped: int
    rejected: int
    expired: int
    left_out: int
    skipped: int
    removed: int
    unreadable: int
    ahead: int
    lag_s: float


@dataclass(frozen=True)
class ClusterStatus:
    """`running`: whether a shipper says that it is at work. `server_per_s`: the most documents a second that the server
    was seen to take while rows waited; 0 if none ever did."""

    cluster: str
    namespace: str
    running: bool
    documents_per_s: float
    server_per_s: float
    problem: str | None
    warnings: tuple[str, ...]
    traces: tuple[TraceStatus, ...]


def shipping_directory() -> Path:
    return places.state_directories()[0].with_name("shipping")


def latest(namespace: str) -> Path | None:
    """The cluster that was shipped to last, for when none can be asked."""
    found = [path.parent for path in shipping_directory().glob(f"*/{namespace}/{report.FILE}")]
    return max(found, key=lambda path: (path / report.FILE).stat().st_mtime, default=None)


def of(directory: Path) -> ClusterStatus:
    """Of one cluster and namespace, by its folder in `shipping`."""
    said = report.read(directory)
    running = said is not None and time.time_ns() - said.at_ns < FRESH_S * 1e9
    traces = [_of_trace(state) for state in _states(directory)]
    # What is of this shipper but not shipped yet has no cursor: it is ahead as a whole.
    known = {each.trace for each in traces}
    traces += [_unshipped(trace) for trace in _all_traces() if trace.about.id not in known]
    said = said or Status()
    return ClusterStatus(
        cluster=directory.parent.name,
        namespace=directory.name,
        running=running,
        documents_per_s=said.documents_per_s if running else 0.0,
        server_per_s=said.server_per_s,
        problem=said.problem if running else None,
        warnings=tuple(said.warnings),
        traces=tuple(sorted(traces, key=lambda each: (each.complete, each.name))),
    )


def _states(directory: Path) -> list[cursor.State]:
    found = []
    for file in sorted(directory.glob("*.json")):
        if file.name == report.FILE or file.name.startswith("."):
            continue
        with contextlib.suppress(DamagedTrace, EnvironmentProblem):
            if state := cursor.read(file):
                found.append(state)
    return found


def _all_traces() -> list[Trace]:
    return [entry.trace for entry in places.entries() if entry.trace is not None]


def _of_trace(state: cursor.State) -> TraceStatus:
    counts, seen, ahead, oldest_ns = state.counts, None, 0, 0
    with contextlib.suppress(GlassfsError, OSError):
        trace = Trace(Path(state.folder))
        seen = ledger(trace).seen if state.kind == "events" else None
        ahead, oldest_ns = _waiting(trace, state)
    lag_s = max(0.0, time.time() - oldest_ns / 1e9) if ahead and not state.complete else 0.0
    return TraceStatus(
        name=state.name,
        trace=state.trace,
        kind=state.kind,
        complete=state.complete,
        seen=seen,
        shipped=counts.shipped,
        rejected=counts.rejected,
        expired=counts.expired,
        left_out=counts.left_out,
        skipped=counts.skipped,
        removed=counts.removed,
        unreadable=counts.unreadable,
        ahead=0 if state.complete else ahead,
        lag_s=round(lag_s, 3),
    )


def _waiting(trace: Trace, state: cursor.State) -> tuple[int, int]:
    """Rows beyond the cursor, and when the oldest of them began."""
    segments = trace.manifest().segments("system" if state.kind == "sampler" else "events")
    waiting = [each for each in segments if rows_after(each, state.had)]
    oldest_ns = max(waiting[0].from_ns, min(state.last_ns, waiting[0].to_ns)) if waiting else 0
    return sum(rows_after(each, state.had) for each in waiting), oldest_ns


def _unshipped(trace: Trace) -> TraceStatus:
    fresh = cursor.State(
        trace=trace.about.id,
        name=trace.about.name,
        folder=str(trace.path),
        kind="events",
        index_per="day",
        started_ns=0,
    )
    return _of_trace(fresh)
