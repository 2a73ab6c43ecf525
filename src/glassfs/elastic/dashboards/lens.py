"""The form of Kibana 8.9 and later: Lens, and controls above the dashboard.

A series' colour stands by its metric, since a split's values have no fixed colours before Kibana 8.12: so a chart by
class is six metrics, each with its query.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from glassfs.elastic.dashboards import classic
from glassfs.elastic.dashboards.boards import ALL
from glassfs.elastic.dashboards.columns import Columns
from glassfs.elastic.dashboards.model import (
    CLASS,
    CLASS_COLORS,
    COLORS,
    RED,
    VIEWS,
    Chart,
    Dashboard,
    Documents,
    Function,
    Heat,
    Look,
    Metric,
    Number,
    Panel,
    Ratio,
    Share,
    Table,
    Words,
)
from glassfs.elastic.dashboards.saved import (
    Json,
    dashboard_attributes,
    kuery,
    panel_id,
    panels,
    text,
    view_attributes,
    view_reference,
)

CORE_MARK = "8.8.0"
MARKS = {"index-pattern": "8.0.0", "visualization": "8.5.0", "search": "8.0.0", "lens": "8.9.0", "dashboard": "8.9.0"}
_PANEL_VERSION = "8.9.0"
LAYER = "layer"
_SERIES = {Look.LINES: "line", Look.AREAS: "area_stacked", Look.BARS: "bar_stacked"}
_ENDLESS = 10**15
_FINE = "#209280"


def objects() -> list[Json]:
    found = [_object("index-pattern", view.id, {**view_attributes(view), "name": view.name}, []) for view in VIEWS]
    for board in ALL:
        found += _board(board)
    return found


def _object(kind: str, id: str, attributes: Json, references: Sequence[Json]) -> Json:
    marks = {"coreMigrationVersion": CORE_MARK, "typeMigrationVersion": MARKS[kind]}
    return {"type": kind, "id": id, "attributes": attributes, "references": list(references), **marks}


def _board(board: Dashboard) -> Iterator[Json]:
    places: list[Json] = []
    references: list[Json] = []
    for panel, grid in panels(board):
        drawn = _panel(board, panel)
        yield drawn
        name = f"panel_{grid['i']}"
        place = {"version": _PANEL_VERSION, "type": drawn["type"], "gridData": grid, "panelIndex": grid["i"]}
        places.append({**place, "embeddableConfig": {}, "panelRefName": name})
        references.append({"name": f"{grid['i']}:{name}", "type": drawn["type"], "id": drawn["id"]})
    attributes = dashboard_attributes(board, places)
    if board.controls:
        attributes["controlGroupInput"] = _controls(board)
        for number, control in enumerate(board.controls):
            references.append(view_reference(control.view, f"controlGroup_{number}:optionsListDataView"))
    yield _object("dashboard", board.id, attributes, references)


def _controls(board: Dashboard) -> Json:
    shown = {
        str(number): {
            "type": "optionsListControl",
            "order": number,
            "width": "medium",
            "grow": True,
            "explicitInput": {
                "id": str(number),
                "fieldName": control.field,
                "title": control.label,
                "selectedOptions": [],
                "enhancements": {},
            },
        }
        for number, control in enumerate(board.controls)
    }
    ignored = {"ignoreFilters": False, "ignoreQuery": False, "ignoreTimerange": False, "ignoreValidations": False}
    return {
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "ignoreParentSettingsJSON": text(ignored),
        "panelsJSON": text(shown),
    }


def _panel(board: Dashboard, panel: Panel) -> Json:
    if isinstance(panel, Words | Documents) or _asks_for_percentiles(panel):
        # The classic form, with this form's marks: no Lens, or one that could not ask for HDR.
        old = classic.panel_object(board, panel)
        return _object(old["type"], old["id"], old["attributes"], old["references"])
    kind, columns, visualization = _drawn(panel)
    state: Json = {
        "datasourceStates": {"formBased": {"layers": {LAYER: columns.layer()}}},
        "visualization": visualization,
        "query": kuery(panel.query),
        "filters": [],
        "internalReferences": [],
        "adHocDataViews": {},
    }
    attributes = {"title": panel.title, "description": "", "visualizationType": kind, "state": state}
    references = [view_reference(panel.view, f"indexpattern-datasource-layer-{LAYER}")]
    return _object("lens", panel_id(board, panel), attributes, references)


def _asks_for_percentiles(panel: Panel) -> bool:
    """A server's own t-digest is right in rank only, and takes four times as long."""
    match panel:
        case Chart() | Table():
            metrics: Sequence[Metric | Ratio] = panel.metrics
        case Number() | Share() | Heat():
            metrics = [panel.metric]
        case _:
            metrics = []
    return any(isinstance(metric, Metric) and metric.function is Function.PERCENTILE for metric in metrics)


def _drawn(panel: Panel) -> tuple[str, Columns, Json]:
    match panel:
        case Number():
            return _number(panel)
        case Chart():
            return _chart(panel)
        case Share():
            return _share(panel)
        case Table():
            return _table(panel)
        case Heat():
            return _heat(panel)
    raise AssertionError(f"{type(panel).__name__} is no Lens")


def _number(panel: Number) -> tuple[str, Columns, Json]:
    columns = Columns()
    visualization: Json = {"layerId": LAYER, "layerType": "data", "metricAccessor": columns.metric(panel.metric)}
    if panel.alarm:
        visualization["palette"] = _alarm()
    return "lnsMetric", columns, visualization


def _alarm() -> Json:
    stops = [{"color": _FINE, "stop": 1}, {"color": RED, "stop": _ENDLESS}]
    starts = [{"color": _FINE, "stop": 0}, {"color": RED, "stop": 1}]
    params = {"name": "custom", "steps": 2, "reverse": False, "rangeType": "number", "rangeMin": 0, "rangeMax": None}
    more = {"progression": "fixed", "stops": stops, "colorStops": starts, "continuity": "above", "maxSteps": 5}
    return {"type": "palette", "name": "custom", "params": {**params, **more}}


def _chart(panel: Chart) -> tuple[str, Columns, Json]:
    columns = Columns()
    time = columns.time()
    layer: Json = {"layerId": LAYER, "layerType": "data", "seriesType": _SERIES[panel.look], "xAccessor": time}
    metrics = _by_class(panel) if panel.by_class else list(panel.metrics)
    split = columns.later() if panel.split else None
    accessors = [columns.metric(metric) for metric in metrics]
    if panel.split and split:
        columns.terms(panel.split, columns.orderable(accessors[panel.split.by]), id=split)
        layer["splitAccessor"] = split
    else:
        colors = list(CLASS_COLORS.values()) if panel.by_class else COLORS
        layer["yConfig"] = [{"forAccessor": id, "color": color} for id, color in zip(accessors, colors, strict=False)]
    visualization = {
        "preferredSeriesType": _SERIES[panel.look],
        "legend": {"isVisible": True, "position": "right"},
        "valueLabels": "hide",
        "fittingFunction": "None" if panel.look is Look.BARS else "Linear",
        "layers": [{**layer, "accessors": accessors}],
    }
    return "lnsXY", columns, visualization


def _by_class(panel: Chart) -> list[Metric]:
    (metric,) = panel.metrics
    assert isinstance(metric, Metric)
    return [replace(metric, label=name, only=f"{CLASS}: {name}") for name in CLASS_COLORS]


def _share(panel: Share) -> tuple[str, Columns, Json]:
    columns = Columns()
    split = columns.later()
    metric = columns.metric(panel.metric)
    columns.bucket(panel.split, metric, id=split)
    layer = {
        "layerId": LAYER,
        "layerType": "data",
        "primaryGroups": [split],
        "metrics": [metric],
        "numberDisplay": "percent",
        "categoryDisplay": "default",
        "legendDisplay": "show",
        "legendPosition": "right",
        "nestedLegend": False,
    }
    return "lnsPie", columns, {"shape": "donut", "layers": [layer]}


def _table(panel: Table) -> tuple[str, Columns, Json]:
    columns = Columns()
    rows = [columns.later() for _ in panel.rows]
    metrics = [columns.metric(metric) for metric in panel.metrics]
    for id, row in zip(rows, panel.rows, strict=True):
        columns.terms(row, metrics[row.by], id=id)
    shown = [{"columnId": id} for id in [*rows, *metrics]]
    paging = {"enabled": True, "size": 10}
    return "lnsDatatable", columns, {"layerId": LAYER, "layerType": "data", "columns": shown, "paging": paging}


def _heat(panel: Heat) -> tuple[str, Columns, Json]:
    columns = Columns()
    time = columns.time()
    up = columns.later()
    metric = columns.metric(panel.metric)
    columns.bucket(panel.up, metric, id=up)
    grid = {
        "type": "heatmap_grid",
        "isCellLabelVisible": False,
        "isXAxisLabelVisible": True,
        "isYAxisLabelVisible": True,
        "isXAxisTitleVisible": False,
        "isYAxisTitleVisible": False,
    }
    visualization = {
        "shape": "heatmap",
        "layerId": LAYER,
        "layerType": "data",
        "xAccessor": time,
        "yAccessor": up,
        "valueAccessor": metric,
        "legend": {"isVisible": True, "position": "right", "type": "heatmap_legend"},
        "gridConfig": grid,
    }
    return "lnsHeatmap", columns, visualization
