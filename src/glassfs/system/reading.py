"""What one look at the machine gives: a document's own part, before what all documents share is put around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")

# Decimal places of ratios and rates: Metricbeat's.
PLACES = 4


@dataclass(frozen=True)
class Reading:
    """`body`: root fields, such as {"system": {"load": {...}}}. `instance`: which device, mount, interface or pid."""

    body: dict[str, Any]
    instance: str | None = None


@dataclass(frozen=True)
class Moment:
    """When a sample began, on both clocks: documents bear the wall's, differences are taken on the other."""

    wall_ns: int
    mono_ns: int


def rounded(value: float) -> float:
    return round(value, PLACES)


def ratio(part: float, whole: float) -> float:
    """A fraction of 1, as Metricbeat's `pct` fields are; of nothing it is 0."""
    return rounded(part / whole) if whole else 0.0


def counters(file: Path) -> dict[str, int]:
    """`name value` or `name: value kB` a line, the first value in bytes where the file says kB."""
    found = {}
    for line in file.read_text(errors="replace").splitlines():
        name, *values = line.replace(":", " ").split() or [""]
        if values and values[0].isdigit():
            found[name] = int(values[0]) * 1024 if values[1:] == ["kB"] else int(values[0])
    return found


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What cannot be known is left out of a document."""
    return {name: value for name, value in fields.items() if value is not None}
