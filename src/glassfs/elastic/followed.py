"""One trace as a whole on its way to the cluster: its rows, its totals, and the document about itself.

Makes work, and takes back what became of it. Knows no HTTP and no threads.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from glassfs.config.model import Settings
from glassfs.elastic import documents, horizon, indices, totals, trace_document
from glassfs.elastic.cursor import Cursor, State
from glassfs.elastic.hashing import Hasher
from glassfs.elastic.lane import Lane
from glassfs.elastic.system_names import hidden_documents
from glassfs.elastic.work import Work
from glassfs.query.documents import Choice, DocumentReader
from glassfs.query.json_lines import Verbatim
from glassfs.query.seconds import Second, ledger, seconds
from glassfs.trace import TRACE_JSON, Trace
from glassfs.trace import State as TraceState

# A second's totals are whole when it is over and the segment with its end is closed (every half second).
TOTALS_AFTER_S = 1.5

# How often totals are looked at, and the document about a live trace is written again.
TOTALS_EVERY_S = 1.0
ABOUT_EVERY_S = 10.0


class FollowedTrace:
    """`all_of_it`: an old trace too, however long ago it was (see `horizon`)."""

    def __init__(
        self,
        trace: Trace,
        kind: str,
        directory: Path,
        settings: Settings,
        *,
        hasher: Hasher | None = None,
        all_of_it: bool = False,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.trace = trace
        self.kind = kind
        self._settings = settings
        self._elastic = settings.elastic
        self._hasher = hasher
        self._now_ns = now_ns
        fresh = State(
            trace=trace.about.id,
            name=trace.about.name,
            folder=str(trace.path),
            kind=kind,
            index_per=self._elastic.index_per if kind == "events" else "day",
            started_ns=now_ns(),
        )
        self.cursor = Cursor(directory, fresh)
        self._started_ns = self.cursor.state.started_ns if all_of_it else None
        self._lane = self._lane_of(kind) if kind == "sampler" or self._elastic.ship != "totals" else None
        self._totals = totals.Followed(trace, self.cursor.state.totals_offset) if kind == "events" else None
        self._totals_work: list[Work] = []
        self._totals_offset: int | None = None
        self._totals_done = self._totals is None
        self._seconds: Iterator[list[Second]] | None = None
        self._next_totals_s = self._next_about_s = 0.0
        self._about_work: Work | None = None
        self._last_about = b""
        self._about_done = kind == "sampler"

    @property
    def name(self) -> str:
        return self.trace.about.name

    def warnings(self) -> list[str]:
        if self._lane is None:
            return []
        fresh, self._lane.warnings = self._lane.warnings, []
        return fresh

    def _lane_of(self, kind: str) -> Lane:
        state, namespace = self.cursor.state, self._elastic.namespace
        action = documents.create(kind, namespace, self.trace.about.id, state.index_per)
        behind_s = self._elastic.behind_s if self._elastic.when_behind == "totals" and kind == "events" else None
        if kind == "sampler":
            reader = DocumentReader(self.trace, "system", action, Verbatim("document"))
        else:
            shape = documents.event(self._about(), self._settings.labels, hide_names=self._hasher is not None)
            hide = self._hasher.paths if self._hasher else None
            reader = DocumentReader(self.trace, "events", action, shape, hide)
        hasher = self._hasher
        return Lane(
            self.trace,
            "system" if kind == "sampler" else "events",
            self.cursor,
            reader,
            choose=self._choice if kind == "events" else lambda oldest_ns: Choice(from_ns=oldest_ns),
            oldest_ns=self._oldest_ns,
            skip_behind_s=behind_s,
            transform=(lambda text: hidden_documents(text, hasher)) if hasher and kind == "sampler" else None,
            now_ns=self._now_ns,
        )

    def _about(self) -> Any:
        """With `hash_paths` a trace's name, which is a program's, is hashed, too."""
        about = self.trace.about
        return about if self._hasher is None else dataclasses.replace(about, name=self._hasher.path(about.name))

    def _oldest_ns(self, now_ns: int) -> int:
        per = self.cursor.state.index_per
        return horizon.oldest_ns(now_ns, self._elastic.retention_days, per, self._started_ns)

    def _choice(self, oldest_ns: int) -> Choice:
        elastic = self._elastic
        return Choice(
            from_ns=oldest_ns,
            min_duration_ns=round(elastic.slow_ms * 1e6) if elastic.ship == "slow" else None,
            only_errors=elastic.ship == "errors",
            one_in=elastic.sample_one_in if elastic.ship == "sampled" else 1,
        )

    def next(self) -> list[Work]:
        """What there is to send now."""
        works = self._lane.next() if self._lane is not None else []
        now_s = time.monotonic()
        if self._totals is not None and now_s >= self._next_totals_s:
            works += self._next_totals()
            self._next_totals_s = 0.0 if self._seconds else now_s + TOTALS_EVERY_S
        if self.kind == "events" and self._about_work is None and (now_s >= self._next_about_s or self._may_finish()):
            works += self._next_about()
            self._next_about_s = now_s + ABOUT_EVERY_S
        return works

    def _next_totals(self) -> list[Work]:
        """Some seconds at a time: of one second never two values are under way."""
        if self._totals_work or self._totals is None:
            return []
        if self._seconds is None:
            self._seconds = self._fresh_seconds(self._totals)
        rows = next(self._seconds, None) if self._seconds else None
        if rows is None:
            self._seconds = None
            self._keep_totals_offset()
            return []
        lines = list(totals.lines(self._about(), self._settings.labels, self._elastic.namespace, rows))
        parts = [lines[at : at + _TOTALS_BATCH] for at in range(0, len(lines), _TOTALS_BATCH)]
        self._totals_work = [Work(b"".join(part), len(part), expired=self._is_expired) for part in parts]
        return list(self._totals_work)

    def _fresh_seconds(self, followed: totals.Followed) -> Iterator[list[Second]] | None:
        ended = self._has_ended()
        before_ns = (1 << 63) - 1 if ended else self._now_ns() - round(TOTALS_AFTER_S * 1e9)
        spans, self._totals_offset = followed.poll(before_ns)
        self._totals_done = ended and not spans
        days = self._elastic.retention_days
        oldest_ns = horizon.oldest_ns(self._now_ns(), days, "day", self._started_ns)
        young = [(max(begin, oldest_ns), end) for begin, end in spans if end > oldest_ns]
        return seconds(self.trace, young) if young else None

    def _is_expired(self, line: bytes) -> bool:
        return horizon.is_expired(line, self._oldest_ns(self._now_ns()))

    def _keep_totals_offset(self) -> None:
        if self._totals_offset is not None and self._totals_offset != self.cursor.state.totals_offset:
            self.cursor.state.totals_offset = self._totals_offset
            self.cursor.changed()

    def _next_about(self) -> list[Work]:
        raw = json.loads((self.trace.path / TRACE_JSON).read_bytes())
        made = trace_document.document(
            self.trace.about,
            raw,
            self.trace.state(),
            ledger(self.trace),
            self.cursor.state.counts,
            self._settings.labels,
            self._hasher,
        )
        document = orjson.dumps(made)
        finished = self._may_finish()
        if document == self._last_about:
            self._about_done = finished
            return []
        self._last_about = document
        action = {
            "_index": indices.traces(self._elastic.namespace),
            "_id": self.trace.about.id,
            # The newest stays, whichever comes last.
            "version": self._now_ns() // 1_000_000,
            "version_type": "external_gte",
        }
        self._about_work = Work(orjson.dumps({"index": action}) + b"\n" + document + b"\n", 1)
        return [self._about_work]

    def _has_ended(self) -> bool:
        self.trace.refresh()
        return self.trace.state() is not TraceState.LIVE

    def retire(self) -> int:
        """Takes over what was answered. Documents of rows that are done."""
        done = self._lane.retire() if self._lane is not None else 0
        if self._totals_work and all(work.is_done for work in self._totals_work):
            self._totals_work = []
        if self._about_work is not None and self._about_work.is_done:
            self._about_work = None
        return done

    def _may_finish(self) -> bool:
        rows_done = self._has_ended() if self._lane is None else self._lane.is_finished
        return rows_done and self._totals_done and not self._totals_work

    @property
    def is_finished(self) -> bool:
        return self._about_work is None and self._about_done and self._may_finish()

    @property
    def waiting(self) -> int:
        return self._lane.waiting if self._lane is not None else 0

    def ahead(self) -> int:
        return self._lane.ahead() if self._lane is not None else 0

    def lag_s(self) -> float:
        return self._lane.lag_s() if self._lane is not None else 0.0

    def complete(self) -> None:
        self.cursor.state.complete = True
        self.cursor.changed()

    def close(self) -> None:
        if self._lane is not None:
            self._lane.close()
        self.cursor.close()


# Documents of totals in one request: small ones.
_TOTALS_BATCH = 5_000
