"""`glassfs version`: the versions of the three things that must fit together."""

from __future__ import annotations

import click

from glassfs import __version__, recorder
from glassfs.cli.screen import answer_json, color_option, json_option
from glassfs.errors import EnvironmentProblem


@click.command()
@json_option
@color_option
def version(as_json: bool) -> None:
    """Print the versions of glassfs, of its recorder, and of the trace format."""
    versions = {"glassfs": __version__, "recorder": recorder_version(), "trace_schema": "1.0"}
    if as_json:
        answer_json(versions)
        return
    for name, number in versions.items():
        click.echo(f"{name.replace('_', ' '):<13}{number or 'not installed (reading works, tracing does not)'}")


def recorder_version() -> str | None:
    try:
        return recorder.version()
    except EnvironmentProblem:
        return None
