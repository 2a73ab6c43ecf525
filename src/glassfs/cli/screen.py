"""Where words go: answers to stdout, talk to stderr, and whether either is coloured."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

import click

# Of every JSON answer. Fields are only ever added to one; a change of meaning takes a new number.
JSON_SCHEMA = 1

# Columns. Below the least a table would be all ellipses, above the most the eye loses the line.
WIDTH, WIDTH_MIN, WIDTH_MAX = 100, 60, 160

COLOR_KEY = "glassfs.color"

Function = TypeVar("Function", bound=Callable[..., Any])


def color_option(function: Function) -> Function:
    """Adds --color. It may stand before or after the verb; the last one counts."""

    def remember(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.meta[COLOR_KEY] = value

    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        callback=remember,
        expose_value=False,
        help="Colour the output: auto (a terminal, and NO_COLOR is not set), always, never.",
    )(function)


def json_option(function: Function) -> Function:
    """Adds --json, given to the verb as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead.")(function)


def wants_color(stream: TextIO) -> bool:
    """Whether to colour what goes to `stream`: --color first, then the environment, then what the stream is."""
    context = click.get_current_context(silent=True)
    choice = context.meta.get(COLOR_KEY, "auto") if context else "auto"
    if choice != "auto":
        return bool(choice == "always")
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb" and os.environ.get("CLICOLOR", "1") != "0"


def shown(text: str | os.PathLike[str]) -> str:
    """A name as it can be printed: control characters and bytes that are no text are written as escapes."""
    return "".join(c if c.isprintable() else escaped(c) for c in os.fspath(text))


def escaped(character: str) -> str:
    raw = os.fsencode(character) if "\udc80" <= character <= "\udcff" else b""
    return f"\\x{raw[0]:02x}" if raw else character.encode("unicode_escape").decode()


def width_of(stream: TextIO) -> int:
    """Columns to draw for: a terminal's own within reason, else what the views are made for."""
    if not stream.isatty():
        return WIDTH
    with contextlib.suppress(OSError):
        return min(max(os.get_terminal_size(stream.fileno()).columns, WIDTH_MIN), WIDTH_MAX)
    return WIDTH


def talk(message: str) -> None:
    """Says something to the person, on stderr."""
    print(f"glassfs: {message}", file=sys.stderr, flush=True)


def answer_json(answer: dict[str, Any]) -> None:
    """Prints one answer as one JSON object on one line of stdout."""
    print(json.dumps({"schema": JSON_SCHEMA, **answer}), flush=True)
