"""What is wrong with the settings, as a person is told: where, the line itself, a caret, and what may have been meant.

Knows no setting. A line that may hold a secret is shown without it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from glassfs.errors import BadUsage

# More than a person corrects in one go.
PROBLEMS_SHOWN = 20

# Columns of a line that is shown; of a longer one the part around the caret.
LINE_SHOWN = 88

HIDDEN = "***"

# Names of settings, right or mistyped, whose value is nobody's business, and user:password in an address.
_SECRET_NAME = re.compile(
    r"""(?ix) \b (?![\w-]*_file\b)
        [\w-]* (?: pass | pwd | secret | token | (?:api|access|private)[_-]?key ) [\w-]*
        ["']? \s* [:=] \s* (?=\S)"""
)
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@\"',]*:[^\s@\"',]*(?=@)")


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
        return said + ([f"  {self.hint}"] if self.hint else [])


class ConfigError(BadUsage):
    """All that is wrong with the settings, at once."""

    def __init__(self, problems: Sequence[Problem], *, source: str, next_step: str | None = None) -> None:
        many = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        super().__init__(f"{many} in {source}", next_step=next_step)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        shown = self.problems[:PROBLEMS_SHOWN]
        blocks = ["\n".join(f"  {line}" for line in problem.lines()) for problem in shown]
        rest = len(self.problems) - len(shown)
        blocks += [f"  ... and {rest} more"] if rest else []
        return "\n".join([self.what, *blocks, *([f"  {self.next_step}"] if self.next_step else [])])


def meant(word: str, known: Iterable[str]) -> str:
    """ ", did you mean 'hosts'?", or nothing where nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f", did you mean '{near[0]}'?" if near else ""


def without_secrets(line: str) -> str:
    """The line up to a secret: what follows one on its line may belong to it."""
    found = _SECRET_NAME.search(line)
    kept = line[: found.end()] + HIDDEN if found else line
    return _IN_ADDRESS.sub(HIDDEN, kept)


def _picture(spot: Spot) -> list[str]:
    line = "".join(
        character if character.isprintable() else "→" if character == "\t" else "?" for character in spot.line
    )
    hidden = without_secrets(line)
    column, length = spot.column, max(1, spot.length)
    if hidden != line:
        column, length = _beside_hidden(line, hidden, column, length)
    start = max(0, column - LINE_SHOWN // 2) if len(hidden) > LINE_SHOWN else 0
    part = ("..." if start else "") + hidden[start : start + LINE_SHOWN]
    column += (3 if start else 0) - start
    part += "..." if start + LINE_SHOWN < len(hidden) else ""
    number = str(spot.number) if spot.number is not None else ""
    carets = "^" * min(length, max(1, len(part) - column))
    return [f"  {number:>4} | {part}".rstrip(), f"  {'':>4} | {' ' * column}{carets}"]


def _beside_hidden(line: str, hidden: str, column: int, length: int) -> tuple[int, int]:
    """Where the caret goes when the line has been shortened: onto the asterisks, if it stood in what they hide."""
    same = next(
        (at for at, (a, b) in enumerate(zip(line, hidden, strict=False)) if a != b), min(len(line), len(hidden))
    )
    if column < same:
        return column, min(length, same - column)
    return same, len(HIDDEN)
