"""What a preview writes: numbers with their units, and words that fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards.questions import Metric

# Of the font's size 11: wide enough for most letters.
CHAR_W = 6.2


def number(value: Any, metric: Metric) -> str:
    if value is None:
        return "-"
    name = metric.field or ""
    if name == "event.duration" or name.endswith("_ns"):
        return scaled(value, (("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1)))
    if metric.kind in ("count", "cardinality") or name.endswith(".calls"):
        return f"{value:,.0f}".replace(",", " ")
    if "bytes" in name or name in ("system.memory.free", "system.filesystem.total"):
        return scaled(value, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1)))
    return f"{value * 100:.1f} %" if name.endswith(("pct", "usage")) else f"{value:.4g}"


def scaled(value: float, units: Sequence[tuple[str, float]]) -> str:
    unit, size = next((each for each in units if value >= each[1]), units[-1])
    return f"{value / size:.3g} {unit}"


def cut(text: str, width: float) -> str:
    """Of a path its end, which tells it from others."""
    room = max(int(width / CHAR_W), 4)
    if len(text) <= room:
        return text
    return "..." + text[-room + 3 :] if "/" in text else text[: room - 3] + "..."


def wrapped(text: str, width: float) -> list[str]:
    lines, line = [], ""
    for word in text.replace("*", "").replace("`", "").split():
        if len(line) + len(word) >= width / CHAR_W:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return [*lines, line]
