"""Which traces a `traces prune` takes: the oldest go first, one that is being recorded never. Removes nothing itself."""

from __future__ import annotations

from collections.abc import Sequence

from glassfs.places import Entry
from glassfs.trace import State


def chosen(
    entries: Sequence[Entry],
    *,
    now_ns: int,
    older_than_ns: int | None = None,
    keep: int | None = None,
    max_bytes: int | None = None,
) -> list[Entry]:
    """`entries` newest first. An entry goes if any of the limits says so; one that cannot be opened has no known age,
    so only its place in the list and its size can take it."""
    doomed: list[Entry] = []
    kept_bytes = 0
    for place, entry in enumerate(entries):
        size = entry.trace.size_bytes() if entry.trace else 0
        live = entry.trace is not None and entry.trace.state() is State.LIVE
        old = older_than_ns is not None and entry.trace is not None and _end_ns(entry) < now_ns - older_than_ns
        beyond = keep is not None and place >= keep
        full = max_bytes is not None and kept_bytes + size > max_bytes
        if not live and (old or beyond or full):
            doomed.append(entry)
        else:
            kept_bytes += size
    return doomed


def _end_ns(entry: Entry) -> int:
    assert entry.trace is not None
    about = entry.trace.about
    return about.end_ns or about.start_ns
