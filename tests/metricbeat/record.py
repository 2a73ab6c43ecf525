"""Writes recorded.jsonl anew: documents of the real Metricbeat, one of each shape, without this machine's names.

PYTHONPATH=tests .venv/bin/python tests/metricbeat/record.py "$(tests/metricbeat/build.sh)"
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from expected import DATASETS, Document, flat
from machine import both

RECORDED = Path(__file__).with_name("recorded.jsonl")

ANONYMOUS = {
    "agent.id": "00000000-0000-0000-0000-000000000001",
    "agent.ephemeral_id": "00000000-0000-0000-0000-000000000002",
    "agent.name": "testhost",
    "agent.hostname": "testhost",
    "host.name": "testhost",
}


def anonymous(document: Document, prefix: str = "") -> Document:
    return {name: _anonymous(f"{prefix}{name}", value) for name, value in document.items()}


def _anonymous(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return anonymous(value, f"{name}.")
    if ".cgroup." in name and isinstance(value, str):
        return "anonymous"
    return ANONYMOUS.get(name, value)


def chosen(documents: list[Document], pid: int) -> list[Document]:
    """Of each dataset the richest document, and the one of all instances together; of processes the one that sleeps."""
    found = []
    for dataset in DATASETS:
        those = [each for each in documents if each["event"]["dataset"] == dataset]
        if dataset == "system.process":
            those = [each for each in those if each["process"]["pid"] == pid]
        if dataset == "system.filesystem":
            those = [each for each in those if each["system"]["filesystem"]["mount_point"] == "/"]
        for is_whole in (False, True):
            shape = [each for each in those if ("system" not in each) == is_whole]
            if shape:
                found.append(max(reversed(shape), key=lambda each: len(list(flat(each)))))
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _, theirs, pids = both(Path(sys.argv[1]), Path(folder), period_s=2.0, samples=4)
    lines = [json.dumps(anonymous(each), separators=(",", ":")) for each in chosen(theirs, pids["sleeps"])]
    RECORDED.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
