"""Shipping measured on a real server, against a bare loader that posts the same bytes: `make bench-elastic`.

Ratios within one run, in bench/results/elastic.json. Loader and shipper take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from bench import elastic_live, elastic_null
from glassfs import families
from glassfs.config.model import Elastic, Settings
from glassfs.config.secrets import Credentials
from glassfs.elastic import documents, setup
from glassfs.elastic.bulk import MOST_IN_FLIGHT, PARAMS
from glassfs.elastic.client import Client
from glassfs.elastic.lane import BATCH_DOCUMENTS, BATCHES_A_SLICE
from glassfs.elastic.shipper import Shipper
from glassfs.query.documents import Choice, DocumentReader
from glassfs.trace import Trace

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench/results/elastic.json"
GENERATOR = ROOT / "target/release/examples/writer_bench"

VERSION = "opensearch-2.19.1"
PORT = 9470
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a running server, instead of one that is started for this")
    parser.add_argument("--long", type=int, default=0, metavar="MILLIONS", help="also this long trace, for memory")
    parser.add_argument("--seconds", type=int, default=30, help="of the live part")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, server(given.url, Path(folder)) as url:
        results = measured(url, Path(folder), given)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


@contextmanager
def server(url: str | None, folder: Path) -> Iterator[str]:
    if url:
        yield url
        return
    environment = {**os.environ, "ELASTIC_DIR": str(folder / "server"), "ELASTIC_PORT": str(PORT)}
    tool = str(ROOT / "tools/elastic.sh")
    subprocess.run([tool, "up", VERSION], env=environment, check=True, stdin=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{PORT}"
    finally:
        subprocess.run([tool, "down"], env=environment, check=False)


def measured(url: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()},
        "server": VERSION if not given.url else given.url,
    }
    trace = generated(folder / "trace", 1)
    # Whole: what starting takes (three indices made, for one) is a tenth of a fifth of it.
    results["shipping"] = against_loader(url, trace, folder)
    results["stages_us_per_document"] = stages(first_part(trace, folder / "part"))
    held_per_s = results["shipping"]["shipper_per_s"]
    results["live"] = elastic_live.measured(
        url, folder, rate_per_s=int(min(20_000, held_per_s / 2)), seconds=given.seconds
    )
    results["memory"] = elastic_null.measured(folder, trace)
    if given.long:
        results["long"] = elastic_null.measured(folder, generated(folder / "long", given.long))
    return results


def generated(path: Path, millions: int) -> Trace:
    """Events by the recorder's own writer."""
    if not GENERATOR.exists():
        subprocess.run(["cargo", "build", "--release", "--locked", "--example", "writer_bench"], cwd=ROOT, check=True)
    path.mkdir()
    subprocess.run([GENERATOR, str(millions), str(path)], check=True, stdout=subprocess.DEVNULL)
    return Trace(path)


def first_part(trace: Trace, path: Path) -> Trace:
    """Its first segment as a trace of its own: a fifth."""
    shutil.copytree(trace.path, path)
    lines = (path / "manifest").read_text().splitlines(keepends=True)
    events = [line for line in lines if '"events/' in line]
    (path / "manifest").write_text("".join([events[0], *(line for line in lines if line not in events)]))
    return Trace(path)


def settings(url: str, namespace: str) -> Settings:
    made = Settings(elastic=Elastic(hosts=[url], enabled=True, namespace=namespace))
    with Client(made.elastic, Credentials()) as client:
        for _ in setup.apply(client, setup.plan(client, namespace, 7)):
            pass
    return made


def against_loader(url: str, trace: Trace, folder: Path) -> dict[str, Any]:
    rounds = []
    # The server's first minute is that of its compiler.
    loaded(url, trace, ROUNDS)
    for number in range(ROUNDS):
        pairs = {
            "shipper": lambda n=number: shipped(url, trace, folder, n),
            "loader": lambda n=number: loaded(url, trace, n),
        }
        order = sorted(pairs, reverse=bool(number % 2))
        rounds.append({name: pairs[name]() for name in order})
    rates = {name: statistics.median(each[name] for each in rounds) for name in ("shipper", "loader")}
    return {
        "documents": sum(segment.rows for segment in trace.manifest().segments("events")),
        "shipper_per_s": round(rates["shipper"]),
        "loader_per_s": round(rates["loader"]),
        "ratio": round(statistics.median(each["shipper"] / each["loader"] for each in rounds), 3),
        "rounds": [{name: round(rate) for name, rate in each.items()} for each in rounds],
    }


def shipped(url: str, trace: Trace, folder: Path, number: int) -> float:
    """Documents a second, with totals, cursor and all."""
    config = settings(url, f"ship{number}")
    shipper = Shipper(config, Credentials(), traces=[trace], directory=folder / f"shipping{number}")
    began = time.perf_counter()
    shipper.run(threading.Event())
    took_s = time.perf_counter() - began
    clean(url, config.elastic.namespace)
    return sum(segment.rows for segment in trace.manifest().segments("events")) / took_s


def loaded(url: str, trace: Trace, number: int) -> float:
    """The same bytes, made and compressed beforehand, posted by as many threads."""
    config = settings(url, f"load{number}")
    with Client(config.elastic, Credentials()) as client:
        bodies = list(ready_made(trace, config.elastic.namespace))
        began = time.perf_counter()
        with ThreadPoolExecutor(MOST_IN_FLIGHT) as posting:
            done = list(posting.map(lambda body: post(client, body), bodies))
        took_s = time.perf_counter() - began
    clean(url, config.elastic.namespace)
    return sum(done) / took_s


def post(client: Client, body: bytes) -> int:
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    said = client._http.post(f"{client.hosts[0]}/_bulk", params=PARAMS, content=body, headers=headers)
    said.raise_for_status()
    answer = said.json()
    assert not answer["errors"]
    return len(answer["items"])


def ready_made(trace: Trace, namespace: str) -> Iterator[bytes]:
    for text in texts(trace, namespace):
        yield gzip.compress(text.encode(), 1)


def texts(trace: Trace, namespace: str = "default") -> Iterator[str]:
    reader = DocumentReader(
        trace,
        "events",
        documents.create("events", namespace, trace.about.id),
        documents.event(trace.about, {}, families.load(), hide_names=False),
    )
    manifest = trace.manifest()
    for segment in manifest.segments("events"):
        ((stream, first, last),) = segment.streams
        for at in range(first, last + 1, BATCH_DOCUMENTS * BATCHES_A_SLICE):
            end = min(last, at + BATCH_DOCUMENTS * BATCHES_A_SLICE - 1)
            parts = reader.read(
                segment,
                manifest.segments("processes"),
                Choice(),
                stream=stream,
                first=at,
                last=end,
                rows_a_part=BATCH_DOCUMENTS,
            )
            yield from (part.text for part in parts)
    reader.close()


def stages(trace: Trace) -> dict[str, float]:
    """CPU of one thread, microseconds a document."""
    spent = {"read_and_shape": 0.0, "encode": 0.0, "gzip": 0.0}
    many = 0
    made = texts(trace)
    while True:
        began = time.thread_time()
        process = time.process_time()
        text = next(made, None)
        spent["read_and_shape"] += time.process_time() - process
        if text is None:
            break
        began = time.thread_time()
        body = text.encode()
        spent["encode"] += time.thread_time() - began
        began = time.thread_time()
        gzip.compress(body, 1, mtime=0)
        spent["gzip"] += time.thread_time() - began
        many += body.count(b"\n") // 2
    return {name: round(seconds / many * 1e6, 2) for name, seconds in spent.items()}


def clean(url: str, namespace: str) -> None:
    with Client(Elastic(hosts=[url]), Credentials()) as client:
        for kind in ("events", "totals", "traces"):
            listed = client.request(
                "GET", f"/_cat/indices/glassfs-{kind}-{namespace}*", params={"format": "json", "h": "index"}
            )
            for row in listed.document:
                client.request("DELETE", f"/{row['index']}")


def peak_mb(process: psutil.Process) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    sys.exit(main())
