"""A stand-in for the import API of Kibana and of OpenSearch Dashboards that enforces what the two enforce, and more: it
also looks into what they only find wrong once somebody opens the dashboard.

Made from their sources' rules (marks, strict mappings, xsrf, multipart), not from the bundles' maker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]

GRID_COLUMNS = 48
VERSION = re.compile(r"\d+\.\d+\.\d+")

# The highest mark each knows, by type; a type that is not here is not known.
MARKS: dict[str, dict[str, str]] = {
    "osd": {"index-pattern": "7.6.0", "visualization": "7.10.0", "dashboard": "7.9.3", "search": "7.9.3"},
    "kibana7": {
        "index-pattern": "7.11.0",
        "visualization": "7.17.0",
        "dashboard": "7.17.3",
        "search": "7.9.3",
        "lens": "7.16.0",
        "tag": "8.0.0",
    },
    "kibana8": {
        "index-pattern": "8.0.0",
        "visualization": "8.5.0",
        "dashboard": "8.9.0",
        "search": "8.0.0",
        "lens": "8.9.0",
        "tag": "8.0.0",
    },
}
CORE = {"osd": None, "kibana7": "8.0.0", "kibana8": "8.8.0"}
# Mappings are strict but for index-pattern.
ATTRIBUTES: dict[str, set[str]] = {
    "dashboard": {
        *("title", "description", "hits", "panelsJSON", "optionsJSON", "version", "timeRestore", "timeFrom", "timeTo"),
        *("refreshInterval", "kibanaSavedObjectMeta"),
    },
    "visualization": {
        *("title", "description", "version", "uiStateJSON", "visState", "savedSearchRefName", "kibanaSavedObjectMeta"),
    },
    "search": {"title", "description", "hits", "columns", "sort", "version", "kibanaSavedObjectMeta"},
    "lens": {"title", "description", "visualizationType", "state"},
}
MORE_ATTRIBUTES = {
    "kibana7": {"dashboard": set(), "search": {"grid", "hideChart"}},
    "kibana8": {"dashboard": {"controlGroupInput"}, "search": {"grid", "hideChart", "sampleSize"}},
}
VISUALIZATIONS = {
    *("area", "line", "histogram", "horizontal_bar", "pie", "metric", "table", "heatmap", "gauge", "goal", "markdown"),
    *("metrics", "tagcloud", "vega", "timelion", "input_control_vis", "region_map", "tile_map"),
}
LENSES = {"lnsXY", "lnsPie", "lnsDatatable", "lnsHeatmap", "lnsMetric"}
OPERATIONS = {
    *("terms", "filters", "range", "date_histogram", "count", "sum", "average", "min", "max", "unique_count"),
    *("percentile", "counter_rate", "formula", "math", "last_value"),
}
TSVB_METRICS = {
    *("count", "sum", "avg", "min", "max", "cardinality", "percentile", "derivative", "positive_only", "math"),
    *("filter_ratio", "calculation", "series_agg", "value_count", "std_deviation", "sum_of_squares", "top_hit"),
    *("moving_average", "cumulative_sum", "serial_diff", "static", "variance", "positive_rate"),
}


class Refused(Exception):
    """The whole request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def kind_of(flavour: str, version: str) -> str:
    return "osd" if flavour == "osd" else ("kibana7" if version.startswith("7.") else "kibana8")


def parsed(text: str) -> list[Json]:
    objects = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
        except ValueError as problem:
            raise Refused(400, f"line {number} is no JSON: {problem}") from problem
        if "exportedCount" not in one:
            objects.append(one)
    keys = [(one.get("type"), one.get("id")) for one in objects]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise Refused(400, f"Non-unique import objects detected: {sorted(map(str, twice))}")
    return objects


def errors_of(objects: list[Json], kind: str, there: set[Key]) -> list[Json]:
    """As the API lists them. Refused where it would take nothing at all."""
    found = []
    for one in objects:
        if one["type"] not in MARKS[kind]:
            found.append(error_of(one, {"type": "unsupported_type"}))
    known = [one for one in objects if one["type"] in MARKS[kind]]
    for one in known:
        _check_marks(one, kind)
    keys = there | {(one["type"], one["id"]) for one in known}
    for one in known:
        missing = [each for each in one["references"] if (each["type"], each["id"]) not in keys]
        if missing:
            found.append(error_of(one, {"type": "missing_references", "references": missing}))
            continue
        problem = _strict_problem(one, kind)
        if problem:
            found.append(error_of(one, {"type": "unknown", "message": problem, "statusCode": 400}))
    return found


def error_of(one: Json, error: Json) -> Json:
    title = one.get("attributes", {}).get("title")
    return {"type": one["type"], "id": one["id"], "title": title, "meta": {"title": title}, "error": error}


def _number(version: str) -> tuple[int, ...]:
    if not VERSION.fullmatch(version):
        raise Refused(400, f"Invalid version: {version}")
    return tuple(map(int, version.split(".")))


def _check_marks(one: Json, kind: str) -> None:
    """A mark newer than the server knows has the whole request refused."""
    marks = dict(one.get("migrationVersion", {}))
    if "typeMigrationVersion" in one:
        marks[one["type"]] = one["typeMigrationVersion"]
    for name, mark in marks.items():
        newest = MARKS[kind].get(name)
        if newest is None or _number(mark) > _number(newest):
            last = f"The last known version is [{newest}]"
            raise Refused(422, f'Document "{one["id"]}" belongs to a more recent version of Kibana [{mark}]. {last}.')
    core = one.get("coreMigrationVersion")
    ours = CORE[kind]
    if core and (ours is None or _number(core) > _number(ours)) and kind != "osd":
        raise Refused(
            422, f'Document "{one["id"]}" has a "coreMigrationVersion" which belongs to a more recent version'
        )


def _strict_problem(one: Json, kind: str) -> str | None:
    if kind == "osd" and ("coreMigrationVersion" in one or "typeMigrationVersion" in one):
        return "mapping set to strict, dynamic introduction of [coreMigrationVersion] within [_doc] is not allowed"
    allowed = ATTRIBUTES.get(one["type"])
    if allowed is not None:
        allowed = allowed | MORE_ATTRIBUTES.get(kind, {}).get(one["type"], set())
        for name in one["attributes"]:
            if name not in allowed:
                return f"mapping set to strict, dynamic introduction of [{name}] within [{one['type']}] is not allowed"
    try:
        _look_inside(one, kind)
    except (KeyError, ValueError, TypeError) as problem:
        return f"{type(problem).__name__}: {problem}"
    return None


# What is only found wrong once the dashboard is opened.


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _look_inside(one: Json, kind: str) -> None:
    attributes = one["attributes"]
    _demand(bool(attributes.get("title")), "no title")
    names = [each["name"] for each in one["references"]]
    _demand(len(names) == len(set(names)), "a reference's name is there twice")
    match one["type"]:
        case "dashboard":
            _dashboard(one, kind)
        case "visualization":
            _visualization(one)
        case "lens":
            _lens(one)
        case "search":
            _source(one, attributes)
            _demand(isinstance(attributes["columns"], list) and bool(attributes["sort"]), "no columns or no order")


def _source(one: Json, attributes: Json) -> None:
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    if "indexRefName" in source:
        names = {each["name"]: each["type"] for each in one["references"]}
        _demand(names.get(source["indexRefName"]) == "index-pattern", f"no reference {source['indexRefName']}")
    _demand("index" not in source, "an index by its id instead of a reference")


def _dashboard(one: Json, kind: str) -> None:
    attributes = one["attributes"]
    panels = json.loads(attributes["panelsJSON"])
    json.loads(attributes["optionsJSON"])
    if attributes.get("timeRestore"):
        _demand({"timeFrom", "timeTo"} <= set(attributes), "timeRestore without times")
    references = {each["name"]: each for each in one["references"]}
    used, taken = set(), set()
    for panel in panels:
        grid, index = panel["gridData"], panel["panelIndex"]
        _demand(grid["i"] == index, f"panel {index} has another name in its grid")
        _demand(grid["x"] >= 0 and grid["x"] + grid["w"] <= GRID_COLUMNS and grid["w"] > 0 and grid["h"] > 0, "outside")
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        _demand(not cells & taken, f"panel {index} overlaps another")
        taken |= cells
        if "panelRefName" not in panel:
            _demand(kind != "osd" and "attributes" in panel["embeddableConfig"], f"panel {index} has no object")
            continue
        name = panel["panelRefName"]
        long_name = f"{index}:{name}"
        there = name if kind == "osd" or name in references else long_name
        _demand(there in references, f'Could not find reference "{name}"')
        _demand(panel.get("type", references[there]["type"]) == references[there]["type"], "another type")
        used.add(there)
    if control := attributes.get("controlGroupInput"):
        for id, each in json.loads(control["panelsJSON"]).items():
            _demand(each["explicitInput"]["id"] == id and bool(each["explicitInput"]["fieldName"]), "a control's id")
            name = f"controlGroup_{id}:optionsListDataView"
            _demand(references.get(name, {}).get("type") == "index-pattern", f"no reference {name}")
            used.add(name)
    unused = {name for name, each in references.items() if each["type"] != "tag"} - used
    _demand(not {name for name in unused if "panel_" in name or "controlGroup" in name}, f"{unused} are not used")


def _visualization(one: Json) -> None:
    attributes = one["attributes"]
    _source(one, attributes)
    json.loads(attributes["uiStateJSON"])
    state = json.loads(attributes["visState"])
    _demand(state["type"] in VISUALIZATIONS, f"no such visualization: {state['type']}")
    match state["type"]:
        case "metrics":
            _tsvb(state["params"])
        case "markdown":
            _demand(isinstance(state["params"]["markdown"], str), "no text")
        case "input_control_vis":
            names = {each["name"] for each in one["references"]}
            _demand(
                all(each["indexPatternRefName"] in names for each in state["params"]["controls"]), "a control's view"
            )
        case "timelion" | "vega":
            pass
        case _:
            _aggregations(state, json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]))


def _aggregations(state: Json, source: Json) -> None:
    _demand("indexRefName" in source or "savedSearchRefName" in source, "no index")
    aggs = state["aggs"]
    ids = [each["id"] for each in aggs]
    _demand(len(ids) == len(set(ids)), "two aggregations with one id")
    metrics = {each["id"]: each for each in aggs if each["schema"] == "metric"}
    _demand(bool(metrics), "no metric")
    for each in aggs:
        params = each["params"]
        if each["type"] not in ("count", "filters"):
            _demand(bool(params.get("field")), f"{each['type']} of no field")
        if each["type"] == "percentiles":
            _demand(bool(params["percents"]), "no percents")
        if "json" in params:
            # Both viewers pass over what they cannot parse, and say nothing.
            _demand(isinstance(params["json"], str), "JSON input that is no text")
            _demand(isinstance(json.loads(params["json"]), dict), "JSON input that is no object")
        if each["type"] == "terms" and params["orderBy"] not in ("_key", "custom"):
            id, _, percent = params["orderBy"].partition(".")
            _demand(id in metrics, f"ordered by {params['orderBy']}, which is not there")
            if percent:
                _demand(float(percent) in map(float, metrics[id]["params"]["percents"]), f"no percentile {percent}")
    for each in state["params"].get("seriesParams", []):
        _demand(each["data"]["id"] in metrics, "a series of no metric")


def _tsvb(params: Json) -> None:
    _demand(bool(params["series"]), "no series")
    index = params.get("index_pattern")
    _demand(isinstance(index, str) or params.get("use_kibana_indexes") is True, "TSVB's index is no text")
    for series in params["series"]:
        known: set[str] = set()
        for metric in series["metrics"]:
            _demand(metric["type"] in TSVB_METRICS, f"no such metric: {metric['type']}")
            if metric["type"] in ("derivative", "positive_only"):
                _demand(metric["field"] in known, f"{metric['type']} of {metric['field']}, which is not before it")
            for variable in metric.get("variables") or []:
                _demand(variable["field"] in known, f"no {variable['field']}")
            known.add(metric["id"])
        if series["split_mode"] == "terms":
            _demand(bool(series["terms_field"]), "terms of no field")
            by = series.get("terms_order_by", "_count")
            _demand(by in {*known, "_count", "_key", "_term"}, f"ordered by {by}, which is not there")


def _lens(one: Json) -> None:
    attributes = one["attributes"]
    _demand(attributes["visualizationType"] in LENSES, f"no such Lens: {attributes['visualizationType']}")
    state = attributes["state"]
    layers = state["datasourceStates"]["formBased"]["layers"]
    names = {each["name"]: each["type"] for each in one["references"]}
    known: dict[str, Json] = {}
    for id, layer in layers.items():
        _demand(names.get(f"indexpattern-datasource-layer-{id}") == "index-pattern", f"layer {id} has no view")
        _demand(sorted(layer["columnOrder"]) == sorted(layer["columns"]), "columnOrder is not the columns")
        known |= layer["columns"]
        for column in layer["columns"].values():
            _column(column, layer["columns"])
        bucketed = [layer["columns"][name]["isBucketed"] for name in layer["columnOrder"]]
        _demand(bucketed == sorted(bucketed, reverse=True), "a metric stands before a bucket")
    for accessor in _accessors(state["visualization"]):
        _demand(accessor in known, f"the picture wants {accessor}, which is not there")


def _column(column: Json, columns: Json) -> None:
    operation = column["operationType"]
    _demand(operation in OPERATIONS, f"no such operation: {operation}")
    references = column.get("references", [])
    _demand(set(references) <= set(columns), "a reference to no column")
    if operation in ("counter_rate", "formula", "math"):
        _demand(bool(references), f"{operation} of nothing")
    elif operation != "filters":
        _demand(bool(column.get("sourceField")), f"{operation} of no field")
    if operation == "terms" and column["params"]["orderBy"]["type"] == "column":
        by = column["params"]["orderBy"]["columnId"]
        _demand(by in columns and not columns[by]["isBucketed"], "ordered by no metric")
        _demand("references" not in columns[by], "ordered by what Lens works out itself")
    if operation == "percentile":
        _demand(0 < column["params"]["percentile"] < 100, "no percentile")


def _accessors(visualization: Json) -> Iterator[str]:
    for part in [visualization, *visualization.get("layers", [])]:
        for name in ("xAccessor", "yAccessor", "splitAccessor", "valueAccessor", "metricAccessor"):
            if part.get(name):
                yield part[name]
        yield from part.get("accessors", [])
        yield from part.get("primaryGroups", [])
        yield from part.get("metrics", [])
        yield from (each["columnId"] for each in part.get("columns", []))
        yield from (each["forAccessor"] for each in part.get("yConfig", []))
