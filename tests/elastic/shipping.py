"""What the shipping tests share: traces to ship, a shipper that runs to its end, and what the cluster then holds."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glassfs.config.model import Elastic, Settings
from glassfs.config.secrets import Credentials
from glassfs.elastic import setup
from glassfs.elastic.client import Client
from glassfs.elastic.shipper import Shipper
from glassfs.trace import Trace
from support.servers import RealServer

sys.path.append(str(Path(__file__).parents[1] / "python"))

from tracewriter import TraceWriter, event

SHIPPED_IN_S = 60

__all__ = ["TraceWriter", "event"]


def now_ns() -> int:
    return time.time_ns()


def settings(url: str, *, namespace: str = "default", labels: dict[str, str] | None = None, **elastic: Any) -> Settings:
    return Settings(elastic=Elastic(hosts=[url], enabled=True, namespace=namespace, **elastic), labels=labels or {})


def set_up(server: RealServer, namespace: str = "default") -> None:
    with Client(Elastic(hosts=[server.url]), Credentials()) as client:
        for _ in setup.apply(client, setup.plan(client, namespace, 7)):
            pass


def written(path: Path, many: int, *, a_segment: int = 700, start_ns: int | None = None, **about: Any) -> TraceWriter:
    """An ended trace of `many` calls of today, with holes where calls were dropped."""
    start = start_ns or now_ns() - 60_000_000_000
    writer = TraceWriter(path, start_ns=start, **about)
    writer.process(4711, "db_bench", cmdline="db_bench --db=./db")
    rows = [
        event(seq + seq // 100, ts_ns=start + seq * 1_000, result=seq, size=4096, offset=seq * 4096)
        for seq in range(many)
    ]
    for at in range(0, many, a_segment):
        writer.add(rows[at : at + a_segment])
    writer.describe(end_ns=start + 50_000_000_000, end_reason="unmounted")
    return writer


def ids(writer: TraceWriter, many: int) -> set[str]:
    return {f"{writer.about['id']}-0-{seq + seq // 100}" for seq in range(many)}


def ship(config: Settings, trace: Path, directory: Path, **more: Any) -> Shipper:
    """Until all of it is shipped."""
    shipper = Shipper(config, Credentials(), traces=[Trace(trace)], directory=directory, **more)
    with running(shipper) as ended:
        assert ended.wait(SHIPPED_IN_S), f"not shipped in {SHIPPED_IN_S} s: {dict(shipper.status())}"
    return shipper


@contextmanager
def running(shipper: Shipper) -> Iterator[threading.Event]:
    """In a thread; gives an event that is set when it ends. What it raised is raised here."""
    stop, ended = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            shipper.run(stop)
        except BaseException as problem:
            raised.append(problem)
        ended.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join(SHIPPED_IN_S)
        if raised:
            raise raised[0]


def held(server: RealServer, pattern: str = "glassfs-events-*") -> Counter[str]:
    """Every `_id` and how often the cluster has it, in whatever index."""
    return Counter(hit["_id"] for hit in documents(server, pattern))


def documents(server: RealServer, pattern: str = "glassfs-events-*") -> list[dict[str, Any]]:
    server.ask("POST", f"/{pattern}/_refresh", allow=(404,))
    found: list[dict[str, Any]] = []
    answer = server.ask("POST", f"/{pattern}/_search?scroll=1m", {"size": 5000})
    while answer["hits"]["hits"]:
        found += answer["hits"]["hits"]
        answer = server.ask("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": answer["_scroll_id"]})
    if "_scroll_id" in answer:
        server.ask("DELETE", "/_search/scroll", {"scroll_id": answer["_scroll_id"]}, allow=(404,))
    return found


def search(server: RealServer, pattern: str, aggregations: dict[str, Any], query: dict[str, Any] | None = None) -> Any:
    server.ask("POST", f"/{pattern}/_refresh")
    body = {"size": 0, "track_total_hits": True, "query": query or {"match_all": {}}, "aggs": aggregations}
    return server.ask("POST", f"/{pattern}/_search", body)["aggregations"]


def matching(server: RealServer, pattern: str, query: dict[str, Any]) -> int:
    """As a search finds them now: nothing is refreshed, and an index that is just being made has none."""
    status, answer = server.try_to("POST", f"/{pattern}/_count", {"query": query})
    return int(answer["count"]) if status == 200 else 0


def is_found(server: RealServer, name: str) -> bool:
    """Whether a search knows a call on a file of this name."""
    return matching(server, "glassfs-events-*", {"term": {"file.name": name}}) > 0
