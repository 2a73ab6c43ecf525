"""Saved objects as both forms share them: data views, dashboards, ids, references, NDJSON. Knows no kind of panel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from glassfs.elastic.dashboards.model import Dashboard, Panel, View

Json = dict[str, Any]

# What a dashboard opens with.
TIME_FROM, TIME_TO = "now-15m", "now"
REFRESH_MS = 5_000

INDEX_REFERENCE = "kibanaSavedObjectMeta.searchSourceJSON.index"

_NANOSECONDS = {
    "id": "duration",
    "params": {"inputFormat": "nanoseconds", "outputFormat": "asMilliseconds", "outputPrecision": 3},
}
_BYTES = {"id": "bytes", "params": {}}
_PERCENT = {"id": "percent", "params": {"pattern": "0.0%"}}
# How both viewers write a field's numbers.
FORMATS: Mapping[str, Mapping[str, Json]] = {
    "glassfs-events": {
        "event.duration": _NANOSECONDS,
        "glassfs.backing_ns": _NANOSECONDS,
        **dict.fromkeys(("glassfs.bytes", "glassfs.offset", "glassfs.size"), _BYTES),
    },
    "glassfs-totals": {
        **dict.fromkeys(("glassfs.totals.duration_ns", "glassfs.totals.backing_ns"), _NANOSECONDS),
        **dict.fromkeys(("glassfs.totals.min_ns", "glassfs.totals.max_ns"), _NANOSECONDS),
        "glassfs.totals.bytes": _BYTES,
    },
    "glassfs-metricbeat": {
        **dict.fromkeys(("host.cpu.usage", "system.memory.actual.used.pct", "system.filesystem.used.pct"), _PERCENT),
        **dict.fromkeys(("system.process.cpu.total.pct",), _PERCENT),
        **dict.fromkeys(
            (
                "system.memory.actual.used.bytes",
                "system.memory.free",
                "system.memory.swap.used.bytes",
                "system.process.memory.rss.bytes",
                "system.process.io.read_bytes",
                "system.process.io.write_bytes",
                "system.filesystem.total",
            ),
            _BYTES,
        ),
    },
}


def text(document: Any) -> str:
    """JSON inside JSON, always the same for the same thing, so that importing again changes nothing."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def ndjson(objects: Iterable[Json]) -> str:
    return "".join(text(each) + "\n" for each in objects)


def panel_id(board: Dashboard, panel: Panel) -> str:
    return f"{board.id}-{re.sub('[^a-z0-9]+', '-', panel.title.lower()).strip('-')}"


def kuery(query: str) -> Json:
    return {"query": query, "language": "kuery"}


def search_source(query: str, *, indexed: bool = True) -> Json:
    source: Json = {"query": kuery(query), "filter": []}
    if indexed:
        source["indexRefName"] = INDEX_REFERENCE
    return {"searchSourceJSON": text(source)}


def view_reference(view: View, name: str = INDEX_REFERENCE) -> Json:
    return {"type": "index-pattern", "id": view.id, "name": name}


def view_attributes(view: View) -> Json:
    attributes: Json = {"title": view.pattern}
    if view.time_field:
        attributes["timeFieldName"] = view.time_field
    if formats := FORMATS.get(view.id):
        attributes["fieldFormatMap"] = text(formats)
    return attributes


def dashboard_attributes(board: Dashboard, panels: list[Json]) -> Json:
    return {
        "title": board.full_title,
        "description": board.description,
        "hits": 0,
        "version": 1,
        "timeRestore": True,
        "timeFrom": TIME_FROM,
        "timeTo": TIME_TO,
        "refreshInterval": {"pause": False, "value": REFRESH_MS},
        "optionsJSON": text({"hidePanelTitles": False, "useMargins": True}),
        "panelsJSON": text(panels),
        "kibanaSavedObjectMeta": search_source("", indexed=False),
    }


def panels(board: Dashboard, top: int = 0) -> Iterable[tuple[Panel, Json]]:
    """Each panel and its place; `top`: rows of the grid that are taken already."""
    number, y = 1, top
    for row in board.rows:
        x = 0
        for panel, width in row.panels:
            yield panel, {"x": x, "y": y, "w": width, "h": row.height, "i": str(number)}
            x += width
            number += 1
        y += row.height
