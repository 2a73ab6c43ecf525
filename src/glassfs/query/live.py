"""The events of a trace that is being recorded, as they come: each once, across merges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassfs.filters import Filter
from glassfs.follow import Batch, Follower
from glassfs.query.database import Database, SegmentsGone
from glassfs.query.events import COLUMNS_SQL, Event
from glassfs.query.where import condition
from glassfs.trace import Damage, State, Trace

_NEWS = f"select {COLUMNS_SQL} from events where {{news}} and {{where}} order by ts_ns, stream, seq"


class LiveEvents:
    """Ask `news` again and again. `warnings`: what had to be left out so far."""

    def __init__(self, trace: Trace, wanted: Filter) -> None:
        self._trace = trace
        self._follower = Follower(trace)
        self._suspects: set[str] = set()
        self.warnings: list[str] = []
        about = trace.about
        # A time before the end means nothing while there is none: it then counts from the start.
        bound = wanted.bind(
            start_ns=about.start_ns, end_ns=about.end_ns or about.start_ns, class_of_op=about.class_of_op
        )
        self._where, self._values = condition(bound)

    @property
    def missed_rows(self) -> int:
        """Rows that retention took before they could be shown."""
        return self._follower.missed_rows

    def news(self) -> Iterator[Event]:
        """What has come since, in the order it began."""
        while (batch := self._follower.poll()).segments:
            try:
                database = Database(self._trace, only=batch.segments)
                yield from self._of(database, batch)
            except SegmentsGone as gone:
                if self._still_expected(gone.damages):
                    return
                continue
            for damage in database.damages:
                self._give_up(damage)
            self._follower.had(batch)
            database.close()
        self.warnings += self._follower.warnings()

    def _of(self, database: Database, batch: Batch) -> Iterator[Event]:
        news, after = _not_had(batch.after)
        rows = database.sorted_rows(_NEWS.format(news=news, where=self._where), [*after, *self._values])
        yield from map(Event._make, rows)

    def _still_expected(self, damages: list[Damage]) -> bool:
        """A segment may vanish just before the manifest's next line says why; one that is missing twice is lost."""
        first_time = [damage for damage in damages if damage.segment.file not in self._suspects]
        self._suspects |= {damage.segment.file for damage in damages}
        if not first_time:
            for damage in damages:
                self._give_up(damage)
        return bool(first_time)

    def _give_up(self, damage: Damage) -> None:
        self._follower.give_up(damage.segment)
        self.warnings.append(str(damage))

    def ended(self) -> bool:
        """True once nothing will be appended. Ask before the `news` that are to be the last."""
        self._trace.refresh()
        return self._trace.state() is not State.LIVE


def _not_had(after: dict[int, int]) -> tuple[str, list[Any]]:
    parts = ["not (stream = ? and seq <= ?)"] * len(after)
    return " and ".join(parts) or "true", [value for pair in after.items() for value in pair]
