"""A trace, ready to be asked: the query layer's public face."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

from glassfs.about import About
from glassfs.filters import Filter
from glassfs.query import answers, breakdown, statement, totals
from glassfs.query import events as rows
from glassfs.query import summary as summaries
from glassfs.query.asked import Asked
from glassfs.query.database import Database
from glassfs.query.live import LiveEvents
from glassfs.query.statement import Statement
from glassfs.trace import State, Trace

EVERYTHING = Filter()


class Reader:
    """Answers are frozen dataclasses (`glassfs.query.answers`). A trace that is still being recorded is read as it
    stands at each question. What could not be read is in `warnings` after a question, never passed over."""

    def __init__(self, trace: Trace, *, timeout_s: float | None = None) -> None:
        self._trace = trace
        self._timeout_s = timeout_s
        self._open: Database | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<glassfs trace {self.about.name}, {self._trace.state().value}>"

    @property
    def about(self) -> About:
        """What trace.json says: command, mounts, host, clock."""
        return self._trace.about

    @property
    def is_live(self) -> bool:
        return self._trace.state() is State.LIVE

    @property
    def warnings(self) -> list[str]:
        return self._database().warnings

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _database(self, *, machine: bool = False) -> Database:
        """`machine`: with the machine's own figures, which only a person's SQL asks for."""
        if self._open is not None and self._trace.about.end_ns is None and self._open.is_stale():
            self._trace.refresh()
            self.close()
        if self._open is not None and machine and not self._open.has_machine():
            self.close()
        if self._open is None:
            self._open = Database(self._trace, machine=machine, timeout_s=self._timeout_s)
        return self._open

    def _asked(self, wanted: Filter) -> Asked:
        return Asked.of(self._database(), wanted)

    def sql(self, query: str) -> Any:
        """A DuckDB relation over the views events, totals, processes, system and ledger: it shows itself in a notebook,
        and has `.fetchall()`, `.df()`, `.pl()`. Only a SELECT; no other file can be read."""
        return statement.relation(self._database(machine=True), query)

    def statement(self, query: str) -> Statement:
        """The same as columns and a stream of rows, under the reader's time limit."""
        return Statement(self._database(machine=True), query)

    def leave_out_damaged(self) -> None:
        """Reads every segment in full, so that damage does not show in the middle of an answer."""
        self._database(machine=True).leave_out_unreadable()

    def summary(self, wanted: Filter = EVERYTHING) -> answers.Summary:
        return summaries.summary(self._asked(wanted))

    def ops(self, wanted: Filter = EVERYTHING) -> tuple[answers.OpRow, ...]:
        asked = self._asked(wanted)
        return totals.ops(asked, totals.tallies(asked))

    def files(
        self, wanted: Filter = EVERYTHING, *, sort: str = "count", limit: int = 20
    ) -> tuple[answers.FileRow, ...]:
        return breakdown.files(self._asked(wanted), sort=sort, limit=limit)

    def threads(
        self, wanted: Filter = EVERYTHING, *, sort: str = "count", limit: int = 20
    ) -> tuple[answers.ThreadRow, ...]:
        return breakdown.threads(self._asked(wanted), sort=sort, limit=limit)

    def errors(self, wanted: Filter = EVERYTHING, *, limit: int = 20) -> tuple[answers.ErrorRow, ...]:
        asked = self._asked(wanted)
        return breakdown.errors(asked, totals.error_counts(asked)[:limit])

    def losses(self) -> answers.Losses:
        return totals.losses(self._asked(EVERYTHING))

    def headline(self) -> answers.Headline:
        return summaries.headline(self._asked(EVERYTHING))

    def events(self, wanted: Filter = EVERYTHING, *, limit: int | None = None) -> Iterator[rows.Event]:
        """Row by row, in the order they began."""
        return rows.events(self._asked(wanted), limit)

    def live_events(self, wanted: Filter = EVERYTHING) -> LiveEvents:
        return LiveEvents(self._trace, wanted)
