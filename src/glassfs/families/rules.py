"""The form of families.toml: tables [[family]] with a name and globs over paths."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from msgspec import Struct, ValidationError, convert

from glassfs.errors import BadUsage

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_EXAMPLE = 'Such as: [[family]] name = "myapp.index" paths = ["*/index/*.idx"] (each on a line of its own).'


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """`paths`: globs over a whole path; `*` also crosses slashes. The first rule that fits a path counts."""

    name: str
    paths: list[str]


class _File(Struct, forbid_unknown_fields=True):
    family: list[Rule] = []


def parse(text: str, where: str) -> list[Rule]:
    """All rules of a file, or BadUsage that says what is wrong and where."""
    try:
        found = convert(tomllib.loads(text), _File).family
    except tomllib.TOMLDecodeError as problem:
        raise _bad(f"this is no TOML: {problem}", where) from problem
    except ValidationError as problem:
        raise _bad(str(problem), where) from problem
    for number, rule in enumerate(found, start=1):
        _check(rule, f"{where}, family {number}")
    return found


def _check(rule: Rule, where: str) -> None:
    if not _NAME.fullmatch(rule.name):
        raise _bad(f"'{rule.name}' is no name for a family: lower case, digits, dots and hyphens", where)
    if not rule.paths:
        raise _bad(f"{rule.name} has no paths", where)
    for path in rule.paths:
        if not path.startswith(("*", "/", "[")):
            raise _bad(f"{rule.name}: a pattern is of a whole path: begin '{path}' with / or *", where)


def _bad(what: str, where: str, example: Any = _EXAMPLE) -> BadUsage:
    return BadUsage(what, where=where, next_step=example)
