"""What the sampler has kept, read as any trace is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glassfs.query import Reader
from glassfs.system.sampler import Sampler
from glassfs.trace import Trace

DEADLINE_S = 30


def documents(directory: Path) -> list[dict[str, Any]]:
    """All that is kept, in order, read as any trace is."""
    found = []
    for folder in sorted(directory.glob("*Z*")):
        with Reader(Trace(folder)) as reader:
            assert reader.warnings == []
            rows = reader.sql("select document from system order by stream, seq").fetchall()
        found += [json.loads(text) for (text,) in rows]
    return found


def of(dataset: str, those: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in those if each["event"]["dataset"] == dataset]


# Runs a sampler until it has so many samples.
Sampled = Callable[..., Sampler]
