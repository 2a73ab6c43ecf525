"""The list of traces: what each is, how much it holds, whether anything was lost."""

from __future__ import annotations

import os

from glassfs.errors import GlassfsError
from glassfs.filters import Filter
from glassfs.places import Entry
from glassfs.query import totals
from glassfs.query.answers import Checked, TraceRow
from glassfs.query.asked import Asked
from glassfs.query.database import Database
from glassfs.trace import TABLES, Trace


def row(number: int, entry: Entry) -> TraceRow:
    """A trace that cannot be opened is listed with the reason."""
    if entry.trace is None:
        return _unreadable(number, entry, str(entry.problem and entry.problem.what))
    try:
        return _readable(number, entry.trace)
    except GlassfsError as problem:
        return _unreadable(number, entry, problem.what)


def _readable(number: int, trace: Trace) -> TraceRow:
    about = trace.about
    database = Database(trace, tables=("ledger",))
    try:
        losses = totals.losses(Asked.of(database, Filter()))
    finally:
        database.close()
    command = about.command
    return TraceRow(
        number=number,
        name=about.name,
        id=about.id,
        folder=str(trace.path),
        state=trace.state().value,
        start_ns=about.start_ns,
        end_ns=about.end_ns,
        command=" ".join([os.path.basename(command.argv[0]), *command.argv[1:]]) if command and command.argv else None,
        count=losses.seen,
        lost=losses.dropped,
        bytes_on_disk=trace.size_bytes(),
        problem="; ".join(database.warnings) or None,
    )


def _unreadable(number: int, entry: Entry, why: str) -> TraceRow:
    size = entry.size_bytes()
    return TraceRow(number, entry.name, None, str(entry.path), "damaged", None, None, None, None, None, size, why)


def checked(trace: Trace) -> Checked:
    """Reads every segment in full and compares checksums; what the ledger says is stored must be there."""
    database = Database(trace, thorough=True)
    try:
        database.leave_out_unreadable()
        losses = totals.losses(Asked.of(database, Filter()))
        events = sum(segment.rows for segment in database.segments("events"))
        problems = list(database.warnings)
        if not problems and trace.about_ended() and events != losses.stored - losses.removed:
            problems.append(
                f"the ledger says that {losses.stored - losses.removed} events are kept, and there are {events}"
            )
        return Checked(events, sum(len(database.segments(table)) for table in TABLES), tuple(problems))
    finally:
        database.close()
