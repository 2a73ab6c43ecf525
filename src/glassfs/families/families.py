"""The family of a path, by the rules of families.toml and by what a server has said of its own files.

Knows paths and names, no SQL (query.families says the same in SQL) and no database server.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path

from glassfs.errors import BadUsage
from glassfs.escaping import glob_to_regex
from glassfs.families import names, rules
from glassfs.families.names import Relation
from glassfs.families.rules import Rule

# The family of what no rule fits.
NONE = "other"

# A relation's file is cut into segments of 1 GiB: 16384, 16384.1, 16384.2; its forks are 16384_fsm, _vm and _init.
SEGMENT = r"\.[0-9]+$"
FORK = r"_(fsm|vm|init)$"

_FILE = "families.toml"


@dataclass(frozen=True)
class Found:
    """`relation`: the table or index, as database.schema.name, where a server has named it."""

    family: str
    relation: str | None = None


@dataclass(frozen=True)
class Families:
    """`relations`: by the escaped path of the main fork's first segment."""

    rules: Sequence[Rule]
    relations: Mapping[str, Relation] = field(default_factory=dict)

    def of(self, path: str) -> Found:
        """`path` escaped, as it stands in a trace."""
        stem = re.sub(SEGMENT, "", path)
        if relation := self.relations.get(stem):
            return Found(relation.family, relation.name)
        main = self.relations.get(re.sub(FORK, "", stem))
        return Found(self._by_rule(path), main.name if main else None)

    def _by_rule(self, path: str) -> str:
        return next((name for name, pattern in self._compiled if pattern.fullmatch(path)), NONE)

    @cached_property
    def _compiled(self) -> list[tuple[str, re.Pattern[str]]]:
        return [(rule.name, re.compile("|".join(map(glob_to_regex, rule.paths)))) for rule in self.rules]

    @property
    def names(self) -> list[str]:
        """All families there are, in the order of their rules."""
        told = (relation.family for relation in self.relations.values())
        return list(dict.fromkeys([*(rule.name for rule in self.rules), *told]))


def load(environ: Mapping[str, str] = os.environ) -> Families:
    """The user's rules, the machine's, ours, and the relations that `glassfs names` has learnt."""
    files = [path for path in user_files(environ) if path.exists()]
    texts = [(_read(path), str(path)) for path in files]
    ours = resources.files("glassfs.families").joinpath(_FILE).read_text(encoding="utf-8")
    found = [rule for text, where in [*texts, (ours, _FILE)] for rule in rules.parse(text, where)]
    return Families(found, names.load_all())


def user_files(environ: Mapping[str, str]) -> list[Path]:
    """Beside config.yml."""
    config = environ.get("XDG_CONFIG_HOME", "")
    home = Path(config) if os.path.isabs(config) else Path.home() / ".config"
    return [home / "glassfs" / _FILE, Path("/etc/glassfs") / _FILE]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "it is not UTF-8"
        raise BadUsage(f"cannot read the families ({why})", where=str(path)) from problem
