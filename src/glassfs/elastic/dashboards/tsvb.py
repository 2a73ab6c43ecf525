"""Charts that aggregations cannot say in both viewers (rates of counters, ratios, series with a query of their own), as
TSVB ("metrics") visualizations."""

from __future__ import annotations

from dataclasses import replace

from glassfs.elastic.dashboards.model import COLORS, Chart, Function, Look, Metric, Ratio, Unit
from glassfs.elastic.dashboards.saved import Json, kuery

_FUNCTIONS = {
    Function.COUNT: "count",
    Function.SUM: "sum",
    Function.AVERAGE: "avg",
    Function.MINIMUM: "min",
    Function.MAXIMUM: "max",
    Function.UNIQUE: "cardinality",
}
_FORMATTERS = {Unit.NUMBER: "number", Unit.BYTES: "bytes", Unit.NANOSECONDS: "ns,ms,3", Unit.SHARE: "percent"}


def is_needed(panel: Chart) -> bool:
    return any(isinstance(metric, Ratio) or metric.only or metric.function is Function.RATE for metric in panel.metrics)


def params(id: str, panel: Chart) -> Json:
    first = panel.metrics[0]
    return {
        "id": id,
        "type": "timeseries",
        "index_pattern": panel.view.pattern,
        "time_field": panel.view.time_field,
        "interval": "",
        "drop_last_bucket": 0,
        "filter": kuery(panel.query),
        "axis_position": "left",
        "axis_formatter": _FORMATTERS[first.unit],
        "axis_scale": "normal",
        "axis_min": "0",
        "show_legend": 1,
        "show_grid": 1,
        "tooltip_mode": "show_all",
        "series": [_series(f"{id}-{number}", number, metric, panel) for number, metric in enumerate(panel.metrics)],
    }


def _series(id: str, number: int, metric: Metric | Ratio, panel: Chart) -> Json:
    metrics = _ratio(id, metric) if isinstance(metric, Ratio) else _metric(id, metric)
    series: Json = {
        "id": id,
        "label": metric.label,
        "color": COLORS[number % len(COLORS)],
        "metrics": metrics,
        "split_mode": "everything",
        "chart_type": "bar" if panel.look is Look.BARS else "line",
        "stacked": "none",
        "line_width": 2,
        "point_size": 0,
        "fill": 0.1,
        "separate_axis": 0,
        "axis_position": "right",
        "formatter": _FORMATTERS[metric.unit],
        "value_template": "{{value}}",
    }
    if panel.split:
        terms = {
            "terms_field": panel.split.field,
            "terms_size": str(panel.split.size),
            "terms_order_by": metrics[0]["id"],
        }
        series |= {"split_mode": "terms", **terms, "terms_direction": "desc"}
    elif isinstance(metric, Metric) and metric.only:
        series |= {"split_mode": "filter", "filter": kuery(metric.only)}
    return series


def _metric(id: str, metric: Metric) -> list[Json]:
    if metric.function is not Function.RATE:
        return [_one(f"{id}-m", metric)]
    return [
        {"id": f"{id}-max", "type": "max", "field": metric.field},
        {"id": f"{id}-growth", "type": "derivative", "field": f"{id}-max", "unit": "1s"},
        # A counter that began anew, as after a boot, is no negative rate.
        {"id": f"{id}-rate", "type": "positive_only", "field": f"{id}-growth"},
    ]


def _ratio(id: str, ratio: Ratio) -> list[Json]:
    """TSVB has no count with a query of its own, only the share that passes it: times all, that is the count."""
    parts = {"above": _one(f"{id}-above", ratio.above), "below": _one(f"{id}-below", replace(ratio.below, only=""))}
    script = "divide(params.above, params.below)"
    if ratio.below.only:
        share = {"type": "filter_ratio", "metric_agg": "count", "numerator": kuery(ratio.below.only)}
        parts["share"] = {"id": f"{id}-share", **share, "denominator": kuery("")}
        script = "divide(params.above, multiply(params.below, params.share))"
    variables = [{"id": f"{id}-v-{name}", "name": name, "field": one["id"]} for name, one in parts.items()]
    return [*parts.values(), {"id": f"{id}-ratio", "type": "math", "variables": variables, "script": script}]


def _one(id: str, metric: Metric) -> Json:
    one: Json = {"id": id, "type": _FUNCTIONS[metric.function]}
    if metric.field:
        one["field"] = metric.field
    return one
