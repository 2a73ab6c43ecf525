"""The one question that `report` and `run` begin with: what happened here, at one glance."""

from __future__ import annotations

import os

from glassfs.query import breakdown, totals
from glassfs.query.answers import Coverage, Elsewhere, Headline, Hint, Losses, Summary
from glassfs.query.asked import Asked, end_ns

# How many of the most accessed files, busiest threads and most frequent errors the summary shows.
TOP_FILES = 6
TOP_THREADS = 5
TOP_ERRORS = 4

# Files open elsewhere that are named in the coverage line.
TOP_ELSEWHERE = 2


def summary(asked: Asked) -> Summary:
    found = totals.tallies(asked)
    count = sum(tally.count for tally in found.values())
    loss = totals.losses(asked)
    return Summary(
        headline=headline(asked),
        filtered_by=asked.filter.described() or None,
        count=count,
        stored_count=count if asked.filter else stored_count(asked),
        losses=loss,
        coverage=None if asked.filter else coverage(asked),
        classes=totals.classes(asked, found),
        files=breakdown.files(asked, sort="count", limit=TOP_FILES),
        threads=breakdown.threads(asked, sort="count", limit=TOP_THREADS),
        errors=breakdown.errors(asked, totals.error_counts(asked)[:TOP_ERRORS]),
        hints=hints(asked, loss),
    )


def stored_count(asked: Asked) -> int:
    """Events that can be read, whatever the ledger says."""
    return sum(segment.rows for segment in asked.database.segments("events"))


def headline(asked: Asked) -> Headline:
    trace, about = asked.database.trace, asked.database.trace.about
    command = about.command
    return Headline(
        name=about.name,
        id=about.id,
        folder=str(trace.path),
        state=trace.state().value,
        end_reason=about.end_reason,
        noun=about.noun,
        plane=about.plane,
        plane_reason=about.plane_reason,
        mode=about.mode,
        host=about.host,
        start_ns=(command and command.start_ns) or about.start_ns,
        end_ns=(command and command.end_ns) or end_ns(asked.database),
        command=os.path.basename(command.argv[0]) if command and command.argv else None,
        arguments=command.argv if command else (),
        exit_status=command.exit_status if command else None,
        signal=command.signal if command else None,
        mount_points=tuple(mount.mount_point for mount in about.mounts),
        bytes_on_disk=trace.size_bytes(),
    )


# Page faults on a mapped file are reads of the mount that /proc does not count as the program's.
_SEEN_BYTES = """
    select coalesce(sum(bytes * case op when 'copy_file_range' then 2 else 1 end), 0)::bigint from totals
    where op in ('read', 'write', 'copy_file_range')"""
_KERNEL_BYTES = """
    select coalesce(sum(greatest(result, 0)), 0)::bigint from events
    where origin = 'kernel' and op in ('read', 'write') and errno = 0"""


def coverage(asked: Asked) -> Coverage | None:
    """None for a lasting mount, which has no command to compare with."""
    command = asked.database.trace.about.command
    if command is None:
        return None
    # A copy counts as read and as written in /proc, and once in the totals.
    seen = asked.rows(_SEEN_BYTES)[0][0] - asked.rows(_KERNEL_BYTES)[0][0]
    if command.read_bytes is None or command.written_bytes is None:
        program, unknown = None, "its own counters could not be read"
        if command.end_ns is None:
            unknown = "the command had not ended"
    elif command.io_uring:
        program, unknown = None, "it uses io_uring or libaio, which /proc does not count"
    else:
        program, unknown = command.read_bytes + command.written_bytes, None
    busiest = sorted(command.open_elsewhere, key=lambda each: -each.samples)
    elsewhere = tuple(Elsewhere(each.path, each.directory) for each in busiest[:TOP_ELSEWHERE])
    return Coverage(max(seen, 0), program, unknown, elsewhere, max(len(busiest) - TOP_ELSEWHERE, 0))


def hints(asked: Asked, loss: Losses) -> tuple[Hint, ...]:
    about = asked.database.trace.about
    found = []
    if about.command and about.command.mapped:
        count = len(about.command.mapped)
        files = "1 file was" if count == 1 else f"{count} files were"
        found.append(Hint("mapped", f"{files} mapped (mmap); loads and stores through a map are no {about.noun}"))
    for note in about.notes:
        found.append(Hint(note.kind, note.text))
    if about.command and about.command.remaining:
        names = ", ".join(f"{each.comm} {each.pid}" for each in about.command.remaining)
        found.append(Hint("remaining", f"still running when the command had ended: {names}"))
    return tuple(found)
