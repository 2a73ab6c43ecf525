"""Memory and CPU of shipping a backlog, against a server that only says yes: what is measured is the shipper alone."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

from glassfs.elastic import templates
from glassfs.trace import Trace

GLASSFS = Path(sys.executable).parent / "glassfs"


class _Yes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/_bulk"):
            many = gzip.decompress(body).count(b"\n") // 2
            said = b'{"errors":false,"items":[' + b",".join([b'{"create":{"status":201}}'] * many) + b"]}"
        elif self.path.startswith("/_index_template"):
            mark = {"index_templates": [{"index_template": {"_meta": templates.mark()}}]}
            said = json.dumps(mark).encode()
        else:
            version = {"number": "2.19.1", "distribution": "opensearch"}
            said = json.dumps({"cluster_uuid": "null", "version": version}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = _any

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def null_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Yes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def measured(folder: Path, trace: Trace) -> dict[str, Any]:
    """`half_mb` and `end_mb`: resident after half of it and at the end: the same, if nothing grows."""
    rows = sum(segment.rows for segment in trace.manifest().segments("events"))
    state = folder / f"state-{rows}"
    state.mkdir(exist_ok=True)
    with null_server() as url:
        command = [str(GLASSFS), "elastic", "ship", str(trace.path), "--json", "--set", f"elastic.hosts={url}"]
        environment = {**os.environ, "XDG_STATE_HOME": str(state)}
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        samples: list[float] = []
        seen = psutil.Process(process.pid)
        cpu_s = peak = 0.0
        while process.poll() is None:
            try:
                samples.append(seen.memory_info().rss / 2**20)
                cpu_s = sum(seen.cpu_times()[:2])
                peak = max(peak, samples[-1])
            except psutil.Error:
                break
            time.sleep(0.2)
        process.wait()
        assert process.stdout is not None
        shipped = json.loads(process.stdout.read())["shipped"]
    assert shipped == rows, (shipped, rows)
    return {
        "documents": rows,
        "documents_per_s": round(rows / (time.perf_counter() - began)),
        "cpu_us_per_document": round(cpu_s / rows * 1e6, 2),
        "half_mb": round(samples[len(samples) // 2], 1),
        "end_mb": round(samples[-1], 1),
        "peak_mb": round(peak, 1),
    }
