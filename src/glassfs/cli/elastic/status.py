"""`glassfs elastic status`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glassfs.cli.configured import loaded, settings_options
from glassfs.cli.elastic.connected import connected
from glassfs.cli.reading import ends_quietly, paint, warn, width
from glassfs.cli.screen import answer_json, color_option, json_option, talk
from glassfs.errors import ServerUnreachable

if TYPE_CHECKING:
    from glassfs.config.model import Elastic
    from glassfs.elastic.status import ClusterStatus, TraceStatus


@click.command()
@settings_options
@json_option
@color_option
@ends_quietly
def status(config: str | None, sets: tuple[str, ...], as_json: bool) -> None:
    """Show of each trace what was seen, shipped and refused, and how far behind it is.

    `ahead` is what is stored and not shipped yet, `lag` how old the oldest of it is. The rate that the server can hold
    is the most it was seen to take while calls waited.
    """
    from glassfs.elastic import status as states

    elastic = loaded(config, sets).settings.elastic
    directory = _directory(elastic)
    if directory is None:
        talk("nothing was shipped yet: glassfs elastic ship @last, or glassfs serve")
        return
    found = states.of(directory)
    if as_json:
        answer_json(asdict(found))
    else:
        _show(found)


def _directory(elastic: Elastic) -> Path | None:
    """By the cluster itself; where it cannot be asked, by what was shipped last."""
    from glassfs.elastic import cluster
    from glassfs.elastic import status as states

    try:
        with connected(elastic) as client:
            directory = states.shipping_directory() / cluster.identity(client) / elastic.namespace
    except ServerUnreachable as problem:
        talk(f"warning: {problem}")
        return states.latest(elastic.namespace)
    return directory if directory.exists() else None


def _show(found: ClusterStatus) -> None:
    from glassfs.report.numbers import count
    from glassfs.report.text import Column, safe, table

    columns = [
        Column("trace", 22, right=False),
        Column("seen", 11),
        Column("shipped", 11),
        Column("rejected", 8),
        Column("expired", 8),
        Column("else", 8),
        Column("ahead", 11),
        Column("lag", 8),
        Column("state", 0, right=False),
    ]
    rows = [_cells(each, safe(each.name)) for each in found.traces]
    click.echo(table(columns, rows, paint=paint(), width=width(), indent=0), color=True)
    rate = f"{count(round(found.documents_per_s))} documents/s now"
    held = f"the server holds {count(round(found.server_per_s))}/s" if found.server_per_s else "its rate is not known"
    click.echo(f"{rate if found.running else 'no shipper runs'}, {held}")
    warn([*([found.problem] if found.problem else []), *found.warnings])


def _cells(one: TraceStatus, name: str) -> list[str]:
    from glassfs.report.numbers import NOTHING
    from glassfs.report.numbers import count as shown

    other = one.left_out + one.skipped + one.removed + one.unreadable
    return [
        name,
        NOTHING if one.seen is None else shown(one.seen),
        shown(one.shipped),
        shown(one.rejected),
        shown(one.expired),
        shown(other),
        shown(one.ahead),
        f"{one.lag_s:.1f} s" if one.ahead else NOTHING,
        "complete" if one.complete else "shipping" if one.shipped else "waiting",
    ]
