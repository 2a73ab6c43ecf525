"""Any mix of acknowledged, unacknowledged and repeated batches, also after retention has deleted the oldest day in
between: each event is there once or not at all, never twice; and no deleted index comes back.

On real servers. Retention is played by the test, by the rule of ILM, ISM and `prune` at its strictest: an index goes
`retention_days` and one day more after its day began.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from shipping import TraceWriter, event, held, set_up, settings

from glassfs.config.model import Elastic
from glassfs.config.secrets import Credentials
from glassfs.elastic import indices
from glassfs.elastic.bulk import Sender, Stopped
from glassfs.elastic.client import Answer, Client
from glassfs.elastic.followed import FollowedTrace
from glassfs.errors import ServerUnreachable
from glassfs.trace import Trace
from support.servers import RealServer

DAY_NS = 86_400 * 1_000_000_000
# A day's beginning, UTC.
FIRST_DAY_NS = 20_500 * DAY_NS
RETENTION_DAYS = 2
# When its index goes, after its day began: the last event of the day stays RETENTION_DAYS.
INDEX_AGE_NS = (RETENTION_DAYS + 1) * DAY_NS
EVENTS = 40

# What becomes of one request: answered; carried out and not answered; not carried out. Or, between two requests, half a
# day passes, or the shipper is killed and starts again from its cursor.
STEPS = st.lists(
    st.sampled_from(["answered", "answered", "lost answer", "lost answer", "lost request", "half a day", "killed"]),
    max_size=25,
)


class Faulty:
    """A client whose next requests go as told."""

    def __init__(self, client: Client, stop: threading.Event) -> None:
        self._client = client
        self._stop = stop
        self.steps: list[str] = []
        self.passed_ns = 0

    def request(self, method: str, path: str, **more: Any) -> Answer:
        what = self.steps.pop(0) if self.steps else "answered"
        if what == "killed":
            self._stop.set()
            raise ServerUnreachable("killed before it was sent")
        if what == "lost request":
            raise ServerUnreachable("never arrived")
        if what == "half a day":
            self.passed_ns += DAY_NS // 2
            raise ServerUnreachable("half a day without a server")
        answer = self._client.request(method, path, **more)
        if what == "lost answer":
            raise ServerUnreachable("the answer was lost")
        return answer


def deleted_by_now(server: RealServer, now_ns: int) -> None:
    for row in server.ask("GET", "/_cat/indices?format=json&h=index&expand_wildcards=open"):
        found = indices.parse(row["index"])
        if found and int(found.begin.timestamp()) * 1_000_000_000 + INDEX_AGE_NS <= now_ns:
            server.ask("DELETE", f"/{row['index']}")


def assert_none_came_back(server: RealServer, now_ns: int) -> None:
    for row in server.ask("GET", "/_cat/indices/glassfs-*?format=json&h=index"):
        found = indices.parse(row["index"])
        if found:
            assert int(found.begin.timestamp()) * 1_000_000_000 + INDEX_AGE_NS > now_ns, row


class Life:
    """A shipper's, over crashes, with a clock of its own."""

    def __init__(self, server: RealServer, folder: Path, steps: list[str]) -> None:
        self.server = server
        self.folder = folder
        self.steps = steps
        self.now_ns = FIRST_DAY_NS + 2 * DAY_NS
        self.config = settings(server.url, retention_days=RETENTION_DAYS)

    def ship(self) -> FollowedTrace:
        while True:
            stop = threading.Event()
            followed = FollowedTrace(
                Trace(self.folder / "trace"),
                "events",
                self.folder / "shipping",
                self.config,
                now_ns=lambda: self.now_ns,
            )
            try:
                self._until_finished(followed, stop)
                return followed
            except Stopped:
                # As kill -9: nothing after the last save is kept.
                followed.cursor._lock.close()

    def _until_finished(self, followed: FollowedTrace, stop: threading.Event) -> None:
        with Client(Elastic(hosts=[self.server.url]), Credentials()) as client:
            faulty = Faulty(client, stop)
            faulty.steps = self.steps
            sender = Sender(faulty, stop, pause=lambda _s: self._pass(faulty))  # type: ignore[arg-type]
            while not followed.is_finished:
                for work in followed.next():
                    work.sent = sender.send(work.body, work.expired)
                    work.body = b""
                    followed.retire()
                followed.retire()
                if len(self.steps) % 2:
                    followed.cursor.save()
        followed.cursor.save()

    def _pass(self, faulty: Faulty) -> bool:
        """Time passes while the shipper waits, and retention acts."""
        self.now_ns += faulty.passed_ns
        faulty.passed_ns = 0
        deleted_by_now(self.server, self.now_ns)
        return False


@pytest.mark.slow
@pytest.mark.deadline(240)
def test_once_or_not_at_all_never_twice(server: RealServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("glassfs.elastic.lane.BATCH_DOCUMENTS", 7)
    set_up(server)

    @how(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def lives(steps: list[str]) -> None:
        for row in server.ask("GET", "/_cat/indices/glassfs-*?format=json&h=index"):
            server.ask("DELETE", f"/{row['index']}")
        folder = Path(tempfile.mkdtemp())
        try:
            live_once(server, folder, list(steps))
        finally:
            shutil.rmtree(folder)

    lives()


def live_once(server: RealServer, folder: Path, steps: list[str]) -> None:
    writer = TraceWriter(folder / "trace", start_ns=FIRST_DAY_NS)
    # Three days of events, the days mixed: calls are stored as they end.
    rows = [event(seq, ts_ns=FIRST_DAY_NS + (seq * 7 % EVENTS) * 3 * DAY_NS // EVENTS) for seq in range(EVENTS)]
    writer.add(rows[: EVENTS // 2])
    writer.add(rows[EVENTS // 2 :])
    writer.describe(end_ns=FIRST_DAY_NS + 3 * DAY_NS, end_reason="unmounted")
    life = Life(server, folder, steps)
    followed = life.ship()
    counts = followed.cursor.state.counts
    followed.close()
    deleted_by_now(server, life.now_ns)
    assert_none_came_back(server, life.now_ns)
    found = held(server)
    assert set(found.values()) <= {1}, "twice"
    kept = {
        f"{writer.about['id']}-0-{row['seq']}"
        for row in rows
        if row["ts_ns"] // DAY_NS * DAY_NS + INDEX_AGE_NS > life.now_ns + 300_000_000_000
    }
    assert kept <= set(found), "not at all, though its day is kept"
    assert counts.shipped + counts.expired == EVENTS
