"""`glassfs elastic`: what has to do with Elasticsearch and OpenSearch; one verb, one file, imported when asked for."""

from __future__ import annotations

import difflib
import importlib

import click

from glassfs.cli.screen import color_option

VERBS = {
    "setup": "Make the templates, and the policy that deletes old indices.",
    "status": "Show what was seen, shipped and refused, and how far behind it is.",
    "ship": "Load one finished trace, with a progress bar.",
    "prune": "Delete indices of ours past their age.",
}


class Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in VERBS:
            near = difflib.get_close_matches(cmd_name, VERBS, n=1)
            ctx.fail(f"no such command '{cmd_name}'" + (f", did you mean '{near[0]}'?" if near else ""))
        command: click.Command = getattr(importlib.import_module(f"glassfs.cli.elastic.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs)
@color_option
def elastic() -> None:
    """Ship traces to Elasticsearch or OpenSearch.

    \b
    glassfs elastic setup          once, before the first trace is shipped
    glassfs elastic ship @last     one trace; `glassfs serve` ships all, live
    """
