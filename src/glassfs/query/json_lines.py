"""Rows as JSON text, made by DuckDB itself: a document in the shape of a mapping of dotted names to columns.

Knows the trace's columns and JSON, and nothing of who wants the documents. Measured: 3 us a row for 40 fields, where
fetching the columns and encoding them in Python takes 12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from glassfs.query.totals import BYTES_SQL


@dataclass(frozen=True)
class Constant:
    """Any JSON value, the same in all documents."""

    value: Any


@dataclass(frozen=True)
class Column:
    """A column of the table, or one of DERIVED. `as_text`: a number as a string. `of`: which DERIVED part of it."""

    name: str
    as_text: bool = False


@dataclass(frozen=True)
class Words:
    """What a column's value stands for; None leaves the field out, as does a value not in `words` without
    `otherwise`."""

    column: str
    words: Mapping[Any, Any]
    otherwise: Any = None


@dataclass(frozen=True)
class OnlyFor:
    """A column, where another one has this value."""

    column: str
    where: str
    value: str


@dataclass(frozen=True)
class Moment:
    """`ts_ns` in a format of strftime, UTC."""

    format: str


@dataclass(frozen=True)
class Joined:
    """One string of texts as they are, numbers and moments, none of which needs an escape."""

    parts: tuple[str | Column | Moment, ...]


@dataclass(frozen=True)
class Verbatim:
    """A column that is a JSON document already."""

    name: str


Value = Constant | Column | Words | OnlyFor | Joined
Shape = Mapping[str, Value]

_NAME = "parse_filename(path, false, 'forward_slash')"

# What a document may hold beside the table's own columns.
DERIVED = {
    "time": "strftime(make_timestamp_ns(ts_ns), '%Y-%m-%dT%H:%M:%S.%nZ')",
    "moved_bytes": f"case when op in ('read', 'write', 'copy_file_range') then {BYTES_SQL} end",
    "path_name": f"nullif({_NAME}, '')",
    "path_directory": "case when path <> '/' then coalesce(nullif(parse_dirpath(path, 'forward_slash'), ''), '/') end",
    # A name that begins with its only dot has no extension.
    "path_extension": f"nullif(regexp_extract({_NAME}, '.\\.([^.]+)$', 1), '')",
}

# Columns whose text is made once for each path, or each row of `processes`, of a slice: most rows share theirs.
SHARED = {
    **dict.fromkeys(("path", "path_name", "path_directory", "path_extension"), "paths"),
    **dict.fromkeys(("process_name", "exe", "cmdline", "ppid"), "facts"),
}

# Columns that always hold something, and so does an object with one of them.
_NEVER_NULL = {"stream", "seq", "ts_ns", "time", "duration_ns", "requests", "op", "kind", "origin", "plane", "errno"}

_NUMBERS = {
    *("stream", "seq", "duration_ns", "backing_ns", "requests", "syscall_nr", "offset", "size", "result", "errno"),
    *("flags", "mode", "ino", "dev", "fh", "pid", "tid", "uid", "gid", "ppid", "moved_bytes"),
}


@dataclass(frozen=True)
class WordTable:
    """What each value of `column` stands for. `rows`: the key, then the text of each field."""

    column: str
    name: str
    fields: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Expression:
    """SQL over the table, joined with `words` and with the texts that `shared` rows (paths, facts) have: a name for
    each, and how it is made."""

    sql: str
    words: tuple[WordTable, ...]
    shared: Mapping[str, Mapping[str, str]]


def expression(document: Shape | Verbatim) -> Expression:
    """The document of a row."""
    if isinstance(document, Verbatim):
        return Expression(_sql(document.name), (), {})
    builder = _Builder()
    sql = _concat(builder.object(_tree(document)))
    return Expression(sql, builder.word_tables(), builder.shared)


def _tree(shape: Shape) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name, value in shape.items():
        *parents, last = name.split(".")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return root


class _Text(str):
    """A piece of the document as it is; other pieces are SQL."""


class _Builder:
    """Makes an object a flat list of pieces to be put one after the other: each level of nested concatenation would
    copy the whole text once more. What may be null is one piece with its name and its comma."""

    def __init__(self, *, share: bool = True) -> None:
        self.shared: dict[str, dict[str, str]] = {}
        self._share = share
        self._words: dict[str, dict[str, Mapping[Any, Any]]] = {}

    def object(self, tree: Mapping[str, Any]) -> list[str]:
        """Begins with a member that cannot be null, if there is one; then every other one brings a comma."""
        own, shared = self._parted(tree)
        first = next((name for name, value in own.items() if _is_certain(value)), None)
        if first is None:
            return [self._perhaps_empty(own, shared)]
        rest = [piece for name, value in own.items() if name != first for piece in self._member(",", name, value)]
        return [_Text("{"), *self._member("", first, own[first]), *rest, *shared, _Text("}")]

    def _perhaps_empty(self, own: Mapping[str, Any], shared: Sequence[str]) -> str:
        """Null without any member."""
        if len(own) == 1 and not shared:
            return _strict([_Text("{"), *self._member("", *next(iter(own.items()))), _Text("}")])
        pieces = [piece for name, value in own.items() for piece in self._member(",", name, value)]
        return f"'{{' || ltrim(nullif({_concat([*pieces, *shared])}, ''), ',') || '}}'"

    def _parted(self, tree: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The members made for each row, and the names of texts that rows share."""
        own: dict[str, Any] = {}
        by_source: dict[str, dict[str, Any]] = {}
        for name, value in tree.items():
            source = _source(value) if self._share else ""
            (by_source.setdefault(source, {}) if source else own)[name] = value
        return own, [self._text_of(source, those) for source, those in by_source.items()]

    def _text_of(self, source: str, members: Mapping[str, Any]) -> str:
        made = self.shared.setdefault(source, {})
        alias = f"{source}_text_{len(made)}"
        alone = _Builder(share=False)
        made[alias] = _concat([piece for name, value in members.items() for piece in alone._member(",", name, value)])
        return alias

    def _member(self, comma: str, name: str, value: Any) -> list[str]:
        head = _Text(f"{comma}{json.dumps(name)}:")
        if isinstance(value, Constant):
            return [_Text(head + _json(value.value))]
        if isinstance(value, Words):
            return [self._looked_up(head, value)]
        pieces = [head, *(self.object(value) if isinstance(value, Mapping) else _leaf(value))]
        return pieces if _is_certain(value) else [_strict(pieces)]

    def _looked_up(self, head: str, words: Words) -> str:
        """From a table: a CASE of a hundred branches costs each slice 50 ms."""
        fields = self._words.setdefault(words.column, {})
        name = f"word_{len(fields)}"
        fields[name] = {key: None if word is None else head + _json(word) for key, word in words.words.items()}
        found = f"{_table(words.column)}.{name}"
        return found if words.otherwise is None else f"coalesce({found}, {_quoted(head + _json(words.otherwise))})"

    def word_tables(self) -> tuple[WordTable, ...]:
        return tuple(_word_table(column, fields) for column, fields in self._words.items())


def _word_table(column: str, fields: Mapping[str, Mapping[Any, Any]]) -> WordTable:
    keys = list(dict.fromkeys(key for words in fields.values() for key in words))
    rows = tuple((key, *(words.get(key) for words in fields.values())) for key in keys)
    return WordTable(column, _table(column), tuple(fields), rows)


def _table(column: str) -> str:
    return f"words_of_{column}"


def _source(value: Any) -> str:
    """By what all of a member's columns are shared; "" for the row's own."""
    if isinstance(value, Mapping):
        sources = {_source(each) for each in value.values()}
        return sources.pop() if len(sources) == 1 else ""
    return SHARED.get(value.name, "") if isinstance(value, Column) else ""


def _is_certain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_certain(each) for each in value.values())
    if isinstance(value, Column):
        return value.name in _NEVER_NULL
    return isinstance(value, Constant | Joined)


def _leaf(value: Column | OnlyFor | Joined) -> list[str]:
    if isinstance(value, Joined):
        return [_Text('"'), *map(_part, value.parts), _Text('"')]
    if isinstance(value, OnlyFor):
        found = f"case when {value.where} = {_quoted(value.value)} then {_sql(value.column)} end"
        return [f"to_json({found})::varchar"]
    sql = _sql(value.name)
    # A time needs no escapes.
    if value.as_text or value.name == "time":
        return [_Text('"'), sql, _Text('"')]
    return [sql if value.name in _NUMBERS else f"to_json({sql})::varchar"]


def _part(part: str | Column | Moment) -> str:
    if isinstance(part, Moment):
        return f"strftime(make_timestamp_ns(ts_ns), {_quoted(part.format)})"
    return _sql(part.name) if isinstance(part, Column) else _Text(part)


def _concat(pieces: Sequence[str]) -> str:
    """Nulls are left out."""
    return f"concat({', '.join(_merged(pieces))})"


def _strict(pieces: Sequence[str]) -> str:
    """Null if one of them is."""
    return " || ".join(_merged(pieces))


def _merged(pieces: Sequence[str]) -> list[str]:
    """Texts that follow each other become one."""
    groups = groupby(pieces, key=lambda piece: isinstance(piece, _Text))
    return [sql for is_text, group in groups for sql in ([_quoted("".join(group))] if is_text else group)]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _sql(name: str) -> str:
    return DERIVED.get(name) or f'"{name}"'


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
