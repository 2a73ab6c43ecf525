"""What several dashboards share: controls, columns, and the words at the top."""

from __future__ import annotations

from glassfs.elastic.dashboards.model import (
    GRID_COLUMNS,
    TOTALS,
    Chart,
    Control,
    Look,
    Metric,
    Row,
    Share,
    Terms,
    Unit,
    View,
    Words,
    average,
    beside,
    count,
    highest,
    percentile,
    total,
)

NS = Unit.NANOSECONDS

TRACE = Control("Trace", "glassfs.trace.name")
HOST = Control("Host", "host.name")
PROCESS = Control("Process", "process.name")
PATH = Control("Path", "file.path")
ALL_CONTROLS = (TRACE, HOST, PROCESS, PATH)
# Totals know neither process nor path: a filter on those would empty their panels.
TOTALS_CONTROLS = (Control("Trace", "glassfs.trace.name", TOTALS), Control("Host", "host.name", TOTALS))

DURATIONS: tuple[Metric, ...] = (
    average("Average", "event.duration", NS),
    percentile(50),
    percentile(95),
    percentile(99),
    highest("Longest", "event.duration", NS),
)
BYTES = total("Bytes", "glassfs.bytes", Unit.BYTES)
TIME = total("Time", "event.duration", NS)
CALLS = count()

_HELP = {
    "glassfs-": (
        "**Nothing here?** Choose a longer time, at the top right. Is anything shipped: `glassfs serve`, or "
        "`glassfs elastic ship @last`? `glassfs elastic status` says how far it is."
    ),
    "metricbeat-": (
        "**Nothing here?** `glassfs serve` records the machine (`sampler.enabled`), or run Metricbeat with its system "
        "module. Both may run at once: nothing here is added up over them."
    ),
}


def by_family(ours: str, family: Terms, who: Terms) -> list[Row]:
    """The same for each database: its families' shares, and what they and its processes or threads do over time."""
    return [
        beside(
            12,
            Share(title="Calls by family", split=family, metric=CALLS, query=ours),
            Share(title="Time by family", split=family, metric=TIME, query=ours),
            Share(title="Bytes by family", split=family, metric=BYTES, query=ours),
        ),
        beside(
            12,
            Chart(title="Bytes over time, by family", metrics=[BYTES], split=family, query=ours, look=Look.AREAS),
            Chart(title=f"Calls over time, by {who.label.lower()}", metrics=[CALLS], split=who, query=ours),
        ),
    ]


def words(text: str, view: View) -> Row:
    """The line at the top: what this shows, and what to do where there is no data."""
    prefix = next(prefix for prefix in _HELP if view.pattern.startswith(prefix))
    return Row(6, [(Words(title="What this shows", view=view, text=f"{text}\n\n{_HELP[prefix]}"), GRID_COLUMNS)])
