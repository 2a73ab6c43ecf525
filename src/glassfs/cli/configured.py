"""What verbs with settings share: -c and --set, and the settings that come of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from glassfs.cli.screen import shown, talk
from glassfs.errors import BadUsage

if TYPE_CHECKING:
    from glassfs.config.load import Loaded

Function = TypeVar("Function", bound=Callable[..., Any])

HERE = Path("config.yml")


def settings_options(function: Function) -> Function:
    """Adds -c FILE and --set NAME=VALUE, given to the verb as `config` and `sets`."""
    function = click.option(
        "--set",
        "sets",
        metavar="NAME=VALUE",
        multiple=True,
        help="Set one thing for this time, such as --set elastic.ship=errors; may be repeated.",
    )(function)
    return click.option(
        "-c",
        "--config",
        metavar="FILE",
        help="The settings [default: ~/.config/glassfs/config.yml, else /etc/glassfs/config.yml]",
    )(function)


def loaded(
    config: str | None,
    sets: tuple[str, ...] = (),
    *,
    flags: Mapping[str, str | list[str]] = {},
    warn: Callable[[str], None] = talk,
) -> Loaded:
    """The settings; what warns of them is said. `flags`: what the verb's own arguments set, by dotted name."""
    from glassfs.config.load import default_file, load

    path = Path(config) if config else default_file(os.environ)
    if config is None and path is None and HERE.exists():
        warn(f"{HERE} in this directory is read only when it is named: -c {HERE}")
    given: dict[str, str | list[str]] = dict(_pair(one) for one in sets)
    found = load(path, os.environ, {**given, **flags})
    for warning in found.warnings:
        warn(f"warning: {shown(warning)}")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadUsage("--set wants NAME=VALUE", next_step="For example --set elastic.ship=errors.")
    return name.strip(), value
