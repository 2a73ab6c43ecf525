"""What every document bears beside its own part, as Metricbeat 7.17 writes it, so that its dashboards find ours too."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from glassfs import __version__
from glassfs.system.reading import Reading

# Of the Metricbeat whose documents these are like, and of the ECS that it follows.
METRICBEAT_VERSION = "7.17.28"
ECS_VERSION = "1.12.0"


class Documents:
    def __init__(self, *, labels: Mapping[str, str], period_s: float) -> None:
        self._host = host = host_name()
        self._period_ms = round(period_s * 1000)
        self._labels = dict(labels)
        self._agent = {
            "type": "metricbeat",
            "version": METRICBEAT_VERSION,
            # Metricbeat has no such field: here it says who really wrote the document.
            "build": {"original": f"glassfs {__version__}"},
            "name": host,
            "hostname": host,
            # The same after a restart.
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, host)),
            "ephemeral_id": str(uuid.uuid4()),
        }

    def text(self, reading: Reading, dataset: str, wall_ns: int, duration_ns: int) -> str:
        """JSON, one line."""
        shared: dict[str, Any] = {
            "@timestamp": timestamp(wall_ns),
            "agent": self._agent,
            "ecs": {"version": ECS_VERSION},
            "event": {"module": "system", "dataset": dataset, "duration": duration_ns},
            "metricset": {"name": _metricset(dataset), "period": self._period_ms},
            "service": {"type": "system"},
            "host": {"name": self._host},
        }
        if self._labels:
            shared["labels"] = self._labels
        body = reading.body
        if "host" in body:
            body = body | {"host": shared["host"] | body["host"]}
        return orjson.dumps(shared | body).decode()


def timestamp(wall_ns: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(wall_ns // 1_000_000 / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _metricset(dataset: str) -> str:
    """`system.process.summary` is the metricset process_summary."""
    return dataset.removeprefix("system.").replace(".", "_")


def host_name() -> str:
    """The kernel's, as the recorder and Metricbeat take it."""
    return os.uname().nodename
