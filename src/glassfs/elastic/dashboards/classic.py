"""The form that Kibana 7.17 to 9 and OpenSearch Dashboards 2 and 3 all take: aggregation-based panels and TSVB.

OpenSearch Dashboards knows no mark above these, refuses attributes it does not know, and finds a panel only by a
reference called exactly panel_N.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from glassfs.elastic.dashboards import aggregations, tsvb
from glassfs.elastic.dashboards.boards import ALL
from glassfs.elastic.dashboards.model import (
    GRID_COLUMNS,
    VIEWS,
    Chart,
    Dashboard,
    Documents,
    Panel,
    Words,
)
from glassfs.elastic.dashboards.saved import (
    Json,
    dashboard_attributes,
    panel_id,
    panels,
    search_source,
    text,
    view_attributes,
    view_reference,
)

MARKS = {"index-pattern": "7.6.0", "visualization": "7.10.0", "search": "7.9.3", "dashboard": "7.9.3"}
_PANEL_VERSION = "7.10.0"
_CONTROLS_HEIGHT = 5
# A list of choices is asked for anew as somebody types: this many at a time.
_CHOICES = 50


def objects() -> list[Json]:
    """Data views first: what is referred to comes before what refers to it."""
    found = [_object("index-pattern", view.id, view_attributes(view), []) for view in VIEWS]
    for board in ALL:
        found += _board(board)
    return found


def _object(kind: str, id: str, attributes: Json, references: Sequence[Json]) -> Json:
    return {
        "type": kind,
        "id": id,
        "attributes": attributes,
        "references": list(references),
        "migrationVersion": {kind: MARKS[kind]},
    }


def _board(board: Dashboard) -> Iterator[Json]:
    places: list[Json] = []
    references: list[Json] = []

    def place(kind: str, id: str, grid: Json) -> None:
        name = f"panel_{grid['i']}"
        panel = {"version": _PANEL_VERSION, "type": kind, "gridData": grid, "panelIndex": grid["i"]}
        places.append({**panel, "embeddableConfig": {}, "panelRefName": name})
        references.append({"name": name, "type": kind, "id": id})

    if board.controls:
        controls = _controls(board)
        yield controls
        place("visualization", controls["id"], {"x": 0, "y": 0, "w": GRID_COLUMNS, "h": _CONTROLS_HEIGHT, "i": "0"})
    for panel, grid in panels(board, top=_CONTROLS_HEIGHT if board.controls else 0):
        drawn = panel_object(board, panel)
        yield drawn
        place(drawn["type"], drawn["id"], grid)
    yield _object("dashboard", board.id, dashboard_attributes(board, places), references)


def panel_object(board: Dashboard, panel: Panel) -> Json:
    id, title = panel_id(board, panel), panel.title
    if isinstance(panel, Documents):
        return _search(id, panel)
    if isinstance(panel, Words):
        params: Json = {"fontSize": 12, "openLinksInNewTab": False, "markdown": panel.text}
        return _visualization(id, title, {"type": "markdown", "aggs": [], "params": params}, query=None)
    if isinstance(panel, Chart) and tsvb.is_needed(panel):
        return _visualization(id, title, {"type": "metrics", "aggs": [], "params": tsvb.params(id, panel)}, query=None)
    state, ui = aggregations.state(panel)
    references = [view_reference(panel.view)]
    return _visualization(id, title, state, query=panel.query, ui=ui, references=references)


def _visualization(
    id: str, title: str, state: Json, *, query: str | None, ui: Json | None = None, references: Sequence[Json] = ()
) -> Json:
    attributes = {
        "title": title,
        "description": "",
        "version": 1,
        "visState": text({"title": title, **state}),
        "uiStateJSON": text(ui or {}),
        "kibanaSavedObjectMeta": search_source(query or "", indexed=query is not None),
    }
    return _object("visualization", id, attributes, references)


def _search(id: str, panel: Documents) -> Json:
    attributes: dict[str, Any] = {
        "title": panel.title,
        "description": "",
        "hits": 0,
        "version": 1,
        "columns": list(panel.columns),
        "sort": [[panel.sort, "desc"]],
        "kibanaSavedObjectMeta": search_source(panel.query),
    }
    return _object("search", id, attributes, [view_reference(panel.view)])


def _controls(board: Dashboard) -> Json:
    controls, references = [], []
    for number, control in enumerate(board.controls):
        name = f"control_{number}_index_pattern"
        options = {"type": "terms", "multiselect": True, "dynamicOptions": True, "size": _CHOICES, "order": "desc"}
        controls.append(
            {
                "id": f"{board.id}-{number}",
                "fieldName": control.field,
                "parent": "",
                "label": control.label,
                "type": "list",
                "options": options,
                "indexPatternRefName": name,
            }
        )
        references.append(view_reference(control.view, name))
    params: Json = {"controls": controls, "updateFiltersOnChange": True, "useTimeFilter": True, "pinFilters": False}
    state: Json = {"type": "input_control_vis", "aggs": [], "params": params}
    return _visualization(f"{board.id}-controls", "Choose", state, query=None, references=references)
