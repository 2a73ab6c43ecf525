"""Numbers as people read them: short, with their unit, never more digits than are true."""

from __future__ import annotations

import signal
from datetime import datetime

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

# What stands in a cell where there was nothing.
NOTHING = "-"


def count(number: int) -> str:
    """`1 204 332`."""
    return f"{number:,}".replace(",", " ")


def count_or_nothing(number: int) -> str:
    return count(number) if number else NOTHING


def share(part: float) -> str:
    """`83 %`; neither 0 nor 100 unless it is exactly that."""
    if part <= 0:
        return NOTHING
    if part < 0.01:
        return "<1 %"
    if 0.99 < part < 1:
        return ">99 %"
    return f"{round(part * 100)} %"


def _significant(value: float, digits: int) -> str:
    """`9.1`, `41`, `410` for two digits; digits before the point are never dropped."""
    decimals = digits - 1
    while decimals > 0 and round(value, decimals) >= 10 ** (digits - decimals):
        decimals -= 1
    return f"{value:.{decimals}f}"


def latency(ns: int, digits: int = 3) -> str:
    """Of one call: `850ns`, `9.1us`, `8.2ms`, `1.3s`. Percentiles are true to two digits, measured values to three."""
    for unit, size in (("ns", 1), ("us", NS_PER_US), ("ms", NS_PER_MS)):
        # What would be rounded up to 1000 belongs to the next unit.
        if round(ns / size, 0 if size > 1 else None) < 1000:
            return f"{ns}ns" if size == 1 else f"{_significant(ns / size, digits)}{unit}"
    return f"{_significant(ns / NS_PER_S, digits)}s"


def percentile(ns: int) -> str:
    return latency(ns, 2)


def span(ns: int) -> str:
    """Of many calls together: `12.4 s`, `870 ms`."""
    if ns == 0:
        return NOTHING
    if ns >= 1000 * NS_PER_S:
        return lasted(ns)
    text = latency(ns)
    unit = text.lstrip("0123456789.")
    return f"{text.removesuffix(unit)} {unit}"


def lasted(ns: int) -> str:
    """A run's length: `41.2 s`, `12 min 5 s`, `3 h 20 min`."""
    seconds = ns / NS_PER_S
    if seconds < 0.1:
        return f"{_significant(ns / NS_PER_MS, 2)} ms"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds >= 10 else f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(number: int) -> str:
    """`3.9 GB`, `780 MB`, `512 B`: powers of ten."""
    value, unit = in_unit(number, unit_of(number))
    return f"{value} {unit}"


def size_or_nothing(number: int) -> str:
    return size(number) if number else NOTHING


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def unit_of(number: int) -> str:
    place = 0
    while place < len(_UNITS) - 1 and round(number / 1000**place) >= 1000:
        place += 1
    return _UNITS[place]


def in_unit(number: int, unit: str) -> tuple[str, str]:
    """So that two sizes can be told in the same unit: `3.9 of the 4.1 GB`."""
    if unit == "B":
        return str(number), unit
    return _significant(number / 1000 ** _UNITS.index(unit), 2), unit


def moment(ns: int) -> str:
    """Local date and time with its zone: `24 Nov 2026 14:03:22 CET`."""
    local = datetime.fromtimestamp(ns // NS_PER_S).astimezone()
    return f"{local.day} {local:%b %Y %H:%M:%S %Z}"


def time_of_day(ns: int) -> str:
    """`14:03:22.123456`, local."""
    return f"{datetime.fromtimestamp(ns // NS_PER_S):%H:%M:%S}.{ns % NS_PER_S // NS_PER_US:06}"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
