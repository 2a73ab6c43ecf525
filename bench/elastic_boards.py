"""How long each dashboard takes over five million calls: every question of its panels, asked as a viewer asks them.

Calls of a real RocksDB and a real PostgreSQL, shipped, then repeated by time until they are as many, in a quarter of
an hour: what a dashboard opens with. `make bench-boards` writes bench/results/dashboards.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

from bench.elastic import ROOT, VERSION, server, settings
from bench.ground import REPOSITORY
from glassfs.config.secrets import Credentials
from glassfs.elastic.dashboards import bundles
from glassfs.elastic.shipper import Shipper
from glassfs.trace import Trace

sys.path.append(str(REPOSITORY / "tests"))

from dashboards import translate
from dashboards.questions import Question, search_body, steps
from support import databases

RESULTS = {
    "classic": ROOT / "bench/results/dashboards.json",
    "lens": ROOT / "bench/results/dashboards-lens.json",
}
WINDOW_S = 900
# Both viewers draw some eighty steps of time in a quarter of an hour.
STEP_MS = 10_000
# Connections of a browser to one server.
AT_A_TIME = 6
ROUNDS = 5
BATCH = 4_000
SYSTEM = "glassfs-system"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a running server, instead of one that is started for this")
    parser.add_argument("--millions", type=float, default=5)
    parser.add_argument("--bundle", choices=["classic", "lens"], default="classic")
    parser.add_argument("--only-ask", action="store_true", help="the server holds the calls already")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, server(given.url, Path(folder)) as url:
        if not given.only_ask:
            load(url, Path(folder), round(given.millions * 1e6))
        results = {
            "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()},
            "server": VERSION if not given.url else given.url,
            "bundle": given.bundle,
            **asked(url, given.bundle),
        }
    RESULTS[given.bundle].write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


# The calls.


def load(url: str, folder: Path, many: int) -> None:
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    settings(url, "default")
    seeds = [seed for name in databases.NAMES for seed in _shipped(url, folder, name)]
    events = sum("duration" in each["event"] for _, each in seeds)
    rounds = -(-many // events)
    with httpx.Client(base_url=url, timeout=300) as client, ThreadPoolExecutor(3) as posting:
        waiting = threading.Semaphore(6)

        def post(body: bytes) -> None:
            headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
            said = client.post("/_bulk", params={"filter_path": "errors"}, content=body, headers=headers)
            waiting.release()
            assert said.json() == {"errors": False}, said.text[:500]

        sent = []
        for body in _bodies(seeds, rounds):
            waiting.acquire()
            sent.append(posting.submit(post, body))
        for each in sent:
            each.result()
        client.post("/glassfs-*/_refresh")


def _shipped(url: str, folder: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Its calls and totals as documents: the kind of index, and the document."""
    with databases.traced(name) as trace:
        config = settings(url, f"seed-{name}")
        Shipper(config, Credentials(), traces=[Trace(trace)], directory=folder / name).run(threading.Event())
    with httpx.Client(base_url=url, timeout=300) as client:
        for kind in ("events", "totals"):
            pattern = f"/glassfs-{kind}-seed-{name}*"
            client.post(f"{pattern}/_refresh")
            page = client.post(f"{pattern}/_search?scroll=1m", json={"size": 5000}).json()
            while page["hits"]["hits"]:
                yield from ((kind, hit["_source"]) for hit in page["hits"]["hits"])
                page = client.post("/_search/scroll", json={"scroll": "1m", "scroll_id": page["_scroll_id"]}).json()
        for row in client.get(f"/_cat/indices/glassfs-*-seed-{name}*?format=json&h=index").json():
            client.delete(f"/{row['index']}")


def _bodies(seeds: list[tuple[str, dict[str, Any]]], rounds: int) -> Iterator[bytes]:
    """Round by round, each some time after the one before, in order of time as calls come."""
    seeds = sorted(seeds, key=lambda each: str(each[1]["@timestamp"]))
    end_s = int(time.time()) // WINDOW_S * WINDOW_S
    lines: list[bytes] = []
    first_s = {name: _seconds(name_of_first(seeds, name)) for name in ("events", "totals")}
    for number in range(rounds):
        begin_s = end_s - WINDOW_S + number * WINDOW_S // rounds
        for kind, seed in seeds:
            whole, fraction = str(seed["@timestamp"])[:19], str(seed["@timestamp"])[19:]
            at_s = begin_s + (_seconds(whole) - first_s[kind]) % (WINDOW_S // rounds + 1)
            when = datetime.fromtimestamp(at_s, UTC)
            index = f"glassfs-{kind}-default-{when:%Y.%m.%d}"
            lines.append(orjson.dumps({"index": {"_index": index}}))
            lines.append(orjson.dumps({**seed, "@timestamp": f"{when:%Y-%m-%dT%H:%M:%S}{fraction}"}))
            if len(lines) >= 2 * BATCH:
                yield gzip.compress(b"\n".join(lines) + b"\n", 1)
                lines = []
    if lines:
        yield gzip.compress(b"\n".join(lines) + b"\n", 1)


def name_of_first(seeds: list[tuple[str, dict[str, Any]]], kind: str) -> str:
    return next(str(each["@timestamp"]) for name, each in seeds if name == kind)


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp())


# The questions.


def asked(url: str, bundle: str) -> dict[str, Any]:
    process = listening(httpx.URL(url).port)
    with tempfile.TemporaryDirectory() as folder, httpx.Client(base_url=url, timeout=300) as client:
        written = {path.stem: path for path in bundles.export(Path(folder))}
        objects = translate.by_key(written[bundle].read_text().splitlines())
        found = client.post("/glassfs-events-*/_search", json=_EXTENT).json()
        ends = found["aggregations"]
        span = (int(ends["low"]["value"]), int(ends["high"]["value"]))
        boards = {}
        for board in translate.dashboards(objects):
            questions = [
                one for _, saved in translate.panels(board, objects) for one in translate.questions(saved, objects)
            ]
            boards[board["id"].removeprefix("glassfs-")] = _board(client, questions, span, process)
        return {"calls": found["hits"]["total"]["value"], "dashboards": boards}


_EXTENT = {
    "size": 0,
    "track_total_hits": True,
    "aggs": {"low": {"min": {"field": "@timestamp"}}, "high": {"max": {"field": "@timestamp"}}},
}


def listening(port: int | None) -> psutil.Process:
    """The server, on this machine."""
    found = [each for each in psutil.net_connections("tcp") if each.status == "LISTEN" and each.laddr.port == port]
    assert found and found[0].pid, f"nothing listens on port {port}"
    return psutil.Process(found[0].pid)


def _board(
    client: httpx.Client, questions: list[Question], span: tuple[int, int], process: psutil.Process
) -> dict[str, Any]:
    """`s`: from the first question to the last answer, as a browser asks; `server_cpu_s`: what that took of all CPUs,
    which a busy machine does not change as much; `alone_cpu_ms`: the slowest panels."""

    def search(pattern: str, body: dict[str, Any]) -> Any:
        said = client.post(f"/{pattern}/_search", json=body, params={"request_cache": "false"})
        assert said.status_code == 200, said.text[:500]
        return said.json()

    def cpu_s() -> float:
        times = process.cpu_times()
        return times.user + times.system

    def ask(question: Question) -> float:
        began = cpu_s()
        whole = steps(search, question, span)
        search(question.pattern, search_body(whole, span, STEP_MS))
        return cpu_s() - began

    took, cpu = [], []
    for _ in range(ROUNDS):
        began, before = time.perf_counter(), cpu_s()
        with ThreadPoolExecutor(AT_A_TIME) as asking:
            list(asking.map(ask, questions))
        took.append(time.perf_counter() - began)
        cpu.append(cpu_s() - before)
    alone = {question.panel: round(ask(question) * 1000) for question in questions}
    slowest = dict(sorted(alone.items(), key=lambda each: -each[1])[:6])
    figures = {"s": round(statistics.median(took), 2), "server_cpu_s": round(statistics.median(cpu), 2)}
    return {"questions": len(questions), **figures, "alone_cpu_ms": slowest}


if __name__ == "__main__":
    main()
