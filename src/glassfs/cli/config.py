"""`glassfs config`: are the settings right, what are they, and where does each come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from glassfs.cli.configured import loaded, settings_options
from glassfs.cli.reading import ends_quietly
from glassfs.cli.screen import answer_json, color_option, json_option, shown

if TYPE_CHECKING:
    from glassfs.config.load import Loaded
    from glassfs.config.messages import Problem


@click.group()
@color_option
def config() -> None:
    """Check config.yml, and show the settings and where each comes from.

    A flag weighs more than a variable GLASSFS_SECTION_SETTING, that more than the file, that more than the default.
    Without FILE the first of ~/.config/glassfs/config.yml and /etc/glassfs/config.yml is read; a config.yml in the
    current directory only when it is named.
    """


@config.command()
@click.argument("file", required=False)
@json_option
@color_option
@ends_quietly
def check(file: str | None, as_json: bool) -> None:
    """Read FILE, say all that is wrong with it at once (exit status 2), connect to nothing.

    Variables GLASSFS_* are checked with it.
    """
    found = _loaded_or_told(file) if as_json else loaded(file)
    by_kind = [origin.kind for origin in found.origins.values()]
    if as_json:
        counts = {kind: by_kind.count(kind) for kind in ("file", "environment", "default")}
        answer_json({"file": _file(found), "problems": [], "settings_from": counts, "warnings": list(found.warnings)})
        return
    many = by_kind.count("file")
    parts = [f"{many} setting{'' if many == 1 else 's'}"] if found.path else []
    variables = by_kind.count("environment")
    parts += [f"{variables} more from the environment"] if variables else []
    what = f"{shown(found.path)} is good" if found.path else f"there is no file ({_looked_for()}); the defaults count"
    click.echo(what + (f": {', '.join(parts)}" if parts else ""))


@config.command()
@settings_options
@click.option("--origin", is_flag=True, help="Say where each setting comes from.")
@json_option
@color_option
@ends_quietly
def show(config: str | None, sets: tuple[str, ...], origin: bool, as_json: bool) -> None:
    """Print every setting as it counts, as a config.yml; secrets as ***."""
    from glassfs.config.rendered import as_lines

    found = loaded(config, sets)
    if as_json:
        answer_json({"file": _file(found), "settings": _as_rows(found)})
        return
    click.echo(f"# {shown(found.path) if found.path else 'no file: ' + _looked_for()}")
    for line in as_lines(found, with_origin=origin):
        click.echo(shown(line))


def _loaded_or_told(file: str | None) -> Loaded:
    """Errors as JSON too; the words for a person are on stderr as always."""
    from glassfs.config.messages import ConfigError

    try:
        return loaded(file)
    except ConfigError as error:
        answer_json({"file": file, "problems": [_as_row(problem) for problem in error.problems]})
        raise


def _as_row(problem: Problem) -> dict[str, Any]:
    spot = problem.spot
    place = {"line": spot and spot.number, "column": spot.column + 1 if spot and spot.number else None}
    return {"what": problem.what, "where": spot and spot.where, **place, "hint": problem.hint}


def _as_rows(found: Loaded) -> list[dict[str, Any]]:
    from glassfs.config.rendered import shown_value
    from glassfs.config.settings import all_settings

    return [
        {
            "name": setting.name,
            "value": shown_value(found, setting),
            "origin": found.origins[setting.name].kind,
            "where": found.origins[setting.name].where or None,
            "default": setting.default,
        }
        for setting in all_settings().values()
    ]


def _file(found: Loaded) -> str | None:
    return str(found.path) if found.path else None


def _looked_for() -> str:
    from glassfs.config.load import default_files

    return "looked for " + " and ".join(shown(path) for path in default_files(os.environ))
