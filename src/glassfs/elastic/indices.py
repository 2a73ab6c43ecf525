"""What our indices, aliases and templates are called. Knows no server.

An event's index follows from the event alone, so an `_id` is unique for good and a repeated batch never doubles.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

# Kinds with an index a day, and what stands before the namespace. Metricbeat's data views look for metricbeat-*.
PREFIXES = {
    "events": "glassfs-events",
    "totals": "glassfs-totals",
    "traces": "glassfs-traces",
    "sampler": "metricbeat-glassfs",
}
# One document a trace, for as long as anybody wants it: no index a day, and never deleted by age.
UNDATED = ("traces",)

_FORMATS = {"day": "%Y.%m.%d", "hour": "%Y.%m.%d.%H"}
_NANOSECONDS = 1_000_000_000
_OURS = re.compile(
    r"(?P<prefix>glassfs-events|glassfs-totals|metricbeat-glassfs)"
    r"-(?P<namespace>[a-z0-9][a-z0-9_.]*)-(?P<date>\d{4}\.\d\d\.\d\d(?:\.\d\d)?)"
)


@dataclass(frozen=True)
class DatedIndex:
    kind: str
    namespace: str
    begin: datetime


def alias(kind: str, namespace: str) -> str:
    """The name that all indices of a kind share; the template bears it too. For traces it is the index itself."""
    return f"{PREFIXES[kind]}-{namespace}"


def pattern(kind: str, namespace: str) -> str:
    """What the template of a kind matches: of this namespace only, since a namespace holds no hyphen."""
    return alias(kind, namespace) + ("" if kind in UNDATED else "-*")


def period_format(per: str = "day") -> str:
    """Of strftime, Python's and DuckDB's."""
    return _FORMATS[per]


def period_of(ts_ns: int, per: str = "day") -> str:
    """The UTC day, or hour, of a moment, as it stands in an index's name."""
    return datetime.fromtimestamp(ts_ns // _NANOSECONDS, UTC).strftime(_FORMATS[per])


def events(namespace: str, ts_ns: int, per: str = "day") -> str:
    """The index of an event that began at `ts_ns`; `per` is day or hour."""
    return f"{alias('events', namespace)}-{period_of(ts_ns, per)}"


def totals(namespace: str, ts_ns: int) -> str:
    return f"{alias('totals', namespace)}-{period_of(ts_ns)}"


def sampler(namespace: str, ts_ns: int) -> str:
    return f"{alias('sampler', namespace)}-{period_of(ts_ns)}"


def traces(namespace: str) -> str:
    return alias("traces", namespace)


def parse(name: str) -> DatedIndex | None:
    """What a dated index of ours is, from its name; None if it is not ours."""
    found = _OURS.fullmatch(name)
    if found is None:
        return None
    date = found["date"]
    try:
        begin = datetime.strptime(date, _FORMATS["hour" if date.count(".") > 2 else "day"]).replace(tzinfo=UTC)
    except ValueError:
        return None
    kind = next(kind for kind, prefix in PREFIXES.items() if prefix == found["prefix"])
    return DatedIndex(kind, found["namespace"], begin)
