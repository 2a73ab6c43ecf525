"""A person's own SQL: one statement that only reads, its columns, and its rows as they come.

What DuckDB's settings do not forbid (writing into the trace's own folder, tables that shadow the trace's) is refused by
the kind of the statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from glassfs.errors import DamagedTrace, QueryError
from glassfs.query.database import FETCH_ROWS, Database, duckdb_module

_EXPLAIN = re.compile(r"\s*explain(\s+analyze)?\s+", re.IGNORECASE)


class Statement:
    """`columns`: (name, DuckDB's type). Rows can be taken once."""

    def __init__(self, database: Database, sql: str) -> None:
        check(database, sql)
        self._database = database
        self._cursor = database.surviving(lambda cursor: cursor.execute(sql), _refusal)
        self.columns = [(str(column[0]), str(column[1])) for column in self._cursor.description or ()]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        while batch := self._database.limited.run(self._fetch):
            yield from batch

    def _fetch(self) -> list[tuple[Any, ...]]:
        try:
            return self._cursor.fetchmany(FETCH_ROWS)
        except duckdb_module().InterruptException as problem:
            raise KeyboardInterrupt from problem
        except duckdb_module().Error as problem:
            raise self._why(problem) from problem

    def _why(self, problem: Exception) -> Exception:
        """Rows are already out, so the query cannot simply be asked again without what is damaged."""
        if not self._database.leave_out_unreadable():
            return _refusal(problem)
        what = "; ".join(map(str, self._database.damages)) or "the trace has changed under the query"
        return DamagedTrace(
            what,
            where=str(self._database.trace.path),
            next_step="The answer above is not complete. With --check damaged segments are left out from the start.",
        )


def relation(database: Database, sql: str) -> Any:
    """For a notebook: asked when its rows are wanted, by DuckDB itself."""
    check(database, sql)
    return database.surviving(lambda cursor: cursor.sql(sql), _refusal)


def check(database: Database, sql: str) -> None:
    """Raises unless `sql` is one SELECT (or what DuckDB makes one: FROM, SHOW, DESCRIBE, SUMMARIZE) or its EXPLAIN."""
    kinds = _kinds(database, sql)
    if kinds == ["EXPLAIN"]:
        kinds = _kinds(database, _EXPLAIN.sub("", sql, count=1))
    if not kinds:
        raise QueryError("there is no query", next_step='For example "select op, count(*) from events group by op".')
    if len(kinds) > 1:
        raise QueryError(f"these are {len(kinds)} statements", next_step="Ask one at a time.")
    if kinds != ["SELECT"]:
        raise QueryError(f"{kinds[0]} is not allowed: a trace is only read", next_step="Use a SELECT.")


def _kinds(database: Database, sql: str) -> list[str]:
    return database.surviving(
        lambda cursor: [statement.type.name for statement in cursor.extract_statements(sql)], _refusal
    )


def _refusal(problem: Exception) -> QueryError:
    """DuckDB's own words: they name the place and often what was meant."""
    return QueryError(str(problem).strip())
