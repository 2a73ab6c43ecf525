"""`glassfs names`: which file is which table or index, asked of the database server itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from glassfs.cli.screen import answer_json, color_option, json_option


@click.command()
@click.option("--pg", "dsn", metavar="DSN", required=True, help='As for psql: "host=/run/postgresql user=postgres".')
@json_option
@color_option
def names(dsn: str, as_json: bool) -> None:
    """Ask a PostgreSQL server which file is which table or index.

    The answer is kept beside the traces; report --families and what is shipped later then bear the names. TRUNCATE,
    VACUUM FULL and REINDEX give a table new files: ask again after them.
    """
    from glassfs.families import names as known_names
    from glassfs.families import postgresql

    known = postgresql.ask(dsn)
    path = known_names.save(known)
    families = Counter(relation.family for relation in known.relations)
    if as_json:
        answer: dict[str, Any] = {"server": known.server, "file": str(path), "families": dict(families)}
        answer_json({**answer, "relations": len(known.relations)})
        return
    parts = ", ".join(f"{count} {family}" for family, count in sorted(families.items()))
    click.echo(f"{len(known.relations)} files have names now: {parts}")
    click.echo("glassfs report @last --families shows them")
