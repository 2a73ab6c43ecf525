"""`glassfs elastic prune`."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from glassfs.cli.configured import loaded, settings_options
from glassfs.cli.elastic.connected import connected
from glassfs.cli.reading import ends_quietly
from glassfs.cli.screen import answer_json, color_option, json_option, talk


@click.command()
@settings_options
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@json_option
@color_option
@ends_quietly
def prune(config: str | None, sets: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Delete indices of ours that were made elastic.retention_days ago and one day more.

    Only where a server does not do it by itself: `glassfs elastic setup` says so. Indices of other namespaces, and
    those that glassfs has not made, are never touched.
    """
    from glassfs.elastic import horizon
    from glassfs.elastic import prune as pruning
    from glassfs.elastic.server import detect
    from glassfs.report.numbers import count, size

    elastic = loaded(config, sets).settings.elastic
    with connected(elastic) as client:
        detect(client)
        old = pruning.old_indices(client, elastic.namespace, elastic.retention_days, time.time_ns() // 1_000_000)
        deleted = []
        for one in old if dry_run else pruning.delete(client, old):
            deleted.append(one)
            if not as_json:
                click.echo(
                    f"{one.name}  {one.age_days:.0f} days old, {count(one.documents)} documents, {size(one.size_bytes)}"
                )
    if as_json:
        answer_json({"dry_run": dry_run, "deleted": [asdict(one) for one in deleted]})
        return
    verb = "would be deleted" if dry_run else "deleted"
    many = "1 index" if len(deleted) == 1 else f"{len(deleted)} indices"
    talk(
        f"{many} {verb}" if deleted else f"nothing is older than {horizon.index_age_days(elastic.retention_days)} days"
    )
