"""What is wrong with the settings, as a person is told: where, the line itself, a caret, and what may have been meant.

Knows no setting. A line that may hold a secret is shown without it.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from glassfs.errors import BadUsage

# More than a person corrects in one go.
PROBLEMS_SHOWN = 20

# Columns of a line that is shown; of a longer one the part around the caret.
LINE_SHOWN = 84

# Columns of a hint, which may list names.
HINT_WIDTH = 94

HIDDEN = "***"

# Names of settings, right or mistyped, whose value is nobody's business.
_SECRET_NAME = re.compile(
    r"""(?ix) \b (?![\w-]*_file\b)
        [\w-]* (?: pass | pwd | secret | token | (?:api|access|private)[_-]?key ) [\w-]*
        ["']? \s* [:=] (?P<value> \s* (?=\S) )?"""
)

# user:password@ in an address, with or without a scheme before it.
_LOGIN = re.compile(r"""(?: (?<=://) [^\s\["',]*: | (?<![^\s\["',=]) [^\s\["',/:=]+: (?!//) ) \S* @""", re.VERBOSE)


@dataclass(frozen=True)
class Spot:
    """A place in what was given. `where`: "config.yml:3:5" or the name of a variable; `column` counts from 0."""

    where: str
    line: str
    number: int | None = None
    column: int = 0
    length: int = 1


@dataclass(frozen=True)
class Problem:
    what: str
    spot: Spot | None
    hint: str | None = None

    def lines(self) -> list[str]:
        spot = self.spot
        said = [f"{spot.where}: {self.what}" if spot else self.what]
        if spot and spot.line.strip():
            said += _picture(spot)
        said += [f"  {line}" for line in textwrap.wrap(self.hint or "", HINT_WIDTH, break_long_words=False)]
        return [without_logins(line) for line in said]


class ConfigError(BadUsage):
    """All that is wrong with the settings, at once."""

    def __init__(self, problems: Sequence[Problem], *, source: str) -> None:
        many = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        super().__init__(f"{many} in {source}")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        shown = self.problems[:PROBLEMS_SHOWN]
        rest = len(self.problems) - len(shown)
        lines = [line for problem in shown for line in problem.lines()] + ([f"... and {rest} more"] if rest else [])
        return "\n  ".join([self.what, *lines])


def meant(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """What was probably meant by a word that is not known."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def without_logins(text: str) -> str:
    return _LOGIN.sub(f"{HIDDEN}@", text)


def without_secrets(line: str) -> str:
    """The line up to a secret: what follows on its line may belong to it."""
    found = _SECRET_NAME.search(line)
    if found and found["value"] is not None:
        line = line[: found.end()] + HIDDEN
    return without_logins(line)


def without_secret_blocks(lines: Sequence[str]) -> list[str]:
    """The same for a whole text, where a secret may go on in the lines below its name."""
    kept: list[str] = []
    secret_indent: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if secret_indent is not None and line.strip() and indent <= secret_indent:
            secret_indent = None
        kept.append(HIDDEN if secret_indent is not None and line.strip() else without_secrets(line))
        if secret_indent is None and _SECRET_NAME.search(line):
            secret_indent = indent
    return kept


def _picture(spot: Spot) -> list[str]:
    line = "".join(one if one.isprintable() else "→" if one == "\t" else "?" for one in spot.line)
    column = min(spot.column, max(0, len(line) - len(HIDDEN)) if HIDDEN in line else len(line))
    start = max(0, column - LINE_SHOWN // 2) if len(line) > LINE_SHOWN else 0
    dots = "..." if start else ""
    part = dots + line[start : start + LINE_SHOWN] + ("..." if start + LINE_SHOWN < len(line) else "")
    column += len(dots) - start
    gutter = f"{spot.number} | " if spot.number is not None else ""
    carets = "^" * max(1, min(spot.length, len(part) - column))
    return [f"    {gutter}{part}".rstrip(), f"    {'| '.rjust(len(gutter)) if gutter else ''}{' ' * column}{carets}"]
