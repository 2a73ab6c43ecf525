"""A proxy between a shipper and a real server that spoils answers to _bulk, in an order that is told beforehand.

`faults` are taken one a request; after the last all goes well. What a server did before its answer was spoilt stays
done: that is the point.
"""

import gzip
import http.client
import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.waiting import wait_until

ANSWER_S = 60
SLOW_S = 0.3

FAULTS = ("429", "503", "cut before", "cut after", "half", "slow", "items 429", "nonsense")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "FaultProxy"

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.under_way():
            fault = self.server.next_fault() if self.path.startswith("/_bulk") else None
            try:
                self._spoil(fault, body)
            except (ConnectionError, http.client.HTTPException, TimeoutError):
                # The real server is gone: so are we.
                self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _any

    def _spoil(self, fault: str | None, body: bytes) -> None:
        if fault == "cut before":
            self.close_connection = True
        elif fault in ("429", "503"):
            self._answer(int(fault), json.dumps({"error": {"type": "spoilt", "reason": "on purpose"}}).encode())
        elif fault == "items 429":
            self._some_items(body)
        else:
            if fault == "slow":
                time.sleep(SLOW_S)
            status, said = self._forwarded(body)
            if fault == "cut after":
                self.close_connection = True
            elif fault == "half":
                self._answer(status, said, sent=len(said) // 2)
            elif fault == "nonsense":
                self._answer(200, b"<html>a proxy's own page</html>")
            else:
                self._answer(status, said)

    def _forwarded(self, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target_port, timeout=ANSWER_S)
        # Answers as they are, so that half of one is half of its JSON.
        kept_back = ("host", "connection", "accept-encoding")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in kept_back}
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        return answer.status, said

    def _some_items(self, body: bytes) -> None:
        """Every third document is refused for now, as a full queue does; the others reach the server."""
        lines = gzip.decompress(body).split(b"\n")[:-1]
        pairs = [lines[place : place + 2] for place in range(0, len(lines), 2)]
        kept = [pair for place, pair in enumerate(pairs) if place % 3]
        items: list[Any] = []
        if kept:
            _, said = self._forwarded(gzip.compress(b"\n".join(line for pair in kept for line in pair) + b"\n"))
            items = json.loads(said)["items"]
        refused = {"create": {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "full"}}}
        told = [items.pop(0) if place % 3 else refused for place in range(len(pairs))]
        self._answer(200, json.dumps({"errors": True, "items": told}).encode())

    def _answer(self, status: int, said: bytes, *, sent: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said if sent is None else said[:sent])
        if sent is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class FaultProxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, target_port: int, faults: Iterable[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target_port = target_port
        self._faults = list(faults)
        self._lock = threading.Lock()
        self._under_way = 0
        self.bulks = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def left(self) -> int:
        return len(self._faults)

    def then(self, faults: Iterable[str]) -> None:
        """From now on these, whatever was left."""
        with self._lock:
            self._faults = list(faults)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    @property
    def is_idle(self) -> bool:
        return self._under_way == 0

    def next_fault(self) -> str | None:
        with self._lock:
            self.bulks += 1
            return self._faults.pop(0) if self._faults else None

    def handle_error(self, *_: object) -> None:
        """A client that went away is what is tested here."""


@contextmanager
def fault_proxy(target_port: int, faults: Iterable[str]) -> Iterator[FaultProxy]:
    proxy = FaultProxy(target_port, faults)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
        # What a killed client has sent still reaches the server: not in the next test.
        wait_until(lambda: proxy.is_idle, "the proxy's last requests", ANSWER_S)
