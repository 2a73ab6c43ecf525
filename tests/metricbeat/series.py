"""Two runs side by side, value by value: of each field of each instance, when it was seen and what it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from expected import COMMAND_LINES, COUNTERS, GAUGES, INSTANCE, OWN, Document, Tolerance, flat, matches

from glassfs.system.masking import masked_arguments
from glassfs.system.processes import CMDLINE_MAX_BYTES

# Seconds from one sample to the next, of both.
PERIOD_S = 2.0

# A process that was there for fewer samples of either is not compared: it changed faster than they look.
SAMPLES_MIN = 4

# A sample's time is that of its beginning: with 300 processes the last one is read some time later.
READ_WITHIN_S = 1.0

Key = tuple[str, str, str]
Values = list[tuple[float, Any]]


def series(documents: Iterable[Document]) -> dict[Key, Values]:
    """By (dataset, instance, field): (time, value), in order."""
    found: dict[Key, Values] = defaultdict(list)
    for document in documents:
        fields = dict(flat(document))
        dataset = fields["event.dataset"]
        instance = str(fields.get(INSTANCE.get(dataset, ""), ""))
        at = datetime.fromisoformat(fields["@timestamp"]).timestamp()
        for name, value in fields.items():
            found[dataset, instance, name].append((at, value))
    return {key: sorted(values, key=lambda one: one[0]) for key, values in found.items()}


def differing_values(ours: Iterable[Document], theirs: Iterable[Document]) -> list[str]:
    """Fields of instances that both have, whose values cannot be of the same machine at the same time."""
    mine, others = series(ours), series(theirs)
    both = [key for key in sorted(mine.keys() & others.keys()) if min(len(mine[key]), len(others[key])) >= SAMPLES_MIN]
    return [f"{key}: {why}" for key in both if (why := _difference(key[2], mine[key], others[key]))]


def _difference(name: str, mine: Values, others: Values) -> str | None:
    if matches(name, OWN):
        return None
    if matches(name, COUNTERS):
        return _not_between(mine, others)
    if pattern := matches(name, GAUGES):
        return _too_far(GAUGES[pattern], mine, others)
    if matches(name, COMMAND_LINES):
        mine, others = (_plain(values) for values in (mine, others))
        if not mine or not others:
            return None
    one, other = ({repr(value) for _, value in values} for values in (mine, others))
    # A process that changes its state or title meanwhile has several values; one must be common.
    return None if one & other else f"ours {sorted(one)}, Metricbeat's {sorted(other)}"


def _plain(values: Values) -> Values:
    """As text, without the empty arguments at its end, those that are neither masked nor cut."""
    texts = [(at, value if isinstance(value, str) else " ".join(value)) for at, value in values]
    return [(at, text.rstrip(" ")) for at, text in texts if len(text) < CMDLINE_MAX_BYTES - 1 and _is_harmless(text)]


def _is_harmless(text: str) -> bool:
    return b" ".join(masked_arguments(each.encode() for each in text.split(" "))).decode() == text


def _not_between(mine: Values, others: Values) -> str | None:
    for at, value in mine:
        before = [each for when, each in others if when < at - READ_WITHIN_S]
        after = [each for when, each in others if when > at + READ_WITHIN_S]
        if before and after and not before[-1] <= value <= after[0]:
            return f"ours {value}, Metricbeat's {before[-1]} before and {after[0]} after"
    return None


def _too_far(tolerance: Tolerance, mine: Values, others: Values) -> str | None:
    """By the means over the time that both cover; or some two values are near: what leaps between two samples of one
    program leaps between one of each."""
    shared, theirs = _shared(mine, others), _shared(others, mine)
    one, other = _mean(shared), _mean(theirs)
    allowed = max(tolerance.absolute, tolerance.relative * max(abs(one), abs(other)))
    nearest = min(abs(a - b) for _, a in shared for _, b in theirs)
    if abs(one - other) <= allowed or (nearest <= allowed and _leaps(shared + theirs, allowed)):
        return None
    return f"on average ours {one}, Metricbeat's {other}, allowed {allowed}"


def _leaps(values: Values, allowed: float) -> bool:
    seen = [value for _, value in values]
    return max(seen) - min(seen) > allowed


def _mean(values: Values) -> float:
    return sum(value for _, value in values) / len(values)


def _shared(values: Values, others: Values) -> Values:
    """Of the time that both cover; the first sample of each is left out, since its rates are Metricbeat's of all time."""
    begin = max(values[0][0], others[0][0]) + PERIOD_S / 2
    end = min(values[-1][0], others[-1][0]) + PERIOD_S
    return [one for one in values[1:] or values if begin <= one[0] <= end] or values
