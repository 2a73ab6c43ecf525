"""`glassfs elastic dashboards`: the bundles as files, and the import that `elastic setup --kibana` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glassfs.cli.screen import color_option, shown, talk
from glassfs.errors import ServerRefused

if TYPE_CHECKING:
    from glassfs.config.model import Elastic


@click.group()
@color_option
def dashboards() -> None:
    """Dashboards for Kibana and OpenSearch Dashboards.

    `glassfs elastic setup --kibana URL` brings them there; `export` writes them as files, to be imported by hand.
    """


@dashboards.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@color_option
def export(folder: Path) -> None:
    """Write classic.ndjson and lens.ndjson into DIR.

    lens.ndjson is for Kibana 8.9 and later; classic.ndjson for older ones, and for OpenSearch Dashboards.
    Import one of them under Stack Management (or Dashboards Management), Saved Objects.
    """
    from glassfs.elastic.dashboards import bundles

    for path in bundles.export(folder):
        click.echo(path)


def bring(elastic: Elastic, url: str, space: str | None, *, quiet: bool) -> dict[str, Any]:
    """Imports, says what was refused, and prints the address of the first dashboard. ServerRefused at the end if
    anything was."""
    from msgspec.structs import replace

    from glassfs.cli.elastic.connected import connected
    from glassfs.elastic.dashboards import importing

    with connected(replace(elastic, hosts=[url])) as client:
        found = importing.bring(client, space)
    for refusal in found.refused:
        talk(f"not taken: {shown(refusal.what)}: {shown(refusal.why)}")
    if not quiet:
        talk(f"{found.objects} objects of the {found.bundle} bundle are in {found.viewer}")
        click.echo(found.first)
    if found.refused:
        what = f"{found.viewer} refused {len(found.refused)} objects; the others are there"
        raise ServerRefused(what, where=url, next_step="They are named above. Please report them with the version.")
    return {"viewer": str(found.viewer), "bundle": found.bundle, "objects": found.objects, "first": found.first}
