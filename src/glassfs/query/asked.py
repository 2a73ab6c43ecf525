"""One trace and one filter, as every question takes them: the database to ask, and the condition to ask it under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glassfs.filters import Filter
from glassfs.query.database import Database
from glassfs.query.where import condition


@dataclass(frozen=True)
class Asked:
    database: Database
    filter: Filter
    where: str
    values: list[Any]

    @classmethod
    def of(cls, database: Database, wanted: Filter) -> Asked:
        about = database.trace.about
        bound = wanted.bind(start_ns=about.start_ns, end_ns=end_ns(database), class_of_op=about.class_of_op)
        where, values = condition(bound)
        return cls(database, wanted, where, values)

    @property
    def class_of_op(self) -> Mapping[str, str]:
        return self.database.trace.about.class_of_op

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.database.rows(sql, values)


def end_ns(database: Database) -> int:
    """When the trace ended; for one that has not said so, the last that is stored."""
    about = database.trace.about
    last = max((segment.to_ns for segment in database.segments("events")), default=about.start_ns)
    return about.end_ns or max(last, about.start_ns)
