"""The text of config.yml as a tree in which every name and value knows its place. The only file that knows ruamel.

Knows no setting. What is wrong with the text itself is collected, as far as it can be read on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from glassfs.config.messages import ConfigError, Problem, Spot, meant, quoted, without_secret_blocks, without_secrets
from glassfs.errors import BadUsage

# A hand-written file is a few kB; this is no config.yml.
MAX_BYTES = 1 << 20

# References (*name) can make much of little.
MAX_VALUES = 10_000

_NULL = "tag:yaml.org,2002:null"
_CONFLICT = re.compile(r"(<{7}|={7}|>{7}|\|{7})( |$)")

# What ruamel says, in a person's words.
COLON_HINT = "A setting is written as name: value, with a space after the colon."
_IN_ONE_COLUMN = "Settings of one section stand in one column."
_QUOTES = "Put the text in quotes."
_PLAIN_WORDS = (
    (
        "mapping values",
        "a ':' too many here, or the indentation does not fit",
        f"{_IN_ONE_COLUMN} A text with ': ' in it needs quotes.",
    ),
    ("cannot start any token", "this character cannot begin a value", _QUOTES),
    ("expected ',' or", "a bracket is not closed, or a ',' is missing", None),
    ("unexpected end of stream", "a quote is not closed", None),
    ("expected <block end>", "the indentation does not fit, or a ':' is missing", _IN_ONE_COLUMN),
    ("could not find expected ':'", "a ':' is missing", COLON_HINT),
    ("another document", "a second document begins here", "Remove the line ---."),
    ("undefined alias", "'*' begins a reference to nothing", _QUOTES),
    ("unknown escape", "no escape of YAML", "In single quotes a backslash is a backslash."),
)


@dataclass(frozen=True)
class Value:
    """A map (name -> (place of the name, value)), a list of values, or a scalar and its text as it was typed."""

    content: dict[str, tuple[Spot, Value]] | list[Value] | None
    spot: Spot
    scalar: Any = None
    text: str | None = None

    @property
    def parts(self) -> dict[str, Spot]:
        """Where each name of a map, or each scalar of a list, stands."""
        if isinstance(self.content, dict):
            return {name: spot for name, (spot, _value) in self.content.items()}
        return {value.text: value.spot for value in self.content or () if value.text is not None}

    @property
    def is_null(self) -> bool:
        return self.content is None and self.text is None

    def plain(self, *, as_text: bool) -> Any:
        """As Python has it; with `as_text`, scalars are what was typed."""
        if isinstance(self.content, dict):
            return {name: value.plain(as_text=as_text) for name, (_spot, value) in self.content.items()}
        if isinstance(self.content, list):
            return [value.plain(as_text=as_text) for value in self.content]
        return self.text if as_text else self.scalar


@dataclass
class Document:
    root: Value
    problems: list[Problem] = field(default_factory=list)


def scalar(text: str) -> Any:
    """What YAML makes of a single word: 5, 1.5, true, or the text."""
    yaml = _yaml()
    try:
        tag = yaml.resolver.resolve(ScalarNode, text, (True, False))
        return yaml.constructor.construct_object(ScalarNode(tag, text))
    except (YAMLError, ValueError):
        return text


def read(path: Path) -> Document:
    """Raises ConfigError where nothing can be made of it at all."""
    return parse(_text(path), str(path))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        what = f"cannot read the settings ({problem.strerror})"
        raise BadUsage(what, where=str(path), next_step=_near_file(path)) from problem
    if len(data) > MAX_BYTES:
        raise BadUsage(f"this is no config.yml (more than {MAX_BYTES >> 20} MB)", where=str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        good = data[: problem.start].decode("utf-8-sig", errors="replace")
        number, column = good.count("\n") + 1, len(good) - good.rfind("\n") - 1
        line = data.split(b"\n")[number - 1].decode("utf-8", errors="replace").removeprefix("\ufeff")
        what = f"the byte 0x{data[problem.start]:02x} is not UTF-8"
        spot = Spot(f"{path}:{number}:{column + 1}", without_secrets(line), number, column)
        raise ConfigError([Problem(what, spot, "Save the file as UTF-8.")], source=str(path)) from problem


def _near_file(path: Path) -> str | None:
    try:
        near = meant(path.name, (one.name for one in path.parent.iterdir() if one.is_file()), cutoff=0.8)
    except OSError:
        return None
    return f"Did you mean {path.parent / near}?" if near and near != path.name else None


def parse(text: str, name: str) -> Document:
    reading = _Reading(text, name)
    if reading.problems:
        raise ConfigError(reading.problems, source=name)
    return Document(reading.root(), reading.problems)


class _Reading:
    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        # As YAML breaks lines; str.splitlines() knows more ends of line.
        self._lines = re.split(r"\r\n|[\r\n]", text)
        self._shown = without_secret_blocks(self._lines)
        self._values = 0
        self.problems: list[Problem] = []
        self._look_at_lines()

    def _look_at_lines(self) -> None:
        for at, line in enumerate(self._lines):
            indent = line[: len(line) - len(line.lstrip(" \t"))]
            if "\t" in indent and line.strip() and not line.strip().startswith("#"):
                self._say("a tab in the indentation", at, indent.index("\t"), hint="YAML indents with spaces.")
            elif _CONFLICT.match(line):
                self._say("a merge conflict that nobody has resolved", at, 0, len(line.rstrip()))

    def _say(self, what: str, line: int, column: int, length: int = 1, *, hint: str | None = None) -> None:
        self.problems.append(Problem(what, self._spot(line, column, length), hint))

    def _spot(self, line: int, column: int, length: int = 1) -> Spot:
        """A place past the end (an unclosed bracket) is shown at the last line with something on it."""
        while line > 0 and (line >= len(self._lines) or not self._lines[line].strip()):
            line -= 1
            column = len(self._lines[line].rstrip()) if line < len(self._lines) else 0
        return Spot(f"{self._name}:{line + 1}:{column + 1}", self._shown[line], line + 1, column, length)

    def root(self) -> Value:
        yaml = _yaml()
        try:
            node = yaml.compose(self._text)
            return self._value(node, yaml) if node is not None else Value(None, self._spot(0, 0))
        except MarkedYAMLError as problem:
            raise ConfigError([self._syntax(problem)], source=self._name) from problem
        except RecursionError as problem:
            raise ConfigError([Problem("nested too deeply", self._spot(0, 0))], source=self._name) from problem
        except YAMLError as problem:
            raise ConfigError([self._unreadable(problem)], source=self._name) from problem

    def _syntax(self, problem: MarkedYAMLError) -> Problem:
        said = problem.problem or str(problem)
        mark = problem.problem_mark or problem.context_mark
        if "mapping values" in said and (line := self._line_without_colon(mark.line)) is not None:
            text = self._lines[line].rstrip()
            what = "a space is missing after the ':'" if ":" in text else "a ':' is missing"
            column = text.index(":") + 1 if ":" in text else len(text) - len(text.lstrip())
            return Problem(what, self._spot(line, column, len(text) - column), COLON_HINT)
        for part, what, hint in _PLAIN_WORDS:
            if part in said:
                # What was not closed is found at its beginning, not at the end of the file.
                mark = problem.context_mark if "not closed" in what and problem.context_mark else mark
                return Problem(what, self._at(mark), hint)
        return Problem(f"not YAML ({said})", self._at(mark))

    def _line_without_colon(self, line: int) -> int | None:
        """The line before, if it should be a setting: YAML only stumbles over the next one."""
        before = [at for at in range(line) if self._lines[at].strip() and not self._lines[at].lstrip().startswith("#")]
        text = self._lines[before[-1]] if before else ""
        return before[-1] if before and not re.search(r":( |$)|^\s*- ", text) else None

    def _at(self, mark: Any) -> Spot:
        return self._spot(mark.line, mark.column) if mark else self._spot(0, 0)

    def _unreadable(self, problem: YAMLError) -> Problem:
        position = getattr(problem, "position", 0) or 0
        before = self._text[:position]
        spot = self._spot(before.count("\n"), position - (before.rfind("\n") + 1))
        return Problem(f"a control character (0x{ord(self._text[position]):02x})", spot, "Remove it.")

    def _value(self, node: Node, yaml: YAML) -> Value:
        spot = self._spot(node.start_mark.line, node.start_mark.column, _length(node))
        self._values += 1
        if self._values > MAX_VALUES:
            raise ConfigError([Problem(f"more than {MAX_VALUES} values", spot)], source=self._name)
        if isinstance(node, MappingNode):
            return Value(self._map(node, yaml), spot)
        if isinstance(node, SequenceNode):
            return Value([self._value(one, yaml) for one in node.value], spot)
        if node.tag == _NULL:
            return Value(None, spot)
        return Value(None, spot, self._scalar(node, spot, yaml), node.value)

    def _scalar(self, node: Node, spot: Spot, yaml: YAML) -> Any:
        try:
            return yaml.constructor.construct_object(node)
        except (YAMLError, ValueError):
            self.problems.append(Problem("not a value that YAML knows", spot, _QUOTES))
            return node.value

    def _map(self, node: MappingNode, yaml: YAML) -> dict[str, tuple[Spot, Value]]:
        found: dict[str, tuple[Spot, Value]] = {}
        for key, value in node.value:
            spot = self._spot(key.start_mark.line, key.start_mark.column, _length(key))
            if not isinstance(key, ScalarNode):
                self.problems.append(Problem("a name must be a single word", spot))
            elif key.value in found:
                first = found[key.value][0].number
                self.problems.append(Problem(f"{quoted(key.value)} stands here twice, first in line {first}", spot))
            else:
                found[key.value] = (spot, self._value(value, yaml))
        return found


def _length(node: Node) -> int:
    if node.start_mark.line != node.end_mark.line:
        return 1
    return max(1, int(node.end_mark.column - node.start_mark.column))


def _yaml() -> YAML:
    # The C parser knows no YAML 1.2: it would read `no` as false.
    return YAML(typ="safe", pure=True)
