"""What a dashboard is, whatever draws it: panels that ask one question each. Knows no Kibana.

Only what both forms can show is here. A query is in KQL's part that OpenSearch Dashboards' DQL shares: field: value,
field: (a or b), and, or, not, >=, <, a star in a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

# Okabe and Ito's colours, which colour-blind people tell apart; the same in every view of glassfs.
CLASS_COLORS = {
    "read": "#0072B2",
    "write": "#D55E00",
    "sync": "#CC79A7",
    "open": "#009E73",
    "metadata": "#E69F00",
    "namespace": "#56B4E9",
}
CLASS = "glassfs.class"
# For series without a class, in their order.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
RED = "#BD271E"

# Columns of both dashboards' grid.
GRID_COLUMNS = 48
# Single documents that a panel may fetch: what both viewers' tables of documents take by themselves.
MAX_DOCUMENTS = 500


class Unit(StrEnum):
    NUMBER = "number"
    BYTES = "bytes"
    NANOSECONDS = "nanoseconds"
    SHARE = "share"


@dataclass(frozen=True)
class View:
    """A data view (index pattern). Without `time_field` the dashboard's time does not narrow it."""

    id: str
    pattern: str
    name: str
    time_field: str | None = "@timestamp"


EVENTS = View("glassfs-events", "glassfs-events-*", "glassfs events")
TOTALS = View("glassfs-totals", "glassfs-totals-*", "glassfs totals")
# A trace's document bears the time it began, which is before the last quarter of an hour for a long one.
TRACES = View("glassfs-traces", "glassfs-traces-*", "glassfs traces", time_field=None)
SYSTEM = View("glassfs-metricbeat", "metricbeat-*", "The machine (Metricbeat or glassfs)")
VIEWS = (EVENTS, TOTALS, TRACES, SYSTEM)


class Function(StrEnum):
    COUNT = "count"
    SUM = "sum"
    AVERAGE = "average"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    UNIQUE = "unique"
    PERCENTILE = "percentile"
    RATE = "rate"
    """Of a counter that only grows: its highest value in each step of time, less the one before, a second."""


@dataclass(frozen=True)
class Metric:
    """`only`: a query of its own, beside the panel's; in charts alone."""

    label: str
    function: Function
    field: str = ""
    unit: Unit = Unit.NUMBER
    percent: int = 0
    only: str = ""


@dataclass(frozen=True)
class Ratio:
    """One sum or count by another, in each step of time; in charts alone. Only `below` may have an `only`, and then it
    is a count."""

    label: str
    above: Metric
    below: Metric
    unit: Unit = Unit.NUMBER


@dataclass(frozen=True)
class Terms:
    """The `size` values with most of metric number `by`; `by` None: of the first."""

    label: str
    field: str
    size: int = 10
    is_number: bool = False
    by: int = 0


@dataclass(frozen=True)
class Cases:
    """Named queries, in their order."""

    label: str
    cases: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Steps:
    """A number in about `parts` equal steps from its lowest to its highest value."""

    label: str
    field: str
    parts: int = 50


@dataclass(frozen=True, kw_only=True)
class Panel:
    title: str
    view: View = EVENTS
    query: str = ""


@dataclass(frozen=True, kw_only=True)
class Number(Panel):
    """`alarm`: red when not 0."""

    metric: Metric
    alarm: bool = False


class Look(StrEnum):
    LINES = "line"
    AREAS = "area"
    BARS = "bar"


@dataclass(frozen=True, kw_only=True)
class Chart(Panel):
    """Over time. `by_class`: one series a class, in the fixed colours; else `split`. Areas and bars are stacked."""

    metrics: Sequence[Metric | Ratio]
    look: Look = Look.BARS
    split: Terms | None = None
    by_class: bool = False


@dataclass(frozen=True, kw_only=True)
class Share(Panel):
    """A ring."""

    split: Terms | Cases
    metric: Metric


@dataclass(frozen=True, kw_only=True)
class Table(Panel):
    rows: Sequence[Terms]
    metrics: Sequence[Metric]


@dataclass(frozen=True, kw_only=True)
class Heat(Panel):
    """Time to the right, `up` upwards, the colour is the metric."""

    up: Terms | Cases | Steps
    metric: Metric


@dataclass(frozen=True, kw_only=True)
class Documents(Panel):
    """Single documents, the highest of `sort` first."""

    columns: Sequence[str]
    sort: str


@dataclass(frozen=True, kw_only=True)
class Words(Panel):
    """Markdown."""

    text: str


@dataclass(frozen=True)
class Control:
    label: str
    field: str
    view: View = EVENTS


@dataclass(frozen=True)
class Row:
    """Panels side by side, each with its width in columns of the grid."""

    height: int
    panels: Sequence[tuple[Panel, int]]


@dataclass(frozen=True)
class Dashboard:
    id: str
    title: str
    description: str
    rows: Sequence[Row]
    controls: Sequence[Control] = field(default_factory=tuple)

    @property
    def full_title(self) -> str:
        return f"[glassfs] {self.title}"


def count(label: str = "Calls", only: str = "") -> Metric:
    return Metric(label, Function.COUNT, only=only)


def total(label: str, name: str, unit: Unit = Unit.NUMBER, only: str = "") -> Metric:
    return Metric(label, Function.SUM, name, unit, only=only)


def average(label: str, name: str, unit: Unit = Unit.NUMBER) -> Metric:
    return Metric(label, Function.AVERAGE, name, unit)


def highest(label: str, name: str, unit: Unit = Unit.NUMBER) -> Metric:
    return Metric(label, Function.MAXIMUM, name, unit)


def lowest(label: str, name: str, unit: Unit = Unit.NUMBER) -> Metric:
    return Metric(label, Function.MINIMUM, name, unit)


def unique(label: str, name: str) -> Metric:
    return Metric(label, Function.UNIQUE, name)


def rate(label: str, name: str, unit: Unit = Unit.NUMBER) -> Metric:
    return Metric(label, Function.RATE, name, unit)


def percentile(percent: int, name: str = "event.duration", unit: Unit = Unit.NANOSECONDS) -> Metric:
    return Metric(f"p{percent}", Function.PERCENTILE, name, unit, percent)


def beside(height: int, *panels: Panel) -> Row:
    """Panels of equal width."""
    width = GRID_COLUMNS // len(panels)
    return Row(height, [(panel, width) for panel in panels])
