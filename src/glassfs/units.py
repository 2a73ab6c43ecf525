"""Durations and sizes as people type them: `10ms`, `1.5h`, `7d`; `10G`, `512MiB`; and a duration written so again."""

from __future__ import annotations

import re
from decimal import Decimal

from glassfs.errors import BadUsage

_NS_PER = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60 * 1_000_000_000,
    "min": 60 * 1_000_000_000,
    "h": 3_600 * 1_000_000_000,
    "d": 86_400 * 1_000_000_000,
}

_BYTES_PER = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12} | {
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}

_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Zµ]*)")


def parse_duration_ns(text: str) -> int:
    quantity = _QUANTITY.fullmatch(text.strip())
    if quantity and quantity[2] in _NS_PER:
        return int(Decimal(quantity[1]) * _NS_PER[quantity[2]])
    if quantity and not quantity[2] and Decimal(quantity[1]) == 0:
        return 0
    hint = f"Say the unit: {text}ms or {text}s." if quantity and not quantity[2] else "For example 500us, 10ms, 2s, 7d."
    raise BadUsage(f"'{text}' is no duration", next_step=hint)


def duration(ns: int) -> str:
    """In the largest unit of which it is at least one, up to seconds."""
    unit = next(unit for unit in ("s", "ms", "us", "ns") if ns >= _NS_PER[unit] or unit == "ns")
    return f"{ns / _NS_PER[unit]:g}{unit}"


def parse_size_bytes(text: str) -> int:
    quantity = _QUANTITY.fullmatch(text.strip())
    unit = quantity[2].lower().removesuffix("b") if quantity else None
    if quantity and unit in _BYTES_PER:
        return int(Decimal(quantity[1]) * _BYTES_PER[unit])
    raise BadUsage(f"'{text}' is no size", next_step="For example 500M, 10G, 1.5GiB.")
