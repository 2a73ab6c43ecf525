"""A bound filter as an SQL condition over `events`, with its values as parameters."""

from __future__ import annotations

from itertools import chain
from typing import Any

from glassfs.filters import ANY_ERROR, Bound, Demand, NamePattern


def condition(bound: Bound) -> tuple[str, list[Any]]:
    """`("true", [])` where everything passes."""
    parts: list[str] = []
    values: list[Any] = []

    def add(text: str, *more: Any) -> None:
        parts.append(text)
        values.extend(more)

    _add_range(bound, add)
    _add_words(bound.ops, "op", add)
    _add_errnos(bound.errnos, add)
    _add_ids(bound.pids, add)
    _add_names(bound.comm, ("comm",), add)
    _add_names(bound.path, ("path", "path2"), add)
    return " and ".join(parts) or "true", values


def _add_range(bound: Bound, add: Any) -> None:
    # Comparisons that Parquet's statistics can answer come first: whole row groups are skipped.
    if bound.from_ns is not None:
        add("ts_ns >= ?", bound.from_ns)
    if bound.to_ns is not None:
        add("ts_ns < ?", bound.to_ns)
    if bound.min_latency_ns is not None:
        add("duration_ns >= ?", bound.min_latency_ns)


def _marks(values: tuple[Any, ...]) -> str:
    return ", ".join("?" * len(values))


def _add_words(demand: Demand[Any], column: str, add: Any) -> None:
    if demand.any_of is not None:
        add(f"{column} in ({_marks(demand.any_of)})" if demand.any_of else "false", *demand.any_of)
    if demand.none_of:
        add(f"{column} not in ({_marks(demand.none_of)})", *demand.none_of)


def _add_errnos(demand: Demand[int], add: Any) -> None:
    if demand.any_of is not None and ANY_ERROR in demand.any_of:
        add("(errno <> 0 or errno in (" + _marks(demand.any_of) + "))", *demand.any_of)
        demand = Demand(None, demand.none_of)
    if ANY_ERROR in demand.none_of:
        add("errno = 0")
    _add_words(demand, "errno", add)


def _add_ids(demand: Demand[int], add: Any) -> None:
    """A process id, or a thread's."""
    if demand.any_of is not None:
        marks = _marks(demand.any_of)
        add(f"(pid in ({marks}) or tid in ({marks}))", *demand.any_of, *demand.any_of)
    for value in demand.none_of:
        add("(pid is distinct from ? and tid is distinct from ?)", value, value)


def _add_names(demand: Demand[NamePattern], columns: tuple[str, ...], add: Any) -> None:
    if demand.any_of is not None:
        texts, values = zip(*(_matches(pattern, columns) for pattern in demand.any_of), strict=True)
        add(f"({' or '.join(texts)})", *chain.from_iterable(values))
    for pattern in demand.none_of:
        text, more = _matches(pattern, columns)
        add(f"not {text}", *more)


def _matches(pattern: NamePattern, columns: tuple[str, ...]) -> tuple[str, list[str]]:
    """A name that is not known matches nothing, so it passes every "not"."""
    found = [_one_matches(pattern, column) for column in columns]
    return f"({' or '.join(text for text, _ in found)})", [value for _, values in found for value in values]


def _one_matches(pattern: NamePattern, column: str) -> tuple[str, list[str]]:
    """DuckDB asks a glob once for each name in a dictionary, but a regular expression once for each row."""
    regex = f"regexp_full_match({column}, ?)"
    if not pattern.globs:
        return f"coalesce({regex}, false)", [pattern.regex]
    globs = " or ".join([f"{column} glob ?"] * len(pattern.globs))
    return (
        f"coalesce(case when contains({column}, '\\') then {regex} else {globs} end, false)",
        [pattern.regex, *pattern.globs],
    )
