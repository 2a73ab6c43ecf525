"""Panels as aggregation-based visualizations: metrics and buckets by number, and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glassfs.elastic.dashboards.model import (
    CLASS,
    CLASS_COLORS,
    Cases,
    Chart,
    Function,
    Heat,
    Look,
    Metric,
    Number,
    Panel,
    Ratio,
    Share,
    Steps,
    Table,
    Terms,
)
from glassfs.elastic.dashboards.saved import Json, kuery, text

_FUNCTIONS = {
    Function.COUNT: "count",
    Function.SUM: "sum",
    Function.AVERAGE: "avg",
    Function.MINIMUM: "min",
    Function.MAXIMUM: "max",
    Function.UNIQUE: "cardinality",
    Function.PERCENTILE: "percentiles",
}
_TYPES = {Look.LINES: "line", Look.AREAS: "area", Look.BARS: "histogram"}
# Beyond any count: the end of "red".
_ENDLESS = 10**15
_ROWS_A_PAGE = 10
_HEAT_COLORS = 8
# "JSON input": both viewers merge it into the aggregation. HDR keeps two digits of each duration in 30 kB a row or
# step of time; three would take 200. A server's own t-digest is exact in rank only, and roughly.
_HDR = text({"hdr": {"number_of_significant_value_digits": 2}})


class _Aggregations:
    """Numbers them; percentiles of one field share one, as both viewers draw them."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.all: list[Json] = []
        self._order: list[str] = []
        self._percentiles: dict[str, Json] = {}
        for metric in metrics:
            self._order.append(self._metric(metric))

    def _metric(self, metric: Metric) -> str:
        if metric.function is Function.PERCENTILE:
            if metric.field not in self._percentiles:
                params: Json = {"field": metric.field, "percents": [], "customLabel": "duration", "json": _HDR}
                self._percentiles[metric.field] = self._add("percentiles", "metric", params)
            found = self._percentiles[metric.field]
            found["params"]["percents"].append(metric.percent)
            return f"{found['id']}.{metric.percent}"
        params = {"customLabel": metric.label}
        if metric.field:
            params["field"] = metric.field
        return str(self._add(_FUNCTIONS[metric.function], "metric", params)["id"])

    def _add(self, kind: str, schema: str, params: Json) -> Json:
        one: Json = {"id": str(len(self.all) + 1), "enabled": True, "type": kind, "schema": schema, "params": params}
        self.all.append(one)
        return one

    def time(self, schema: str) -> None:
        params: Json = {"field": "@timestamp", "interval": "auto", "drop_partials": False, "min_doc_count": 1}
        self._add("date_histogram", schema, {**params, "extended_bounds": {}})

    def bucket(self, split: Terms | Cases | Steps, schema: str) -> None:
        if isinstance(split, Cases):
            filters = [{"input": kuery(query), "label": label} for label, query in split.cases]
            self._add("filters", schema, {"filters": filters})
        elif isinstance(split, Steps):
            params: Json = {"field": split.field, "interval": "auto", "maxBars": split.parts, "min_doc_count": False}
            self._add("histogram", schema, {**params, "has_extended_bounds": False, "customLabel": split.label})
        else:
            params = {"field": split.field, "orderBy": self._order[split.by], "order": "desc", "size": split.size}
            params |= {"otherBucket": False, "missingBucket": False, "customLabel": split.label}
            self._add("terms", schema, params)


def state(panel: Panel) -> tuple[Json, Json | None]:
    """visState without its title, and uiStateJSON's content."""
    match panel:
        case Number():
            return _number(panel), None
        case Chart():
            return _chart(panel)
        case Share():
            return _share(panel), None
        case Table():
            return _table(panel), None
        case Heat():
            return _heat(panel), None
    raise AssertionError(f"{type(panel).__name__} is no aggregation")


def _number(panel: Number) -> Json:
    aggregations = _Aggregations([panel.metric])
    metric: dict[str, Any] = {
        "percentageMode": False,
        "useRanges": False,
        "colorSchema": "Green to Red",
        "metricColorMode": "Labels" if panel.alarm else "None",
        "colorsRange": [{"from": 0, "to": 1}, {"from": 1, "to": _ENDLESS}] if panel.alarm else [],
        "labels": {"show": False},
        "invertColors": False,
        "style": {"bgFill": "#000", "bgColor": False, "labelColor": panel.alarm, "subText": "", "fontSize": 32},
    }
    params = {"type": "metric", "addTooltip": True, "addLegend": False, "metric": metric}
    return {"type": "metric", "aggs": aggregations.all, "params": params}


def _chart(panel: Chart) -> tuple[Json, Json | None]:
    metrics = [metric for metric in panel.metrics if not isinstance(metric, Ratio)]
    aggregations = _Aggregations(metrics)
    drawn = [dict(one) for one in aggregations.all]
    aggregations.time("segment")
    if panel.by_class:
        aggregations.bucket(Terms("Class", CLASS, len(CLASS_COLORS)), "group")
    elif panel.split:
        aggregations.bucket(panel.split, "group")
    kind = _TYPES[panel.look]
    stacked = panel.look is not Look.LINES
    params = {
        "type": kind,
        "grid": {"categoryLines": False},
        "categoryAxes": [_axis("CategoryAxis-1", "category", "bottom")],
        "valueAxes": [{**_axis("ValueAxis-1", "value", "left"), "name": "LeftAxis-1"}],
        "seriesParams": [_series(one, kind, stacked) for one in drawn],
        "addTooltip": True,
        "addLegend": True,
        "legendPosition": "right",
        "times": [],
        "addTimeMarker": False,
        "labels": {"show": False},
        "thresholdLine": {"show": False, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
    }
    ui = {"vis": {"colors": dict(CLASS_COLORS)}} if panel.by_class else None
    return {"type": kind, "aggs": aggregations.all, "params": params}, ui


def _axis(id: str, kind: str, position: str) -> Json:
    return {
        "id": id,
        "type": kind,
        "position": position,
        "show": True,
        "style": {},
        "scale": {"type": "linear"},
        "labels": {"show": True, "rotate": 0, "filter": kind == "category", "truncate": 100},
        "title": {},
    }


def _series(metric: Json, kind: str, stacked: bool) -> Json:
    return {
        "show": True,
        "type": kind,
        "mode": "stacked" if stacked else "normal",
        "data": {"label": metric["params"]["customLabel"], "id": metric["id"]},
        "valueAxis": "ValueAxis-1",
        "drawLinesBetweenPoints": True,
        "lineWidth": 2,
        "interpolate": "linear",
        "showCircles": not stacked,
    }


def _share(panel: Share) -> Json:
    aggregations = _Aggregations([panel.metric])
    aggregations.bucket(panel.split, "segment")
    labels = {"show": True, "values": True, "last_level": True, "truncate": 100}
    params = {"type": "pie", "addTooltip": True, "addLegend": True, "legendPosition": "right", "isDonut": True}
    return {"type": "pie", "aggs": aggregations.all, "params": {**params, "labels": labels}}


def _table(panel: Table) -> Json:
    aggregations = _Aggregations(panel.metrics)
    for split in panel.rows:
        aggregations.bucket(split, "bucket")
    params = {
        "perPage": _ROWS_A_PAGE,
        "showPartialRows": False,
        "showMetricsAtAllLevels": False,
        "showTotal": False,
        "totalFunc": "sum",
        "percentageCol": "",
    }
    return {"type": "table", "aggs": aggregations.all, "params": params}


def _heat(panel: Heat) -> Json:
    aggregations = _Aggregations([panel.metric])
    aggregations.time("segment")
    aggregations.bucket(panel.up, "group")
    labels = {"show": False, "rotate": 0, "overwriteColor": False, "color": "black"}
    scale = {"type": "linear", "defaultYExtents": False}
    params = {
        "type": "heatmap",
        "addTooltip": True,
        "addLegend": True,
        "enableHover": False,
        "legendPosition": "right",
        "times": [],
        "colorsNumber": _HEAT_COLORS,
        "colorSchema": "Blues",
        "setColorRange": False,
        "colorsRange": [],
        "invertColors": False,
        "percentageMode": False,
        "valueAxes": [{"show": False, "id": "ValueAxis-1", "type": "value", "scale": scale, "labels": labels}],
    }
    return {"type": "heatmap", "aggs": aggregations.all, "params": params}
