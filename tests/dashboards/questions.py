"""What a saved panel asks, in the words of a search: buckets inside buckets, metrics at the leaves.

As `translate` reads it from the saved object; asked of a server as a `_search`, and of a trace in SQL by `oracle`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dashboards import kql

Json = dict[str, Any]
Search = Callable[[str, Json], Json]


@dataclass(frozen=True)
class Metric:
    """`kind` as the server calls it. `only`: a filter around it. `more`: JSON that is merged into the aggregation."""

    id: str
    kind: str
    field: str | None = None
    percent: float | None = None
    only: str = ""
    more: str = ""
    label: str = ""

    @property
    def merged(self) -> Json:
        found: Json = json.loads(self.more or "{}")
        return found


@dataclass(frozen=True)
class Bucket:
    id: str
    kind: str
    field: str | None = None
    size: int = 0
    order_by: str = ""
    filters: tuple[tuple[str, str], ...] = ()
    parts: int = 0
    interval: float = 0
    label: str = ""


@dataclass(frozen=True)
class Question:
    """`growth`: metrics that are the growth of another one a second. `may_be_zero`: the panel watches for what should
    not be. `ratios`: a label, and the metrics above and below the line. `look`: line, area, bar, ring, table, heat or number."""

    panel: str
    pattern: str
    time_field: str | None
    query: str
    buckets: tuple[Bucket, ...]
    metrics: tuple[Metric, ...]
    growth: tuple[tuple[str, str], ...] = ()
    may_be_zero: bool = False
    documents: int = 0
    columns: tuple[str, ...] = ()
    sort: str = ""
    ratios: tuple[tuple[str, str, str], ...] = ()
    look: str = ""


@dataclass
class Row:
    """One leaf: its keys from the outside in, and its values by metric."""

    keys: tuple[Any, ...]
    values: dict[str, float | None] = field(default_factory=dict)


def search_body(question: Question, span: tuple[int, int], step_ms: int) -> Json:
    """`span`: of time, in milliseconds, both included."""
    body: Json = {"size": question.documents, "query": narrowed(question, span)}
    if question.documents:
        body |= {"_source": list(question.columns), "sort": [{question.sort: "desc"}]}
    else:
        body["aggs"] = _aggregations(question, list(question.buckets), step_ms)
    return body


def narrowed(question: Question, span: tuple[int, int]) -> Json:
    filters = [kql.to_query(question.query)]
    if question.time_field:
        between = {"gte": span[0], "lte": span[1], "format": "epoch_millis"}
        filters.append({"range": {question.time_field: between}})
    return {"bool": {"filter": filters}}


def _aggregations(question: Question, buckets: list[Bucket], step_ms: int) -> Json:
    if buckets:
        first, *rest = buckets
        inside = _aggregations(question, rest, step_ms)
        if first.kind == "terms" and first.order_by:
            inside |= _metrics(question, only={first.order_by})
        return {first.id: {**_bucket(question, first, step_ms), "aggs": inside}}
    return _metrics(question) | {
        id: {"derivative": {"buckets_path": of, "unit": "1s", "gap_policy": "skip"}} for id, of in question.growth
    }


def _bucket(question: Question, bucket: Bucket, step_ms: int) -> Json:
    match bucket.kind:
        case "date_histogram":
            # A rate's steps of time are all wanted; empty ones are left out of the answer here.
            least = 0 if question.growth else 1
            how = {"field": bucket.field, "fixed_interval": f"{step_ms}ms", "min_doc_count": least, "time_zone": "UTC"}
            return {"date_histogram": how}
        case "terms":
            metric = next((each for each in question.metrics if each.id == bucket.order_by), None)
            return {"terms": {"field": bucket.field, "size": bucket.size, "order": {_order(metric): "desc"}}}
        case "filters":
            return {"filters": {"filters": {label: kql.to_query(query) for label, query in bucket.filters}}}
        case "histogram":
            return {"histogram": {"field": bucket.field, "interval": bucket.interval, "min_doc_count": 1}}
    raise AssertionError(f"no such bucket: {bucket.kind}")


def _order(metric: Metric | None) -> str:
    if metric is None or metric.kind == "count":
        return "_count"
    path = f"{metric.id}-only>{metric.id}" if metric.only else _named(metric)
    return f"{path}.{metric.percent:g}" if metric.kind == "percentiles" else path


def _named(metric: Metric) -> str:
    """Percentiles of one field are one aggregation in both viewers."""
    return (
        f"percentiles-{(metric.field or '').replace(chr(46), chr(45))}"
        if metric.kind == "percentiles" and not metric.only
        else metric.id
    )


def _metrics(question: Question, only: set[str] | None = None) -> Json:
    found: Json = {}
    for metric in question.metrics:
        if only is not None and metric.id not in only:
            continue
        if metric.kind == "count":
            if metric.only:
                found[f"{metric.id}-only"] = {"filter": kql.to_query(metric.only)}
            continue
        name = _named(metric)
        inside: Json = {name: {metric.kind: {"field": metric.field, **metric.merged}}}
        if metric.kind == "percentiles":
            before = found.get(name, {}).get("percentiles", {}).get("percents", [])
            inside[name]["percentiles"]["percents"] = [*before, metric.percent]
        found |= {f"{metric.id}-only": {"filter": kql.to_query(metric.only), "aggs": inside}} if metric.only else inside
    return found


def steps(search: Search, question: Question, span: tuple[int, int]) -> Question:
    """With the width of its histograms, which the viewers find from the lowest and highest value first."""
    if not any(bucket.kind == "histogram" for bucket in question.buckets):
        return question
    buckets = []
    for bucket in question.buckets:
        if bucket.kind == "histogram":
            ends = {name: {name: {"field": bucket.field}} for name in ("min", "max")}
            body = {"size": 0, "query": narrowed(question, span), "aggs": ends}
            found = search(question.pattern, body)["aggregations"]
            width = (found["max"]["value"] or 0) - (found["min"]["value"] or 0)
            bucket = Bucket(**{**vars(bucket), "interval": nice_step(width, bucket.parts)})
        buckets.append(bucket)
    return Question(**{**vars(question), "buckets": tuple(buckets)})


def nice_step(width: float, parts: int) -> float:
    """1, 2 or 5 times a power of ten, at most `parts` of them."""
    exact = max(width, 1) / max(parts, 1)
    power = 10 ** math.floor(math.log10(exact)) if exact >= 1 else 1
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= exact)


def rows_of(question: Question, answer: Json) -> list[Row]:
    return list(_rows(question, list(question.buckets), answer.get("aggregations", {}), (), answer))


def _rows(question: Question, buckets: list[Bucket], level: Json, keys: tuple[Any, ...], whole: Json) -> Iterator[Row]:
    if not buckets:
        yield Row(
            keys, {metric.id: _value(metric, level, whole) for metric in question.metrics} | _growth(question, level)
        )
        return
    first, *rest = buckets
    found = level[first.id]["buckets"]
    pairs = found.items() if isinstance(found, dict) else ((each["key"], each) for each in found)
    for key, inside in pairs:
        if inside["doc_count"]:
            yield from _rows(question, rest, inside, (*keys, key), inside)


def _growth(question: Question, level: Json) -> dict[str, float | None]:
    return {id: level.get(id, {}).get("normalized_value") for id, _ in question.growth}


def _value(metric: Metric, level: Json, whole: Json) -> float | None:
    if metric.only:
        level = whole = level[f"{metric.id}-only"]
    if metric.kind == "count":
        return whole["doc_count"] if "doc_count" in whole else whole["hits"]["total"]["value"]
    if metric.kind == "percentiles":
        return level[_named(metric)]["values"][f"{float(metric.percent or 0)}"]
    return level[metric.id]["value"]
