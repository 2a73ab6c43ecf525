"""Kibana's query language, as far as saved panels use it: to a search's query, and to SQL. Knows no dashboards.

or_query := and_query ("or" and_query)*; and_query := not_query ("and" not_query)*; not_query := ["not"] (group | term)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r'\s*(>=|<=|>|<|:|\(|\)|"(?:[^"\\]|\\.)*"|[^\s():<>]+)')


@dataclass(frozen=True)
class Term:
    field: str
    op: str
    value: str


@dataclass(frozen=True)
class Joined:
    word: str
    parts: tuple[Any, ...]


def parse(query: str) -> Any:
    """None for everything."""
    tokens = _TOKEN.findall(query)
    assert "".join(tokens).replace(" ", "") == query.replace(" ", ""), f"cannot read {query!r}"
    if not tokens or tokens == ["*"]:
        return None
    tree, rest = _either(tokens)
    assert not rest, f"{rest} is left of {query!r}"
    return tree


def _either(tokens: list[str]) -> tuple[Any, list[str]]:
    return _joined(tokens, "or", lambda rest: _joined(rest, "and", _one))


def _joined(tokens: list[str], word: str, below: Any) -> tuple[Any, list[str]]:
    part, tokens = below(tokens)
    parts = [part]
    while tokens and tokens[0].lower() == word:
        part, tokens = below(tokens[1:])
        parts.append(part)
    return (Joined(word, tuple(parts)) if len(parts) > 1 else part), tokens


def _one(tokens: list[str]) -> tuple[Any, list[str]]:
    if tokens[0].lower() == "not":
        part, rest = _one(tokens[1:])
        return Joined("not", (part,)), rest
    if tokens[0] == "(":
        part, rest = _either(tokens[1:])
        assert rest[0] == ")"
        return part, rest[1:]
    field, op, *rest = tokens
    assert op in (":", ">=", "<=", ">", "<"), f"no operator behind {field}"
    if rest[0] != "(":
        return Term(field, op, _value(rest[0])), rest[1:]
    end = rest.index(")")
    values = [each for each in rest[1:end] if each.lower() != "or"]
    return Joined("or", tuple(Term(field, op, _value(each)) for each in values)), rest[end + 1 :]


def _value(token: str) -> str:
    return token[1:-1].replace('\\"', '"') if token.startswith('"') else token


def to_query(query: str) -> dict[str, Any]:
    tree = parse(query)
    return {"match_all": {}} if tree is None else _query(tree)


def _query(tree: Any) -> dict[str, Any]:
    if isinstance(tree, Joined):
        parts = [_query(part) for part in tree.parts]
        kind = {"or": "should", "and": "filter", "not": "must_not"}[tree.word]
        return {"bool": {kind: parts, **({"minimum_should_match": 1} if kind == "should" else {})}}
    if tree.op != ":":
        name = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}[tree.op]
        return {"range": {tree.field: {name: tree.value}}}
    if tree.value == "*":
        return {"exists": {"field": tree.field}}
    if "*" in tree.value:
        return {"query_string": {"fields": [tree.field], "query": re.sub(r"([/:\-.])", r"\\\1", tree.value)}}
    return {"match": {tree.field: tree.value}}


def to_sql(query: str) -> str:
    tree = parse(query)
    return "true" if tree is None else _sql(tree)


def _sql(tree: Any) -> str:
    if isinstance(tree, Joined):
        parts = [_sql(part) for part in tree.parts]
        if tree.word == "not":
            return f"not coalesce({parts[0]}, false)"
        return "(" + f" {tree.word} ".join(parts) + ")"
    column, value = f'"{tree.field}"', tree.value.replace("'", "''")
    if tree.op != ":":
        return f"{column} {tree.op} {value}"
    if tree.value == "*":
        return f"{column} is not null"
    if "*" in tree.value:
        return f"{column} like '{value.replace('*', '%')}'"
    return f"{column}::varchar = '{value}'"
