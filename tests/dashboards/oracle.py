"""The same question answered from the trace itself by the query layer's database, in SQL of its own: no shipper, no
server and no dashboard has a part in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import duckdb

from dashboards import kql
from dashboards.questions import Bucket, Metric, Question, Row
from glassfs import errnos
from glassfs.families import Families
from glassfs.query import Reader
from glassfs.trace import Trace

_FAILED = "case when errno = 0 then 'success' else 'failure' end"
# By ECS's words, written down here once more.
_TYPES = """case when op in ('read','open','opendir','readdir','readdirplus','readlink','lookup') then 'access'
    when op in ('write','copy_file_range','fallocate','truncate','chmod','chown','utimens','setattr','setxattr','rename')
    then 'change' when op in ('create','tmpfile','mkdir','mknod','symlink','link') then 'creation'
    when op in ('unlink','rmdir','removexattr') then 'deletion' else 'info' end"""

_EVENTS = f"""
    select 1 as "_doc_count", ts_ns // 1000000 as "@timestamp", duration_ns as "event.duration", op as "event.action",
           {_TYPES} as "event.type", {_FAILED} as "event.outcome", error_name(errno) as "error.code",
           class_of(op) as "glassfs.class", path as "file.path", regexp_extract(path, '([^/]+)$', 1) as "file.name",
           case when path <> '/' then coalesce(nullif(regexp_replace(path, '/[^/]*$', ''), ''), '/') end
               as "file.directory",
           nullif(regexp_extract(path, '/[^/]+\\.([^./]+)$', 1), '') as "file.extension",
           case file_type when 'directory' then 'dir' else file_type end as "file.type",
           pid as "process.pid", tid as "process.thread.id", comm as "process.thread.name", uid::varchar as "user.id",
           "offset" as "glassfs.offset", size as "glassfs.size", family_of(path) as "glassfs.family",
           relation_of(path) as "glassfs.relation",
           case when op in ('read', 'write', 'copy_file_range') then case when errno = 0 then greatest(result, 0) else 0 end
           end as "glassfs.bytes", process_name as "process.name"
    from named_events"""

_TOTALS = f"""
    with summed as (select second_ns, op, errno, kind, sum(count) as calls, sum(bytes) as bytes,
                           sum(duration_ns) as duration_ns, min(min_ns) as low, max(max_ns) as high
                    from totals group by all),
         parts as (select second_ns, op, errno, kind, unnest(bucket_index) as bucket, unnest(bucket_count) as amount
                   from totals),
         buckets as (select second_ns, op, errno, kind, bucket, sum(amount) as amount from parts group by all),
         placed as (select *, row_number() over (partition by second_ns, op, errno, kind order by bucket) as place
                    from buckets)
    select amount as "_doc_count", second_ns // 1000000 as "@timestamp", op as "event.action", {_FAILED} as "event.outcome",
           error_name(errno) as "error.code", class_of(op) as "glassfs.class", bucket as "glassfs.latency.bucket",
           case when place = 1 then calls end as "glassfs.totals.calls",
           case when place = 1 then bytes end as "glassfs.totals.bytes",
           case when place = 1 then duration_ns end as "glassfs.totals.duration_ns",
           case when place = 1 then low end as "glassfs.totals.min_ns",
           case when place = 1 then high end as "glassfs.totals.max_ns"
    from placed join summed using (second_ns, op, errno, kind)"""

# The name of a process is its first thread's, as it was then.
_NAMED = """
    select events.*, coalesce(before.comm, after.comm, regexp_extract(any_row.exe, '([^/]+)$', 1)) as process_name
    from events
    asof left join (select pid, ts_ns, comm from processes where pid = tid) before
        on events.pid = before.pid and events.ts_ns >= before.ts_ns
    left join (select pid, arg_min(comm, ts_ns) as comm from processes where pid = tid group by pid) after
        on events.pid = after.pid
    left join (select pid, any_value(exe) as exe from processes where exe is not null group by pid) any_row
        on events.pid = any_row.pid"""


class Oracle:
    """Over one trace, and (for the machine's panels) documents of any shape."""

    def __init__(self, trace: Path, families: Families) -> None:
        self.connection = duckdb.connect()
        opened = Trace(trace)
        classes = opened.about.class_of_op
        with Reader(opened) as reader:
            self.lost = reader.losses().dropped
            for table in ("events", "totals", "processes"):
                files = [str(opened.segment_path(each)) for each in opened.manifest().segments(table)]
                self.connection.execute(f"create table {table} as from read_parquet(?)", [files])
        paths = [path for (path,) in self.connection.execute("select distinct path from events").fetchall() if path]
        found = {path: families.of(path) for path in paths}
        self._function("error_name", {number: errnos.name_of(number) for number in range(1, 134)}, "INTEGER")
        self._function("class_of", dict(classes), "VARCHAR")
        self._function("family_of", {path: one.family for path, one in found.items()}, "VARCHAR")
        self._function("relation_of", {path: one.relation for path, one in found.items()}, "VARCHAR")
        self.connection.execute(f"create table named_events as {_NAMED}")
        self.connection.execute(f'create table "glassfs-events-*" as {_EVENTS}')
        self.connection.execute(f'create table "glassfs-totals-*" as {_TOTALS}')
        self.connection.execute(
            f'create table "glassfs-traces-*" as select 1 as "_doc_count", {self.lost} as "glassfs.ledger.dropped"'
        )

    def _function(self, name: str, table: dict[Any, Any], kind: str) -> None:
        self.connection.execute(f"create table _{name}(key {kind}, word varchar)")
        self.connection.executemany(
            f"insert into _{name} values (?, ?)", [list(pair) for pair in table.items()] or [[None, None]]
        )
        self.connection.execute(f"create macro {name}(it) as (select word from _{name} where key = it)")

    def add_documents(self, pattern: str, documents: Sequence[dict[str, Any]]) -> None:
        flat = [_flat(each) for each in documents]
        names = sorted({name for each in flat for name in each})
        columns = ", ".join(f'"{name}" {_kind(name, flat)}' for name in names)
        self.connection.execute(f'create or replace table "{pattern}" ("_doc_count" integer, {columns})')
        rows = [[1, *(each.get(name) for name in names)] for each in flat]
        marks = ", ".join("?" * (len(names) + 1))
        self.connection.executemany(f'insert into "{pattern}" values ({marks})', rows)

    def span(self, pattern: str = "glassfs-events-*") -> tuple[int, int]:
        low, high = self.connection.execute(f'select min("@timestamp"), max("@timestamp") from "{pattern}"').fetchall()[
            0
        ]
        return int(low) // 1000 * 1000, int(high) // 1000 * 1000 + 999

    def rows(
        self, question: Question, buckets: Sequence[Bucket], step_ms: int
    ) -> dict[tuple[Any, ...], dict[str, Any]]:
        """By keys: the exact answer to the question with these buckets only."""
        choices = [
            [(None, f"b{place}", _key(bucket, step_ms))]
            if bucket.kind != "filters"
            else [(label, f"'{label}'", kql.to_sql(query)) for label, query in bucket.filters]
            for place, bucket in enumerate(buckets)
        ]
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for chosen in product(*choices):
            found |= self._rows(question, chosen)
        return found

    def _rows(
        self, question: Question, chosen: Sequence[tuple[Any, str, str]]
    ) -> dict[tuple[Any, ...], dict[str, Any]]:
        where = [kql.to_sql(question.query), *(sql for label, _, sql in chosen if label is not None)]
        keys = [sql if label is None else f"'{label}'" for label, _, sql in chosen]
        where += [f"{sql} is not null" for label, _, sql in chosen if label is None]
        metrics = [part for metric in question.metrics for part in _metric(metric)]
        sql = f"""select {", ".join([*keys, 'sum("_doc_count")', *metrics])} from "{question.pattern}"
            where {" and ".join(where)} {"group by " + ", ".join(str(n + 1) for n in range(len(keys))) if keys else ""}"""
        rows = {}
        for row in self.connection.execute(sql).fetchall():
            if not keys or row[len(keys)]:
                rows[tuple(row[: len(keys)])] = _values(question, row[len(keys) + 1 :])
        return rows


def _key(bucket: Bucket, step_ms: int) -> str:
    column = f'"{bucket.field}"'
    if bucket.kind == "date_histogram":
        return f"({column} // {step_ms} * {step_ms})"
    if bucket.kind == "histogram":
        return f"(floor({column} / {bucket.interval}) * {bucket.interval})"
    return column


def _metric(metric: Metric) -> list[str]:
    only = f" filter (where {kql.to_sql(metric.only)})" if metric.only else ""
    column = f'"{metric.field}"'
    match metric.kind:
        case "count":
            return [f'sum("_doc_count"){only}', "null", "null"]
        case "cardinality":
            return [f"count(distinct {column}){only}", "null", "null"]
        case "percentiles":
            assert metric.percent is not None
            place = metric.percent / 100
            ordered = f"list_sort(list({column}){only})"
            size = f"len({ordered})"
            # Without HDR a server's percentiles are right in rank only.
            assert "hdr" in metric.merged, metric
            # A place between two values may be taken for either.
            slack = f"1.0 / greatest(count({column}){only}, 1)"
            places = (f"floor(({place} - {slack}) * ({size} - 1))", f"ceil(({place} + {slack}) * ({size} - 1))")
            ends = [f"{ordered}[greatest(1, least({size}, 1 + {each}::bigint))]" for each in places]
            return [f"quantile_cont({column}, {place}){only}", *ends]
    return [f"{metric.kind}({column}){only}", "null", "null"]


def _values(question: Question, values: Sequence[Any]) -> dict[str, Any]:
    return {metric.id: tuple(values[place * 3 : place * 3 + 3]) for place, metric in enumerate(question.metrics)}


def agree(metric: Metric, said: float | None, exact: tuple[Any, Any, Any]) -> bool:
    """Counts, sums and extremes exactly; averages as near as numbers go; percentiles within 5 %, cardinalities 3 %."""
    value, low, high = exact
    if said is None or value is None:
        return (said or 0) == (value or 0)
    match metric.kind:
        case "percentiles":
            return float(low) * 0.95 <= said <= float(high) * 1.05
        case "cardinality":
            return abs(said - value) <= 0.03 * value
        case "avg":
            return abs(said - float(value)) <= 1e-6 * max(abs(float(value)), 1e-9)
    return abs(said - float(value)) <= 1e-9 * abs(float(value))


def compare(question: Question, answer: Sequence[Row], oracle: Oracle, step_ms: int) -> None:
    exact = oracle.rows(question, question.buckets, step_ms)
    by_id = {metric.id: metric for metric in question.metrics}
    for row in answer:
        assert row.keys in exact, f"{question.panel}: the trace has no {row.keys}"
        for id, metric in by_id.items():
            said, true = row.values[id], exact[row.keys][id]
            assert agree(metric, said, true), f"{question.panel} {row.keys} {metric}: {said}, and the trace says {true}"
    found = {row.keys for row in answer}
    for place, bucket in enumerate(question.buckets):
        _assert_complete(question, place, bucket, found, oracle, step_ms)


def _assert_complete(
    question: Question, place: int, bucket: Bucket, found: set[tuple[Any, ...]], oracle: Oracle, step_ms: int
) -> None:
    """Inside each bucket that was found no value is missing, or (of terms) only such as are below all that are there."""
    level = oracle.rows(question, question.buckets[: place + 1], step_ms)
    there = {keys[: place + 1] for keys in found}
    metric = next((each for each in question.metrics if each.id == bucket.order_by), None)
    for parent in {keys[:place] for keys in there}:
        missing = [keys for keys in level if keys[:place] == parent and keys not in there]
        present = [keys for keys in there if keys[:place] == parent]
        if bucket.kind != "terms":
            # A deeper level may have nothing to show for a value that is only there.
            deeper = {keys[: place + 1] for keys in oracle.rows(question, question.buckets, step_ms)}
            assert not set(missing) & deeper, f"{question.panel}: {missing} are in the trace"
        elif missing and metric and metric.kind not in ("percentiles", "avg"):
            assert len(present) == bucket.size, f"{question.panel}: only {len(present)}, {missing} are not shown"
            least = min(level[keys][metric.id][0] or 0 for keys in present)
            assert max(level[keys][metric.id][0] or 0 for keys in missing) <= least, question.panel


def _flat(document: dict[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        full = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            found |= _flat(value, full)
        elif full == "@timestamp":
            found[full] = _milliseconds(value)
        elif not isinstance(value, list):
            found[full] = value
    return found


def _milliseconds(text: str) -> int:
    seconds, fraction = re.fullmatch(r"(.*?)(?:\.(\d+))?Z", text).groups()  # type: ignore[union-attr]
    from datetime import UTC, datetime

    whole = int(datetime.fromisoformat(seconds).replace(tzinfo=UTC).timestamp())
    return whole * 1000 + int((fraction or "0").ljust(3, "0")[:3])


def _kind(name: str, rows: Sequence[dict[str, Any]]) -> str:
    values = [each[name] for each in rows if each.get(name) is not None]
    if name == "@timestamp" or all(isinstance(each, int) and not isinstance(each, bool) for each in values):
        return "bigint"
    return "double" if all(isinstance(each, int | float) for each in values) else "varchar"
