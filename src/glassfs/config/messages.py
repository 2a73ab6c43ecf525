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

# Letters of a name or value that are repeated; the line is shown, too.
NAME_SHOWN = 60

HIDDEN = "***"

# Settings whose value is nobody's business, right or mistyped: by a part of their name, or near to one.
_SECRET_PART = re.compile(r"(?i)pass|pwd|secret|token|key")
_SECRET_NAMES = ("password", "api_key")

# A name and what is between it and its value, should the colon be missing or wrong.
_NAME = re.compile(r"""(?P<name>[A-Za-z_][\w-]*)["']?\s*[:=]?\s*(?=(?P<more>\S?))""")

_SETTING = re.compile(r"""\s*["']?[\w-]+["']?\s*:(\s|$)""")

# What stands before an @ in an address is a login, and what is no port after its colon was to be one.
_LOGIN = re.compile(r"""(?: (?<=://) | (?<![^\s\[\]{}"',=]) ) \S+ @""", re.VERBOSE)
_NO_PORT = re.compile(r"""(?<=//)(?!\[)([^\s/:]*:)(?!\d{1,5}(?:[/\s\]}"',.]|$))\S+""")


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

    def __post_init__(self) -> None:
        # What was given is repeated in both.
        object.__setattr__(self, "what", without_logins(self.what))
        object.__setattr__(self, "hint", self.hint and without_logins(self.hint))

    def lines(self, *, with_hint: bool = True) -> list[str]:
        spot = self.spot
        said = [f"{spot.where}: {self.what}" if spot else self.what]
        if spot and spot.line.strip():
            said += _picture(spot)
        hint = self.hint if self.hint and with_hint else ""
        return said + [f"  {line}" for line in textwrap.wrap(hint, HINT_WIDTH, break_long_words=False)]


class ConfigError(BadUsage):
    """All that is wrong with the settings, at once."""

    def __init__(self, problems: Sequence[Problem], *, source: str) -> None:
        many = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        super().__init__(f"{many} in {source}")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        shown = self.problems[:PROBLEMS_SHOWN]
        rest = len(self.problems) - len(shown)
        lines, hinted = [self.what], set[str | None]()
        for problem in shown:
            lines += problem.lines(with_hint=problem.hint not in hinted)
            hinted.add(problem.hint)
        return "\n  ".join(lines + ([f"... and {rest} more"] if rest else []))


def meant(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """What was probably meant by a word that is not known."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def without_logins(text: str) -> str:
    return _NO_PORT.sub(rf"\1{HIDDEN}", _LOGIN.sub(f"{HIDDEN}@", text))


def _secret_in(line: str) -> re.Match[str] | None:
    """The first name on the line that may be that of a secret."""
    before, end = "", 0
    for found in _NAME.finditer(line):
        # A wrong letter in the name makes two of it.
        joined = before + found["name"] if found.start() == end + 1 else found["name"]
        if _is_secret(found["name"]) or _is_secret(joined):
            return found
        before, end = found["name"], found.end("name")
    return None


def _is_secret(name: str) -> bool:
    if name.endswith("_file"):
        return False
    return bool(_SECRET_PART.search(name)) or meant(name.lower(), _SECRET_NAMES, cutoff=0.7) is not None


def without_secrets(line: str) -> str:
    """The line up to a secret: what follows on its line may belong to it."""
    found = _secret_in(line)
    if found and found["more"]:
        line = line[: found.start("more")] + HIDDEN
    return without_logins(line)


def quoted(name: str) -> str:
    """A name that nobody knows, as a message repeats it: with a colon missing, it may have swallowed its value."""
    return f"'{without_secrets(name)[:NAME_SHOWN]}'"


def without_secret_blocks(lines: Sequence[str]) -> list[str]:
    """The same for a whole text, where a secret may go on in the lines below its name."""
    kept: list[str] = []
    secret_indent: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if secret_indent is not None and indent <= secret_indent and _SETTING.match(line):
            secret_indent = None
        kept.append(HIDDEN if secret_indent is not None and line.strip() else without_secrets(line))
        if secret_indent is None and _secret_in(line):
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
