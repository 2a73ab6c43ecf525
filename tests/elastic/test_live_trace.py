"""From a running program to a search: all parts as a person starts them, with a real server at the end."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from live import Home
from shipping import documents, held, is_found, matching, search, set_up, settings, ship, written
from test_numbers import assert_processes, reported

from support import traces
from support.servers import RealServer
from support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.mount]

SEARCHABLE_IN_S = 5.0
SHIPPED_IN_S = 60
METRICSETS = ("cpu", "load", "memory", "network", "diskio", "filesystem", "process", "process.summary")

# No more calls than a cold server on a busy machine can index: the next round comes when the one before was found.
ROUNDS = 4
PROGRAM = """
import os, sys
def work(me):
    with open(me, "wb", buffering=0) as file:
        for _ in range(20):
            file.write(b"x" * 1000)
        os.fsync(file.fileno())
    with open(me, "rb", buffering=0) as file:
        while file.read(1000):
            pass
    try:
        os.stat(f"{me}.missing")
    except FileNotFoundError:
        pass
    os.rename(me, f"{me}.old")
for line in sys.stdin:
    for me in "abc":
        if os.fork() == 0:
            work(me)
            os._exit(0)
    for _ in range(3):
        os.wait()
    open(line.strip(), "w").close()
    print("done", flush=True)
"""


class Watch:
    """Asks again and again, as a dashboard does: when was each document first in a search? Nothing is refreshed."""

    def __init__(self, server: RealServer) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.first_seen_s: dict[str, float] = {}

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        through = -1
        while not self._over.wait(0.1):
            query = {"range": {"event.sequence": {"gt": through}}}
            body = {"size": 10_000, "_source": ["event.sequence"], "query": query}
            _, answer = self._server.try_to("POST", "/glassfs-events-*/_search", body)
            now_s = time.time()
            hits = answer.get("hits", {}).get("hits", [])
            for hit in hits:
                self.first_seen_s.setdefault(hit["_id"], now_s)
            seen = {hit["_source"]["event"]["sequence"] for hit in hits}
            while through + 1 in seen:
                through += 1


@pytest.fixture
def warm(server: RealServer, tmp_path: Path) -> None:
    """It has indexed before: the first documents of a server that has just started take it seconds."""
    set_up(server)
    ship(settings(server.url), written(tmp_path / "warm", 2_000).path, tmp_path / "shipping")
    server.forget_everything()


@pytest.fixture
def home(server: RealServer, tmp_path: Path) -> Home:
    found = Home(tmp_path / "home", {"elastic.hosts": server.url})
    found.elastic("setup")
    return found


@pytest.mark.usefixtures("warm")
def test_every_call_is_in_a_search_within_5_s_and_once(server: RealServer, home: Home) -> None:
    with home.serving(sampler__enabled="false"), Watch(server) as watch:
        with home.traced(PROGRAM) as program:
            for number in range(ROUNDS):
                program.work(f"round-{number}")
                wait_until(lambda number=number: is_found(server, f"round-{number}"), "a round", SHIPPED_IN_S)
        trace = traces.Trace(home.trace())
        began_s = {f"{trace.about['id']}-{stream}-{seq}": ts_ns / 1e9 for stream, seq, ts_ns in rows(trace)}
        wait_until(lambda: set(watch.first_seen_s) == set(began_s), "all calls in a search", SHIPPED_IN_S)
        wait_until(lambda: home.is_shipped(trace.about["id"]), "the end of the trace", SHIPPED_IN_S)
    assert len(began_s) > ROUNDS * 3 * 40
    assert held(server) == dict.fromkeys(began_s, 1)
    late = {each: seen_s - began_s[each] for each, seen_s in watch.first_seen_s.items()}
    assert max(late.values()) < SEARCHABLE_IN_S, f"{max(late.values()):.1f} s"
    assert_counts_are_the_reports(server, home.trace())


def rows(trace: traces.Trace) -> list[tuple[Any, ...]]:
    return trace.rows("select stream, seq, ts_ns from events")


def assert_counts_are_the_reports(server: RealServer, trace: Path) -> None:
    report = reported(trace, "--calls", "--files", "--processes", "-n", "10000")
    for field, column, name in (("event.action", "ops", "name"), ("file.path", "files", "path")):
        buckets = search(server, "glassfs-events-*", {"all": {"terms": {"field": field, "size": 10_000}}})["all"]
        told = {bucket["key"]: bucket["doc_count"] for bucket in buckets["buckets"]}
        assert told == {row[name]: row["count"] for row in report[column]}, field
    assert_processes(server, report)


def test_the_samplers_documents_are_where_metricbeats_views_look_and_each_once(server: RealServer, home: Home) -> None:
    often = {"sampler__period_s": 0.3, "sampler__top_processes": 3}
    system = home.state / "system"
    with home.serving(**often):
        everything: dict[str, Any] = {"match_all": {}}
        wait_until(lambda: matching(server, "metricbeat-*", everything) > 100, "documents in a search", SHIPPED_IN_S)
    (first,) = folders(system)
    # What was sampled while it stopped comes with the next one; what the cluster has does not come again.
    with home.serving(**often):
        wait_until(lambda: home.is_shipped(id_of(first)), "the rest", SHIPPED_IN_S)
    first_ones = sampled_in(first)
    sampled = {each: document for folder in folders(system) for each, document in sampled_in(folder).items()}
    found = documents(server, "metricbeat-*")
    shipped = {hit["_id"]: hit["_source"] for hit in found}
    assert len(shipped) == len(found), "twice"
    assert set(first_ones) <= set(shipped) <= set(sampled)
    assert shipped == {each: sampled[each] for each in shipped}
    assert {hit["_index"].rpartition("-")[0] for hit in found} == {"metricbeat-glassfs-default"}
    datasets = Counter(document["event"]["dataset"] for document in shipped.values())
    assert set(datasets) == {f"system.{each}" for each in METRICSETS}


def folders(system: Path) -> list[Path]:
    return [each for each in system.iterdir() if each.is_dir()]


def id_of(folder: Path) -> str:
    found: str = json.loads((folder / "trace.json").read_text())["id"]
    return found


def sampled_in(folder: Path) -> dict[str, Any]:
    """Documents by the `_id` they must have."""
    files = [str(folder / segment) for segment in traces.live_segments(folder)]
    found = duckdb.execute("select stream, seq, document from read_parquet(?)", [files]).fetchall()
    return {f"{id_of(folder)}-{stream}-{seq}": json.loads(document) for stream, seq, document in found}
