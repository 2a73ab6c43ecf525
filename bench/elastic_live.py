"""A live trace at a rate that the server holds: how long until a search finds a call, and what `serve` takes for it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from glassfs.config.model import Elastic
from glassfs.config.secrets import Credentials
from glassfs.elastic import setup
from glassfs.elastic.client import Client

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests/python"))

from tracewriter import TraceWriter, event

GLASSFS = Path(sys.executable).parent / "glassfs"
NAMESPACE = "live"

# As the recorder closes segments.
SEGMENT_S = 0.5
LOOK_S = 0.05


def measured(url: str, folder: Path, *, rate_per_s: int, seconds: int) -> dict[str, Any]:
    elastic = Elastic(hosts=[url], namespace=NAMESPACE)
    with Client(elastic, Credentials()) as client:
        for _ in setup.apply(client, setup.plan(client, NAMESPACE, 7)):
            pass
        state = folder / "live-state"
        writer = TraceWriter(state / "glassfs/traces/live", start_ns=time.time_ns())
        writer.live()
        return _with_serve(client, writer, state, url, rate_per_s, seconds)


def _with_serve(
    client: Client, writer: TraceWriter, state: Path, url: str, rate_per_s: int, seconds: int
) -> dict[str, Any]:
    sets = ["elastic.enabled=true", f"elastic.hosts={url}", f"elastic.namespace={NAMESPACE}", "sampler.enabled=false"]
    command = [str(GLASSFS), "serve", *(word for one in sets for word in ("--set", one))]
    serve = subprocess.Popen(command, env={**os.environ, "XDG_STATE_HOME": str(state)}, stderr=subprocess.DEVNULL)
    closed: list[tuple[int, float, float]] = []
    visible: list[tuple[float, int]] = []
    ended = threading.Event()
    looker = threading.Thread(target=_look, args=(client, visible, ended))
    looker.start()
    try:
        seen = psutil.Process(serve.pid)
        _write(writer, 100, 2, [])
        before = sum(seen.cpu_times()[:2])
        began = time.perf_counter()
        sent = _write(writer, rate_per_s, seconds, closed)
        _wait_for(visible, closed[-1][0] + 1, 60)
        took_s = time.perf_counter() - began
        cpu_s = sum(seen.cpu_times()[:2]) - before
        rss_mb = seen.memory_info().rss / 2**20
    finally:
        ended.set()
        looker.join()
        serve.terminate()
        serve.wait(10)
    waits = _waits(closed, visible)
    return {
        "documents_per_s": round(sent / took_s),
        "asked_per_s": rate_per_s,
        "searchable_after_s": {"p50": round(statistics.median(waits), 2), "p99": round(_percentile(waits, 0.99), 2)},
        "serve_cpu_share_of_a_core": round(cpu_s / took_s, 3),
        "serve_cpu_us_per_document": round(cpu_s / sent * 1e6, 2),
        "serve_resident_mb": round(rss_mb, 1),
    }


def _write(writer: TraceWriter, rate_per_s: int, seconds: float, closed: list[tuple[int, float, float]]) -> int:
    """Each segment holds calls spread over the half second before it is closed: (last seq, first call, last call)."""
    a_segment = max(1, int(rate_per_s * SEGMENT_S))
    step_ns = int(SEGMENT_S * 1e9) // a_segment
    sent = 0
    due = time.time() + SEGMENT_S
    for _ in range(int(seconds / SEGMENT_S)):
        first_ns = int((due - SEGMENT_S) * 1e9)
        start = _next_seq(writer)
        rows = [
            event(start + n, ts_ns=first_ns + n * step_ns, offset=n, size=4096, result=4096) for n in range(a_segment)
        ]
        time.sleep(max(0.0, due - time.time()))
        writer.segment("events", rows)
        _SEQ[writer.path] = start + a_segment
        closed.append((start + a_segment - 1, first_ns / 1e9, due))
        sent += a_segment
        due = max(due + SEGMENT_S, time.time())
    return sent


_SEQ: dict[Path, int] = {}


def _next_seq(writer: TraceWriter) -> int:
    return _SEQ.get(writer.path, 0)


def _look(client: Client, visible: list[tuple[float, int]], ended: threading.Event) -> None:
    """How many are found, again and again."""
    while not ended.is_set():
        answer = client.request("GET", f"/glassfs-events-{NAMESPACE}-*/_count")
        if answer.ok:
            visible.append((time.time(), answer.document["count"]))
        ended.wait(LOOK_S)


def _wait_for(visible: list[tuple[float, int]], many: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not visible or visible[-1][1] < many:
        assert time.monotonic() < end, f"{visible[-1:]} of {many} were found"
        time.sleep(LOOK_S)


def _waits(closed: list[tuple[int, float, float]], visible: list[tuple[float, int]]) -> list[float]:
    """Of a hundred calls of each segment, from the call to the first look that found it."""
    waits = []
    for last_seq, first_s, last_s in closed:
        found = next(at for at, many in visible if many > last_seq)
        waits += [found - (first_s + (last_s - first_s) * n / 100) for n in range(100)]
    return waits


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
