"""`glassfs traces`: which traces there are, and throwing them away."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from glassfs import places, units
from glassfs.cli.reading import ends_quietly, paint, warn, width
from glassfs.cli.screen import answer_json, color_option, json_option, talk
from glassfs.errors import BadUsage, DamagedTrace, TraceInUse
from glassfs.report.numbers import NOTHING, NS_PER_S, count, size
from glassfs.report.text import Column, safe, table

if TYPE_CHECKING:
    from glassfs.query.answers import TraceRow


@click.group(invoke_without_command=True)
@json_option
@color_option
@click.pass_context
@ends_quietly
def traces(context: click.Context, as_json: bool) -> None:
    """List your traces, the newest first; remove them.

    @1 (or @last) is the newest, @2 the one before it. A trace that is being recorded is never removed.
    """
    if context.invoked_subcommand is None:
        _list(as_json)


@traces.command("list")
@json_option
@color_option
@ends_quietly
def list_traces(as_json: bool) -> None:
    """List traces, the newest first (what `traces` alone does)."""
    _list(as_json)


def _list(as_json: bool) -> None:
    from glassfs.query import listing

    rows = [listing.row(number, entry) for number, entry in enumerate(places.entries(), start=1)]
    if as_json:
        answer_json({"traces": [asdict(row) for row in rows]})
        return
    if not rows:
        talk("there is no trace yet; record one: glassfs run -- CMD...")
        return
    columns = [
        Column("", 4, right=False),
        Column("name", 22, right=False),
        Column("when", 12, right=False),
        Column("requests", 11),
        Column("lost", 5),
        Column("size", 6),
        Column("state", 10, right=False),
        Column("command", 0, right=False, keeps_end=False),
    ]
    click.echo(table(columns, [_cells(row) for row in rows], paint=paint(), width=width(), indent=0), color=True)
    warn(f"{row.name}: {row.problem}" for row in rows if row.problem)


def _cells(row: TraceRow) -> list[str]:
    return [
        f"@{row.number}",
        safe(row.name),
        NOTHING if row.start_ns is None else _when(row.start_ns),
        NOTHING if row.count is None else count(row.count),
        NOTHING if row.lost is None else count(row.lost),
        size(row.bytes_on_disk),
        row.state,
        safe(row.command or ""),
    ]


def _when(ns: int) -> str:
    """Local; the year only where it is not this one."""
    local = datetime.fromtimestamp(ns // NS_PER_S)
    this_year = local.year == datetime.now().year
    return f"{local.day:2} {local:%b %H:%M}" if this_year else f"{local.day:2} {local:%b %Y}"


@traces.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@json_option
@color_option
@ends_quietly
def remove(names: tuple[str, ...], as_json: bool) -> None:
    """Remove traces for good."""
    places.sweep()
    # All are looked up before the first one goes: a wrong name removes nothing, and @2 stays @2.
    doomed = {entry.path: entry for entry in map(places.find_entry, names)}
    for entry in doomed.values():
        places.refuse_live(entry)
    sizes = {path: entry.size_bytes() for path, entry in doomed.items()}
    for entry in doomed.values():
        places.remove(entry)
        if not as_json:
            talk(f"removed {safe(entry.name)}, {size(sizes[entry.path])}")
    if as_json:
        answer_json(_removed_of(list(doomed.values()), sizes, dry_run=False))


@traces.command()
@click.option("--older-than", metavar="TIME", help="Those that ended longer ago than this: 7d, 12h.")
@click.option("--keep", metavar="N", type=click.IntRange(0), help="All but the newest N.")
@click.option("--max-size", metavar="SIZE", help="The oldest, until all together are no larger: 10G.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
@color_option
@ends_quietly
def prune(older_than: str | None, keep: int | None, max_size: str | None, dry_run: bool, as_json: bool) -> None:
    """Remove old traces. At least one limit is needed; a trace beyond any of them goes."""
    if older_than is None and keep is None and max_size is None:
        raise BadUsage("prune needs a limit", next_step="--older-than 7d, --keep 20 or --max-size 10G.")
    places.sweep()
    doomed = places.beyond(
        places.entries(),
        now_ns=time.time_ns(),
        older_than_ns=None if older_than is None else units.parse_duration_ns(older_than),
        keep=keep,
        max_bytes=None if max_size is None else units.parse_size_bytes(max_size),
    )
    sizes = {entry.path: entry.size_bytes() for entry in doomed}
    removed = [entry for entry in doomed if dry_run or _removed(entry)]
    freed = sum(sizes[entry.path] for entry in removed)
    if as_json:
        answer_json(_removed_of(removed, sizes, dry_run=dry_run))
        return
    for entry in removed:
        click.echo(f"{safe(entry.name)}  {size(sizes[entry.path])}")
    verb = "would be removed" if dry_run else "removed"
    many = "1 trace" if len(removed) == 1 else f"{len(removed)} traces"
    talk(f"{many} {verb}, {size(freed)}" if removed else "nothing to remove")


def _removed(entry: places.Entry) -> bool:
    """False where a trace has come to life since it was looked at."""
    try:
        places.remove(entry)
    except TraceInUse:
        return False
    return True


def _removed_of(removed: list[places.Entry], sizes: dict[Any, int], *, dry_run: bool) -> dict[str, Any]:
    shown = [{"name": entry.name, "folder": str(entry.path), "bytes_on_disk": sizes[entry.path]} for entry in removed]
    return {"removed": shown, "dry_run": dry_run, "bytes_freed": sum(sizes[entry.path] for entry in removed)}


@traces.command()
@click.argument("name", metavar="[TRACE]", default="@last")
@json_option
@color_option
@ends_quietly
def check(name: str, as_json: bool) -> None:
    """Read all of a trace, compare checksums, and name what is damaged (exit status 1)."""
    from glassfs.query.listing import checked

    trace = places.find(name)
    found = checked(trace)
    if as_json:
        answer_json({"name": trace.about.name, **asdict(found)})
    else:
        click.echo(f"{safe(trace.about.name)}: {count(found.events)} events in {count(found.segments)} files")
        warn(found.problems)
    if found.problems:
        many = "1 problem" if len(found.problems) == 1 else f"{len(found.problems)} problems"
        raise DamagedTrace(f"{many} in this trace", where=str(trace.path))
