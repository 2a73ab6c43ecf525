"""From saved objects to what their panels ask. Reads the objects as a viewer would, and knows nothing of how they were
made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from dashboards.questions import Bucket, Metric, Question

Json = dict[str, Any]
Objects = dict[tuple[str, str], Json]

# discover:sampleSize, the documents that a saved search fetches in both viewers.
SAMPLE_SIZE = 500
NO_DATA = ("markdown", "input_control_vis")
LOOKS = {
    "histogram": "bar",
    "area": "area",
    "line": "line",
    "pie": "ring",
    "table": "table",
    "heatmap": "heat",
    "metric": "number",
    "bar": "bar",
    "lnsPie": "ring",
    "lnsDatatable": "table",
    "lnsHeatmap": "heat",
    "lnsMetric": "number",
    "bar_stacked": "bar",
    "area_stacked": "area",
}


def by_key(lines: Iterable[str]) -> Objects:
    objects = [json.loads(line) for line in lines if line.strip()]
    return {(each["type"], each["id"]): each for each in objects if "type" in each}


def dashboards(objects: Objects) -> list[Json]:
    return [each for (kind, _), each in objects.items() if kind == "dashboard"]


def panels(dashboard: Json, objects: Objects) -> Iterator[tuple[Json, Json]]:
    """Each panel's place and its saved object."""
    references = {each["name"]: each for each in dashboard["references"]}
    for panel in json.loads(dashboard["attributes"]["panelsJSON"]):
        name = panel["panelRefName"]
        found = references.get(name) or references[f"{panel['panelIndex']}:{name}"]
        yield panel, objects[found["type"], found["id"]]


def questions(saved: Json, objects: Objects) -> list[Question]:
    """None where a panel asks nothing."""
    match saved["type"]:
        case "search":
            return [_search(saved, objects)]
        case "lens":
            return [_lens(saved, objects)]
    state = json.loads(saved["attributes"]["visState"])
    if state["type"] in NO_DATA:
        return []
    if state["type"] == "metrics":
        return list(_tsvb(saved, state["params"]))
    return [_aggregations(saved, state, objects)]


def _view(saved: Json, objects: Objects, name: str) -> tuple[str, str | None]:
    reference = next(each for each in saved["references"] if each["name"] == name)
    attributes = objects["index-pattern", reference["id"]]["attributes"]
    return attributes["title"], attributes.get("timeFieldName")


def _source(saved: Json) -> tuple[Json, str]:
    source = json.loads(saved["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert source["query"]["language"] == "kuery" and not source["filter"]
    return source, source["query"]["query"]


def _search(saved: Json, objects: Objects) -> Question:
    source, query = _source(saved)
    pattern, time_field = _view(saved, objects, source["indexRefName"])
    attributes = saved["attributes"]
    ((sort, direction),) = attributes["sort"]
    assert direction == "desc"
    return Question(
        attributes["title"],
        pattern,
        time_field,
        query,
        (),
        (),
        documents=SAMPLE_SIZE,
        columns=tuple(attributes["columns"]),
        sort=sort,
    )


def _aggregations(saved: Json, state: Json, objects: Objects) -> Question:
    source, query = _source(saved)
    pattern, time_field = _view(saved, objects, source["indexRefName"])
    metrics: list[Metric] = []
    buckets: list[Bucket] = []
    for agg in state["aggs"]:
        if agg["enabled"] and agg["schema"] == "metric":
            metrics += _metrics_of(agg)
        elif agg["enabled"]:
            assert agg["schema"] in ("segment", "group", "bucket", "split"), agg["schema"]
            buckets.append(_bucket_of(agg))
    alarm = bool(state["params"].get("metric", {}).get("colorsRange"))
    title = saved["attributes"]["title"]
    look = LOOKS[state["type"]]
    return Question(title, pattern, time_field, query, tuple(buckets), tuple(metrics), may_be_zero=alarm, look=look)


def _metrics_of(agg: Json) -> list[Metric]:
    name = agg["params"].get("field")
    more = agg["params"].get("json", "")
    if agg["type"] == "percentiles":
        percents = agg["params"]["percents"]
        return [
            Metric(f"{agg['id']}_{each}", "percentiles", name, each, more=more, label=f"p{each}") for each in percents
        ]
    return [Metric(agg["id"], agg["type"], name, more=more, label=agg["params"].get("customLabel", ""))]


def _bucket_of(agg: Json) -> Bucket:
    params = agg["params"]
    match agg["type"]:
        case "terms":
            by = params["orderBy"].replace(".", "_")
            label = params.get("customLabel", "")
            return Bucket(f"b{agg['id']}", "terms", params["field"], params["size"], by, label=label)
        case "filters":
            filters = tuple((each["label"], each["input"]["query"]) for each in params["filters"])
            return Bucket(f"b{agg['id']}", "filters", filters=filters)
        case "histogram":
            assert params["interval"] == "auto"
            return Bucket(f"b{agg['id']}", "histogram", params["field"], parts=params["maxBars"])
        case "date_histogram":
            assert params["interval"] == "auto"
            return Bucket(f"b{agg['id']}", "date_histogram", params["field"])
    raise AssertionError(f"no such aggregation: {agg['type']}")


def _tsvb(saved: Json, params: Json) -> Iterator[Question]:
    for series in params["series"]:
        metrics: list[Metric] = []
        growth: list[tuple[str, str]] = []
        for each in series["metrics"]:
            match each["type"]:
                case "derivative":
                    assert each["unit"] == "1s"
                    growth.append((each["id"], each["field"]))
                case "positive_only" | "math":
                    known = {*(one.id for one in metrics), *(id for id, _ in growth)}
                    used = [each["field"]] if "field" in each else [one["field"] for one in each["variables"]]
                    assert set(used) <= {*known, *(id.removesuffix("-numerator") for id in known)}
                case "filter_ratio":
                    metrics.append(Metric(f"{each['id']}-numerator", "count", only=each["numerator"]["query"]))
                case _:
                    metrics.append(Metric(each["id"], each["type"], each.get("field"), label=series["label"]))
        queries = [params["filter"]["query"]]
        buckets = [Bucket("time", "date_histogram", params["time_field"])]
        if series["split_mode"] == "filter":
            queries.append(series["filter"]["query"])
        elif series["split_mode"] == "terms":
            by = series["terms_order_by"]
            buckets.insert(0, Bucket("split", "terms", series["terms_field"], int(series["terms_size"]), by))
        query = " and ".join(f"({each})" for each in queries if each)
        title = f"{saved['attributes']['title']}: {series['label']}"
        pattern, time_field = params["index_pattern"], params["time_field"]
        look = LOOKS[series["chart_type"]]
        yield Question(title, pattern, time_field, query, tuple(buckets), tuple(metrics), tuple(growth), look=look)


_OPERATIONS = {
    "count": "count",
    "sum": "sum",
    "average": "avg",
    "min": "min",
    "max": "max",
    "unique_count": "cardinality",
}


def _lens(saved: Json, objects: Objects) -> Question:
    state = saved["attributes"]["state"]
    ((layer_id, layer),) = state["datasourceStates"]["formBased"]["layers"].items()
    pattern, time_field = _view(saved, objects, f"indexpattern-datasource-layer-{layer_id}")
    metrics: list[Metric] = []
    buckets: list[Bucket] = []
    ratios: list[tuple[str, str, str]] = []
    for id in layer["columnOrder"]:
        column = layer["columns"][id]
        if column["isBucketed"]:
            buckets.append(_lens_bucket(id, column))
        elif column["operationType"] in _OPERATIONS:
            kind = _OPERATIONS[column["operationType"]]
            only = column.get("filter", {}).get("query", "")
            name = None if kind == "count" else column["sourceField"]
            metrics.append(Metric(id, kind, name, only=only, label=column["label"]))
        else:
            assert column["operationType"] in ("counter_rate", "formula", "math"), column["operationType"]
            assert set(column["references"]) <= set(layer["columns"])
            if column["operationType"] == "formula":
                above, below = layer["columns"][column["references"][0]]["references"]
                ratios.append((column["label"], above, below))
    for bucket in buckets:
        below = layer["columns"].get(bucket.order_by, {})
        if bucket.order_by and below.get("references"):
            # Lens cannot order by what it works out itself: it falls back to the values' own order.
            raise AssertionError(f"{saved['id']} orders by {below['operationType']}")
    alarm = "palette" in state["visualization"]
    title, query = saved["attributes"]["title"], state["query"]["query"]
    look = LOOKS.get(saved["attributes"]["visualizationType"]) or LOOKS[state["visualization"]["preferredSeriesType"]]
    return Question(
        *(title, pattern, time_field, query, tuple(buckets), tuple(metrics)),
        may_be_zero=alarm,
        ratios=tuple(ratios),
        look=look,
    )


def _lens_bucket(id: str, column: Json) -> Bucket:
    params = column["params"]
    match column["operationType"]:
        case "terms":
            by = params["orderBy"]["columnId"]
            return Bucket(id, "terms", column["sourceField"], params["size"], by, label=column["label"])
        case "filters":
            filters = tuple((each["label"], each["input"]["query"]) for each in params["filters"])
            return Bucket(id, "filters", filters=filters)
        case "range":
            assert params["type"] == "histogram"
            return Bucket(id, "histogram", column["sourceField"], parts=params["maxBars"])
        case "date_histogram":
            return Bucket(id, "date_histogram", column["sourceField"])
    raise AssertionError(f"no such operation: {column['operationType']}")
