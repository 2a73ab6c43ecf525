"""What the verbs that read traces share: the TRACE argument, the filters, widths, and what is said on stderr."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from typing import Any

import click

from glassfs.cli.screen import Function, talk, wants_color
from glassfs.filters import Filter
from glassfs.places import Entry, entries
from glassfs.report.text import WIDTH, WIDTH_MAX, Paint, safe
from glassfs.trace import Trace

LAST = "@last"

_FILTERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--path", {"metavar": "GLOB", "help": "Paths that match, below any directory; a directory means all in it."}),
    (
        "--op",
        {"metavar": "OP", "help": "An op (read, fsync, openat ...) or class (sync, metadata, class:write ...)."},
    ),
    ("--pid", {"metavar": "PID", "help": "A process, or one thread of it."}),
    ("--comm", {"metavar": "GLOB", "help": "Names of threads that match."}),
    ("--errno", {"metavar": "ERROR", "help": "ENOENT, 2, any (everything that failed) or ok."}),
)


def trace_argument(function: Function) -> Function:
    """Adds TRACE, given as `trace`."""
    return click.argument("trace", metavar="[TRACE]", default=LAST)(function)


def filter_options(*aliases_of_min_latency: str) -> Callable[[Function], Function]:
    """Adds the filters that every view takes; `wanted` makes a Filter of what they give."""

    def add(function: Function) -> Function:
        at = "14:03:22, an ISO date and time, +5s after the start or -10s before the end."
        until = click.option("--to", "until", metavar="TIME", help="What began before this time.")
        since = click.option("--from", "since", metavar="TIME", help=f"What began at this time or later: {at}")
        latency = click.option(
            "--min-latency",
            *aliases_of_min_latency,
            "min_latency",
            metavar="TIME",
            help="What took this long (10ms) or more.",
        )
        for option in (until, since, latency):
            function = option(function)
        for name, more in reversed(_FILTERS):
            function = click.option(name, multiple=True, **more)(function)
        return function

    return add


FILTERS_HELP = """A filter given twice, or with commas, means either; ! before a value means all but that."""


def wanted(filters: dict[str, Any]) -> Filter:
    """Of the keyword arguments that `filter_options` gives a verb."""
    return Filter.parse(**filters)


def paint() -> Paint:
    return Paint(wants_color(sys.stdout))


def width() -> int:
    """A terminal's own, within reason; elsewhere what the views are made for."""
    if not sys.stdout.isatty():
        return WIDTH
    return min(max(shutil.get_terminal_size((WIDTH, 24)).columns, 60), WIDTH_MAX)


def word_for(trace: Trace, typed: str) -> str:
    """What to call the trace in the commands that a view proposes: as short as it can be typed again."""
    if typed.startswith("@") or "/" in typed:
        return typed
    newest: Entry | None = next(iter(entries()), None)
    return LAST if newest and newest.path.resolve() == trace.path.resolve() else trace.about.name


def warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        talk(f"warning: {safe(warning)}")
