"""Latency: the heat map of all calls from the exact totals, percentiles by class, and the slowest calls."""

from __future__ import annotations

from glassfs.elastic.dashboards.boards.common import CALLS, DURATIONS, NS, TOTALS_CONTROLS, words
from glassfs.elastic.dashboards.model import (
    CLASS,
    EVENTS,
    GRID_COLUMNS,
    TOTALS,
    Cases,
    Chart,
    Dashboard,
    Documents,
    Heat,
    Look,
    Number,
    Ratio,
    Row,
    Share,
    Table,
    Terms,
    Unit,
    beside,
    highest,
    lowest,
    percentile,
    total,
)

# Buckets of the totals' histogram: eight an octave, bucket i ends at 2^((i+1)/8) ns.
_AN_OCTAVE = 8
# 2^10 ns is a microsecond, near enough to read; shorter calls and longer ones share a row each.
_FIRST, _LAST = 10, 34
_UNITS = ("ns", "us", "ms", "s")


def _name(octave: int) -> str:
    return f"{2 ** (octave % 10)} {_UNITS[octave // 10]}"


def _octaves() -> list[tuple[str, str]]:
    """(2^k, 2^(k+1)] ns is buckets 8k to 8k + 7."""
    name = "glassfs.latency.bucket"
    rows = [(f"up to {_name(_FIRST)}", f"{name} < {_FIRST * _AN_OCTAVE}")]
    for octave in range(_FIRST, _LAST):
        query = f"{name} >= {octave * _AN_OCTAVE} and {name} < {(octave + 1) * _AN_OCTAVE}"
        rows.append((f"up to {_name(octave + 1)}", query))
    return [*rows, ("longer", f"{name} >= {_LAST * _AN_OCTAVE}")]


_EXACT_CALLS = total("Calls", "glassfs.totals.calls")
_EXACT_TIME = total("Time", "glassfs.totals.duration_ns", NS)

BOARD = Dashboard(
    "glassfs-latency",
    "Latency",
    "How long calls take, when, and which were the slowest",
    [
        words(
            "The heat map and what is called exact come from totals, in which every call is counted, also those that "
            "were lost or not shipped. Percentiles and single calls come from the calls that were shipped.",
            TOTALS,
        ),
        beside(
            6,
            Number(title="Calls (exact)", view=TOTALS, metric=_EXACT_CALLS),
            Number(title="Time in calls (exact)", view=TOTALS, metric=_EXACT_TIME),
            Number(title="Shortest (exact)", view=TOTALS, metric=lowest("Shortest", "glassfs.totals.min_ns", NS)),
            Number(title="Longest (exact)", view=TOTALS, metric=highest("Longest", "glassfs.totals.max_ns", NS)),
            Number(title="Median", metric=percentile(50)),
            Number(title="p99", metric=percentile(99)),
        ),
        Row(
            20,
            [
                (
                    Heat(
                        title="How long calls took (exact)",
                        view=TOTALS,
                        up=Cases("Duration", _octaves()),
                        metric=CALLS,
                    ),
                    GRID_COLUMNS,
                )
            ],
        ),
        beside(
            12,
            Chart(title="Median by class", look=Look.LINES, metrics=[percentile(50)], by_class=True),
            Chart(title="p99 by class", look=Look.LINES, metrics=[percentile(99)], by_class=True),
        ),
        beside(
            12,
            Chart(
                title="Average duration (exact)",
                view=TOTALS,
                look=Look.LINES,
                metrics=[Ratio("Average", _EXACT_TIME, _EXACT_CALLS, NS)],
            ),
            Chart(title="Calls by class (exact)", view=TOTALS, metrics=[_EXACT_CALLS], by_class=True),
            Chart(
                title="Bytes by class (exact)",
                view=TOTALS,
                metrics=[total("Bytes", "glassfs.totals.bytes", Unit.BYTES)],
                by_class=True,
                query="glassfs.class: (read or write)",
            ),
        ),
        Row(
            14,
            [
                (
                    Table(title="Durations by class", rows=[Terms("Class", CLASS, 6)], metrics=[CALLS, *DURATIONS]),
                    30,
                ),
                (
                    Share(
                        title="Calls by type (exact)",
                        view=TOTALS,
                        split=Terms("Type", "event.action", 12),
                        metric=_EXACT_CALLS,
                    ),
                    18,
                ),
            ],
        ),
        Row(
            20,
            [
                (
                    Documents(
                        title="The slowest calls",
                        view=EVENTS,
                        columns=["event.duration", "event.action", "file.path", "process.thread.name", "glassfs.class"],
                        sort="event.duration",
                    ),
                    GRID_COLUMNS,
                )
            ],
        ),
    ],
    TOTALS_CONTROLS,
)
