"""`glassfs report`: the summary of a trace, or the tables behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from glassfs import families, places
from glassfs.cli.reading import (
    FILTERS_HELP,
    ends_quietly,
    filter_options,
    paint,
    trace_argument,
    wanted,
    warn,
    width,
    word_for,
)
from glassfs.cli.screen import answer_json, color_option, json_option
from glassfs.filters import Filter

# Rows of a table unless -n says otherwise.
ROWS = 20

SORTS = ("count", "time", "read", "written", "errors")


@click.command(epilog=FILTERS_HELP)
@trace_argument
@click.option("--calls", "show_ops", is_flag=True, help="Each type of request: count, shares, latencies.")
@click.option("--files", "show_files", is_flag=True, help="The most accessed paths.")
@click.option("--families", "show_families", is_flag=True, help="What the files are to a database: WAL, heap, SST ...")
@click.option("--processes", "show_threads", is_flag=True, help="The busiest processes and threads.")
@click.option("--errors", "show_errors", is_flag=True, help="What failed, how often, and on which paths.")
@click.option("--sort", type=click.Choice(SORTS), default="count", help="Order of --files, --families and --processes.")
@click.option("-n", "rows", metavar="N", type=click.IntRange(1), default=ROWS, help=f"Rows of a table ({ROWS}).")
@filter_options()
@json_option
@color_option
@ends_quietly
def report(
    trace: str,
    show_ops: bool,
    show_files: bool,
    show_families: bool,
    show_threads: bool,
    show_errors: bool,
    sort: str,
    rows: int,
    as_json: bool,
    **filters: Any,
) -> None:
    """Show what a trace holds: how much of what, how long, on which files, by whom.

    TRACE is @last (the newest, the default), @2 (the one before), a name or its beginning, or a path.
    """
    # Imported now, so that --help waits for no database.
    from glassfs.query import Reader

    narrowed = wanted(filters)
    folder = places.find(trace)
    with Reader(folder) as reader:
        sections = [
            name
            for name, asked in (
                ("ops", show_ops),
                ("files", show_files),
                ("families", show_families),
                ("threads", show_threads),
                ("errors", show_errors),
            )
            if asked
        ]
        if sections:
            _tables(reader, narrowed, sections, sort=sort, rows=rows, as_json=as_json)
        else:
            _summary(reader, narrowed, word=word_for(folder, trace), as_json=as_json)


def _summary(reader: Any, narrowed: Filter, *, word: str, as_json: bool) -> None:
    from glassfs.report.summary import draw, few_events

    summary = reader.summary(narrowed)
    if as_json:
        answer_json({**asdict(summary), "warnings": reader.warnings})
        return
    few = few_events(reader, summary, narrowed)
    warn(reader.warnings)
    click.echo(draw(summary, few, word=word, paint=paint(), width=width(), with_context=True), color=True)


def _tables(reader: Any, narrowed: Filter, sections: list[str], *, sort: str, rows: int, as_json: bool) -> None:
    ask: dict[str, Callable[[], Any]] = {
        "ops": lambda: reader.ops(narrowed),
        "files": lambda: reader.files(narrowed, sort=sort, limit=rows),
        "families": lambda: reader.families(families.load(), narrowed, sort=sort, limit=rows),
        "threads": lambda: reader.threads(narrowed, sort=sort, limit=rows),
        "errors": lambda: reader.errors(narrowed, limit=rows),
    }
    found = {name: ask[name]() for name in sections}
    if as_json:
        shown = {name: [asdict(row) for row in those] for name, those in found.items()}
        answer_json({"headline": asdict(reader.headline()), **shown, "warnings": reader.warnings})
        return
    warn(reader.warnings)
    click.echo("\n\n".join(_drawn(name, those, reader.about.noun) for name, those in found.items()), color=True)


def _drawn(name: str, rows: Any, noun: str) -> str:
    from glassfs.report import tables

    if not rows:
        return f"  no {noun} here" if name != "errors" else f"  no {noun} failed"
    look: dict[str, Any] = {"paint": paint(), "width": width()}
    if name == "ops":
        return tables.ops(rows, noun, **look)
    if name == "files":
        return tables.files(rows, noun, title="path", **look)
    if name == "families":
        return tables.families(rows, noun, title="family", **look)
    if name == "threads":
        return tables.threads(rows, noun, title="process, thread", **look)
    return tables.errors(rows, noun, **look)
