"""One trace's way to the cluster: its rows in batches, in order, and the cursor that follows what was answered.

Batches may be answered out of order; the cursor moves over those at the front only. Knows no HTTP.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from glassfs.elastic import horizon
from glassfs.elastic.cursor import Counts, Cursor
from glassfs.elastic.work import Work
from glassfs.errors import DamagedTrace
from glassfs.follow import Follower, rows_after
from glassfs.query.database import SegmentsGone
from glassfs.query.documents import Choice, DocumentReader, Part
from glassfs.trace import Segment, State, Trace

# Of a request; documents of calls have about 1.2 kB, so it is mostly the number that decides.
BATCH_DOCUMENTS = 2_000
BATCH_BYTES = 4 << 20

# Read with one question, which takes 15 ms whatever it brings; more would be more memory.
BATCHES_A_SLICE = 4


class Lane:
    """`choose`: which rows become documents, from the oldest allowed on. `transform`: makes another body of one.
    `skip_behind_s`: the lag at which a live trace's rows are left to the totals."""

    def __init__(
        self,
        trace: Trace,
        table: str,
        cursor: Cursor,
        reader: DocumentReader,
        *,
        choose: Callable[[int], Choice],
        oldest_ns: Callable[[int], int],
        skip_behind_s: float | None = None,
        transform: Callable[[str], str] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.trace = trace
        self.cursor = cursor
        self.warnings: list[str] = []
        self._follower = Follower(trace, table, cursor.state.had)
        self._reader = reader
        self._choose = choose
        self._oldest_ns = oldest_ns
        self._skip_behind_s = skip_behind_s
        self._transform = transform
        self._now_ns = now_ns
        self._pending: deque[Work] = deque()
        self._suspects: set[str] = set()
        self._lost: set[str] = set()
        self._document_bytes = BATCH_BYTES // BATCH_DOCUMENTS
        self._ended = False
        self.exhausted = False

    def close(self) -> None:
        self._reader.close()

    def next(self) -> list[Work]:
        """The next batches to send, in order; none if there is no news. Then `exhausted` says whether the trace has
        ended and all of it was given out."""
        ended = self._has_ended()
        batch = self._follower.poll()
        self.warnings += self._follower.warnings()
        works = self._of_removed()
        if batch.segments:
            works += self._skipped(batch.segments) or self._of_segment(batch.segments[0], batch.after)
        self.exhausted = ended and not batch.segments
        self._pending.extend(works)
        return [work for work in works if work.body]

    def _has_ended(self) -> bool:
        """Asked before looking for news, so that what is found then is the last."""
        if not self._ended:
            self.trace.refresh()
            self._ended = self.trace.state() is not State.LIVE
        return self._ended

    def _of_removed(self) -> list[Work]:
        """Rows that retention took before they were read."""
        taken, self._follower.removed = self._follower.removed, []
        works = []
        for segment in taken:
            works += self._passed_over(segment, Counts(removed=self._follower.news_in(segment)))
        return works

    def _passed_over(self, segment: Segment, counts: Counts) -> list[Work]:
        """The rest of a segment as one step without documents."""
        works = []
        for stream, _first, last in segment.streams:
            self._follower.had_through(stream, last)
            works.append(Work(stream=stream, last=last, counts=counts, to_ns=segment.to_ns))
            counts = Counts()
        return works

    def _skipped(self, segments: Sequence[Segment]) -> list[Work]:
        """All that is there, if a live trace is too far behind."""
        if self._skip_behind_s is None or self._ended:
            return []
        if self._now_ns() - segments[0].from_ns < self._skip_behind_s * 1e9:
            return []
        self.warnings.append(
            f"more than {self._skip_behind_s:g} s behind: single calls are left out and counted as skipped until it "
            "has caught up; the totals have them all (elastic.when_behind)"
        )
        works = []
        for segment in segments:
            works += self._passed_over(segment, Counts(skipped=self._follower.news_in(segment)))
        return works

    def _of_segment(self, segment: Segment, after: dict[int, int]) -> list[Work]:
        stream, first, last = next(
            (stream, max(first, after.get(stream, -1) + 1), last)
            for stream, first, last in segment.streams
            if last > after.get(stream, -1)
        )
        documents = max(1, min(BATCH_DOCUMENTS, BATCH_BYTES // self._document_bytes))
        end = min(last, first + BATCHES_A_SLICE * documents - 1)
        oldest_ns = self._oldest_ns(self._now_ns())
        processes = [each for each in self._follower.segments("processes") if each.file not in self._lost]
        try:
            parts = self._reader.read(
                segment,
                processes,
                self._choose(oldest_ns),
                stream=stream,
                first=first,
                last=end,
                rows_a_part=documents,
            )
        except SegmentsGone as gone:
            return self._of_missing(segment, gone)
        except DamagedTrace as damage:
            return self._of_damaged(segment, str(damage))
        self._follower.had_through(stream, end)
        works = [self._work(part) for part in parts]
        # Numbers that drops used up, behind the last row.
        return [*works, Work(stream=stream, last=end, to_ns=works[-1].to_ns if works else 0)]

    def _of_missing(self, segment: Segment, gone: SegmentsGone) -> list[Work]:
        """It may vanish just before the manifest's next line says why; one that is missing twice is lost."""
        files = {damage.segment.file for damage in gone.damages}
        lost = files & self._suspects
        self._suspects |= files
        if segment.file in lost:
            return self._of_damaged(segment, f"{segment.file} is missing")
        if lost:
            self._lost |= lost
            self.warnings.append(f"{', '.join(sorted(lost))} is missing: names of processes are left out")
        return []

    def _of_damaged(self, segment: Segment, why: str) -> list[Work]:
        lost = self._follower.news_in(segment)
        self.warnings.append(f"{why}: {lost} rows left out")
        return self._passed_over(segment, Counts(unreadable=lost))

    def _work(self, part: Part) -> Work:
        body = (self._transform(part.text) if self._transform else part.text).encode()
        if part.documents:
            self._document_bytes = max(1, len(body) // part.documents)
        return Work(
            body,
            part.documents,
            Counts(expired=part.too_old, left_out=part.rows - part.documents - part.too_old),
            part.stream,
            part.last,
            part.to_ns,
            expired=lambda line: horizon.is_expired(line, self._oldest_ns(self._now_ns())),
        )

    def retire(self) -> int:
        """Moves the cursor over what was answered, up to the first batch that was not. Documents done."""
        done = 0
        state = self.cursor.state
        while self._pending and self._pending[0].is_done:
            work = self._pending.popleft()
            if work.sent is not None:
                self.cursor.reject(work.sent.letters)
                work.counts.rejected += len(work.sent.letters)
                work.counts.expired += work.sent.expired
                work.counts.shipped += work.sent.created
                done += work.sent.created
            state.counts.add(work.counts)
            if work.stream is not None:
                state.had[work.stream] = max(work.last, state.had.get(work.stream, -1))
            state.last_ns = max(state.last_ns, work.to_ns)
            self.cursor.changed()
        return done

    @property
    def waiting(self) -> int:
        """Batches given out that the cursor has not passed yet."""
        return len(self._pending)

    @property
    def is_finished(self) -> bool:
        return self.exhausted and not self._pending

    def ahead(self) -> int:
        """Stored rows that are not answered for, about; as of the last look."""
        return sum(
            rows_after(segment, self.cursor.state.had) for segment in self._follower.segments(self._follower.table)
        )

    def lag_s(self) -> float:
        """Age of the oldest row that is not answered for; 0 if there is none."""
        had = self.cursor.state.had
        waiting = [each for each in self._follower.segments(self._follower.table) if rows_after(each, had)]
        if not waiting:
            return 0.0
        oldest_ns = max(waiting[0].from_ns, min(self.cursor.state.last_ns, waiting[0].to_ns))
        return max(0.0, (self._now_ns() - oldest_ns) / 1e9)
