"""The columns of a Lens layer: buckets first, then metrics with what they are made from."""

from __future__ import annotations

from glassfs.elastic.dashboards.model import Cases, Function, Metric, Ratio, Steps, Terms, Unit
from glassfs.elastic.dashboards.saved import Json, kuery

_FUNCTIONS = {
    Function.COUNT: "count",
    Function.SUM: "sum",
    Function.AVERAGE: "average",
    Function.MINIMUM: "min",
    Function.MAXIMUM: "max",
    Function.UNIQUE: "unique_count",
    Function.RATE: "max",
}
_RECORDS = "___records___"
_DURATION = {"id": "duration", "params": {"fromUnit": "nanoseconds", "toUnit": "asMilliseconds", "decimals": 3}}
_FORMATS: dict[Unit, Json] = {
    Unit.BYTES: {"id": "bytes", "params": {"decimals": 1}},
    Unit.NANOSECONDS: _DURATION,
    Unit.SHARE: {"id": "percent", "params": {"decimals": 1}},
}


class Columns:
    def __init__(self) -> None:
        self._columns: dict[str, Json] = {}
        self._order: list[str] = []

    def orderable(self, metric: str) -> str:
        """What values may be ordered by: the viewer knows no order by what it works out itself, so by what that is
        made from."""
        references = self._columns[metric].get("references")
        return str(references[0]) if references else metric

    def layer(self) -> Json:
        ordered = sorted(self._order, key=lambda id: not self._columns[id]["isBucketed"])
        return {"columnOrder": ordered, "columns": self._columns, "incompleteColumns": {}, "sampling": 1}

    def later(self) -> str:
        """The id of a bucket that needs the metrics' ids, and stands before them."""
        id = f"column-{len(self._order) + 1}"
        self._order.append(id)
        return id

    def _add(self, column: Json, id: str | None = None) -> str:
        id = id or self.later()
        self._columns[id] = {"customLabel": True, **column}
        return id

    def time(self) -> str:
        params = {"interval": "auto", "includeEmptyRows": True, "dropPartials": False}
        column = {"label": "Time", "dataType": "date", "operationType": "date_histogram", "sourceField": "@timestamp"}
        return self._add({**column, "isBucketed": True, "scale": "interval", "params": params})

    def bucket(self, split: Terms | Cases | Steps, metric: str, *, id: str) -> None:
        if isinstance(split, Terms):
            self.terms(split, metric, id=id)
        elif isinstance(split, Cases):
            filters = [{"input": kuery(query), "label": label} for label, query in split.cases]
            column: Json = {"label": split.label, "dataType": "string", "operationType": "filters"}
            self._add({**column, "isBucketed": True, "scale": "ordinal", "params": {"filters": filters}}, id)
        else:
            column = {"label": split.label, "dataType": "number", "operationType": "range", "sourceField": split.field}
            params: Json = {"type": "histogram", "ranges": [], "maxBars": split.parts, "includeEmptyRows": False}
            self._add({**column, "isBucketed": True, "scale": "interval", "params": params}, id)

    def terms(self, split: Terms, metric: str, *, id: str) -> None:
        params: Json = {
            "size": split.size,
            "orderBy": {"type": "column", "columnId": metric},
            "orderDirection": "desc",
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        }
        kind = "number" if split.is_number else "string"
        column = {"label": split.label, "dataType": kind, "operationType": "terms", "sourceField": split.field}
        self._add({**column, "isBucketed": True, "scale": "ordinal", "params": params}, id)

    def metric(self, metric: Metric | Ratio) -> str:
        if isinstance(metric, Ratio):
            return self._ratio(metric)
        if metric.function is Function.RATE:
            return self._rate(metric)
        return self._add(_plain(metric))

    def _rate(self, metric: Metric) -> str:
        id = self.later()
        below = self._add({**_plain(metric), "label": f"Maximum of {metric.field}"})
        column = {"label": metric.label, "operationType": "counter_rate", "references": [below], "timeScale": "s"}
        params = {"format": _FORMATS[metric.unit]} if metric.unit in _FORMATS else {}
        return self._add({**_NUMBER, **column, "params": params}, id)

    def _ratio(self, ratio: Ratio) -> str:
        id = self.later()
        formula = f"{_spelt(ratio.above)} / {_spelt(ratio.below)}"
        part = {"label": f"Part of {ratio.label}"}
        above = self._add({**_plain(ratio.above), **part}, self._part(id, 0))
        below = self._add({**_plain(ratio.below), **part}, self._part(id, 1))
        tree: Json = {"type": "function", "name": "divide", "args": [above, below]}
        tree |= {"location": {"min": 0, "max": len(formula)}, "text": formula}
        column: Json = {"operationType": "math", "params": {"tinymathAst": tree}, "references": [above, below]}
        math = self._add({**_NUMBER, **part, **column}, self._part(id, 2))
        params: Json = {"formula": formula, "isFormulaBroken": False}
        if ratio.unit in _FORMATS:
            params["format"] = _FORMATS[ratio.unit]
        whole = {"label": ratio.label, "operationType": "formula", "params": params, "references": [math]}
        return self._add({**_NUMBER, **whole}, id)

    def _part(self, id: str, number: int) -> str:
        """Lens's own names for what a formula is made from."""
        name = f"{id}X{number}"
        self._order.append(name)
        return name


_NUMBER: Json = {"dataType": "number", "isBucketed": False, "scale": "ratio"}


def _plain(metric: Metric) -> Json:
    params: Json = {"emptyAsNull": metric.function in (Function.COUNT, Function.SUM, Function.UNIQUE)}
    if metric.unit in _FORMATS:
        params["format"] = _FORMATS[metric.unit]
    column: Json = {
        **_NUMBER,
        "label": metric.label,
        "operationType": _FUNCTIONS[metric.function],
        "sourceField": metric.field or _RECORDS,
        "params": params,
    }
    if metric.only:
        column["filter"] = kuery(metric.only)
    return column


def _spelt(metric: Metric) -> str:
    """As a person would type it into the formula."""
    said = [metric.field] if metric.field else []
    said += [f"kql='{metric.only}'"] if metric.only else []
    return f"{_FUNCTIONS[metric.function]}({', '.join(said)})"
