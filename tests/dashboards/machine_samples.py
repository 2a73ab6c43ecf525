"""This machine's figures as our sampler makes them, for a server that is to hold them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from glassfs.config.model import Settings
from glassfs.system.reading import Moment
from glassfs.system.sampler import Sample
from support.servers import RealServer

Documents = list[dict[str, Any]]


class Samples:
    def __init__(self) -> None:
        self._sample = Sample(Settings())
        self.documents: Documents = []

    def take(self) -> None:
        moment = Moment(wall_ns=time.time_ns(), mono_ns=time.monotonic_ns())
        self.documents += [json.loads(row.document) for row in self._sample.rows(moment)]


@contextmanager
def sampling(period_s: float) -> Iterator[Documents]:
    """Beside what is done meanwhile."""
    samples, stop = Samples(), threading.Event()

    def run() -> None:
        while not stop.wait(period_s):
            samples.take()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield samples.documents
    finally:
        stop.set()
        thread.join()


def index(server: RealServer, name: str, documents: Documents) -> None:
    lines = [line for each in documents for line in ({"index": {}}, each)]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    said = server.ask("POST", f"/{name}/_bulk?refresh=true", body)
    assert not said["errors"], str(said)[:2000]
