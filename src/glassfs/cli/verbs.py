"""A group of verbs whose commands are modules of a package, imported when they are asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click


class Verbs(click.Group):
    """`verbs`: each with its line of help, in their order; each is the function of that name in the module of that name
    below `modules`."""

    def __init__(self, *args: Any, modules: str, verbs: Mapping[str, str], **more: Any) -> None:
        super().__init__(*args, **more)
        self._modules = modules
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in self._verbs:
            near = difflib.get_close_matches(cmd_name, self._verbs, n=1)
            ctx.fail(f"no such command '{cmd_name}'" + (f", did you mean '{near[0]}'?" if near else ""))
        command: click.Command = getattr(importlib.import_module(f"{self._modules}.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._verbs.items()))
