"""Numbers as people read them: short, with their unit, never more digits than are true."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
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


def _short(value: float) -> str:
    """One digit after the point below 10, none above."""
    return f"{value:.1f}" if round(value, 1) < 10 else f"{value:.0f}"


def _measured(value: float) -> str:
    """One digit after the point below 100."""
    return f"{value:.1f}" if round(value, 1) < 100 else f"{value:.0f}"


_LATENCY_UNITS = (("us", NS_PER_US), ("ms", NS_PER_MS), ("s", NS_PER_S))


def latency(ns: int, digits: Callable[[float], str] = _measured) -> str:
    """Of one call: `850ns`, `9.1us`, `12.4ms`, `1.3s`."""
    if ns < NS_PER_US:
        return f"{ns}ns"
    for unit, size_ns in _LATENCY_UNITS:
        # What would be rounded up to 1000 belongs to the next unit.
        if round(ns / size_ns) < 1000 or unit == "s":
            break
    return digits(ns / size_ns) + unit


def percentile(ns: int) -> str:
    """Two digits: a histogram knows no more."""
    return latency(ns, _short)


def spans(times_ns: Sequence[int]) -> list[str]:
    """Sums of time for one column, all in one unit, so that the longer number is the longer time: `12.41 s`."""
    longest = max(times_ns, default=0)
    unit, size_ns = next((each for each in reversed(_LATENCY_UNITS) if longest >= each[1]), _LATENCY_UNITS[0])
    decimals = 2 if longest < 1000 * size_ns else 0
    return [_span(ns / size_ns, decimals, unit) if ns else NOTHING for ns in times_ns]


def _span(value: float, decimals: int, unit: str) -> str:
    smallest = 10**-decimals
    return f"<{smallest:g} {unit}" if value < smallest / 2 else f"{count_with(value, decimals)} {unit}"


def count_with(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}".replace(",", " ")


def lasted(ns: int) -> str:
    """A run's length: `41.2 s`, `12 min 5 s`, `3 h 20 min`."""
    seconds = ns / NS_PER_S
    if seconds < 0.1:
        return f"{_short(ns / NS_PER_MS)} ms"
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
    return _short(number / 1000 ** _UNITS.index(unit)), unit


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
