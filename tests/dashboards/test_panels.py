"""Every panel's question, read from the saved panel, asked of a real server that holds a real trace: what it would show
is what the trace says, and it shows something."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dashboards import machine_samples, previews, translate
from dashboards.oracle import Oracle, compare
from dashboards.questions import Bucket, Metric, Question, Row, rows_of, search_body, steps
from glassfs import families
from glassfs.families import Families
from glassfs.query import Reader
from glassfs.trace import Trace
from support import databases, recorder
from support.builds import has
from support.servers import RealServer

sys.path.append(str(Path(__file__).parents[1] / "elastic"))
import shipping
from shipping import set_up, settings, ship

from glassfs.elastic.dashboards import bundles

pytestmark = [pytest.mark.root, pytest.mark.mount, pytest.mark.deadline(500)]

SAMPLES_EVERY_S = 1.0
PROCESSES = ("db_bench", "postgres", "glassfs-recorder", "java")
BOARDS_OF = {"rocksdb": "glassfs-rocksdb", "postgresql": "glassfs-postgresql"}
SYSTEM = "glassfs-system"
MACHINE = "metricbeat-*"
# Rates of counters, which need two steps of time to be one.
STEPS = 12
SHIPPED_IN_S = 300
# Where the databases' folders lie: a picture to be kept shows somebody's home instead.
SCRATCH = re.compile(r"/var/tmp/gt-\d+")


@dataclass
class Loaded:
    """A server that holds one trace and what the machine did meanwhile, and what the trace says."""

    server: RealServer
    database: str
    trace: Path
    oracle: Oracle

    def search(self, pattern: str, body: dict[str, Any]) -> dict[str, Any]:
        return self.server.ask("POST", f"/{pattern}/_search", {"track_total_hits": True, **body})


@pytest.fixture(scope="module")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, translate.Objects]:
    written = bundles.export(tmp_path_factory.mktemp("bundles"))
    return {path.stem: translate.by_key(path.read_text().splitlines()) for path in written}


@dataclass
class Traced:
    """A real trace, the families of its paths, and the sampler's documents of the same time."""

    database: str
    trace: Path
    families: Families
    machine: machine_samples.Documents


@pytest.fixture(scope="module", params=databases.NAMES)
def traced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    state = tmp_path_factory.mktemp("state")
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(state)
    try:
        with ExitStack() as stack:
            with machine_samples.sampling(SAMPLES_EVERY_S) as samples:
                trace = stack.enter_context(databases.traced(request.param))
            yield Traced(request.param, trace, families.load({}), samples)
    finally:
        os.environ.pop("XDG_STATE_HOME")
        if before is not None:
            os.environ["XDG_STATE_HOME"] = before


@pytest.fixture(scope="module")
def loaded(running_server: RealServer, traced: Traced, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    running_server.forget_everything()
    set_up(running_server)
    # A whole database's calls, not a few thousand, on a machine that may be busy.
    shipping.SHIPPED_IN_S = SHIPPED_IN_S
    ship(settings(running_server.url, retention_days=3650), traced.trace, tmp_path_factory.mktemp("shipping"))
    machine_samples.index(running_server, "metricbeat-glassfs-default-2026.11.24", shown_of(traced.machine))
    running_server.ask("POST", "/glassfs-*/_refresh")
    return Loaded(running_server, traced.database, traced.trace, Oracle(traced.trace, traced.families))


def shown_of(documents: machine_samples.Documents) -> machine_samples.Documents:
    """Without whatever else this machine happens to run and to mount: a picture of it may be kept."""
    return [
        each
        for each in documents
        if each.get("process", {}).get("name", "db_bench") in PROCESSES
        and each.get("system", {}).get("filesystem", {}).get("mount_point", "/") == "/"
    ]


def boards(loaded: Loaded, objects: translate.Objects) -> Iterator[dict[str, Any]]:
    """Those that this trace has something for."""
    others = {board for name, board in BOARDS_OF.items() if name != loaded.database}
    for dashboard in translate.dashboards(objects):
        if dashboard["id"] not in {SYSTEM, *others}:
            yield dashboard


def questions(dashboard: dict[str, Any], objects: translate.Objects) -> Iterator[Question]:
    for _, saved in translate.panels(dashboard, objects):
        yield from translate.questions(saved, objects)


def asked(loaded: Loaded, question: Question) -> None:
    span = loaded.oracle.span(question.pattern) if question.time_field else (0, 0)
    step_ms = max(1000, (span[1] - span[0]) // STEPS // 1000 * 1000)
    question = steps(loaded.search, question, span)
    answer = loaded.search(question.pattern, search_body(question, span, step_ms))
    if question.documents:
        assert 0 < len(answer["hits"]["hits"]) <= 500, question.panel
        assert_documents(loaded, question, answer["hits"]["hits"])
        return
    rows = rows_of(question, answer)
    assert_shows_something(question, rows)
    compare(question, rows, loaded.oracle, step_ms)


def assert_shows_something(question: Question, rows: list[Row]) -> None:
    assert rows, f"{question.panel} would be empty"
    values = [value for row in rows for value in row.values.values() if value is not None]
    assert values, f"{question.panel} would be empty"
    assert question.may_be_zero or any(values), f"{question.panel} would show nothing but 0"


def assert_documents(loaded: Loaded, question: Question, hits: list[dict[str, Any]]) -> None:
    """The highest of what they are sorted by, and every column is there in some."""
    column = question.sort
    best = loaded.oracle.rows(Question("", question.pattern, None, question.query, (), ()), (), 1000)
    assert best is not None
    from dashboards import kql

    sql = f'select "{column}" from "{question.pattern}" where {kql.to_sql(question.query)} order by 1 desc limit {len(hits)}'
    exact = [value for (value,) in loaded.oracle.connection.execute(sql).fetchall()]
    said = [
        hit["sort"][0] // 1_000_000 if column == "@timestamp" and hit["sort"][0] > 1e15 else hit["sort"][0]
        for hit in hits
    ]
    assert said == exact, question.panel
    for name in question.columns:
        assert any(value_at(hit["_source"], name) is not None for hit in hits), f"{question.panel}: no {name}"


def value_at(document: Any, name: str) -> Any:
    for part in name.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


@pytest.mark.parametrize("bundle", ["classic", "lens"])
def test_each_panel_shows_what_the_trace_says(
    loaded: Loaded, bundle_of: dict[str, translate.Objects], bundle: str
) -> None:
    objects = bundle_of[bundle]
    wrong = []
    count = 0
    for dashboard in boards(loaded, objects):
        for question in questions(dashboard, objects):
            count += 1
            try:
                asked(loaded, question)
            except AssertionError as problem:
                wrong.append(f"{dashboard['id']}: {str(problem).splitlines()[0]}")
    assert count > 80
    assert not wrong, "\n".join(wrong)


def test_the_figures_are_those_of_the_report(loaded: Loaded, bundle_of: dict[str, translate.Objects]) -> None:
    """The same again by the query layer's own answers, for what a person looks at first."""
    objects = bundle_of["classic"]
    by_title = {
        question.panel: question for board in translate.dashboards(objects) for question in questions(board, objects)
    }

    def answer(title: str) -> list[Row]:
        question = by_title[title]
        span = loaded.oracle.span(question.pattern) if question.time_field else (0, 0)
        return rows_of(question, loaded.search(question.pattern, search_body(question, span, 1000)))

    with Reader(Trace(loaded.trace)) as reader:
        summary = reader.summary()
        assert only(answer("Calls")) == summary.stored_count
        assert only(answer("Calls (exact)")) == summary.count
        assert only(answer("Lost")) == summary.losses.dropped
        ops = {row.name: row for row in reader.ops()}
        for row in answer("Types of calls"):
            assert row.values["1"] == ops[row.keys[0]].count
            assert row.values["2"] == ops[row.keys[0]].time_ns
        shown = {row.keys[0]: row.values["1"] for row in answer("Most accessed paths")}
        exact = {row.path: row.count for row in reader.files(limit=1000)}
        assert shown == {path: exact[path] for path in shown}
        assert sorted(shown.values(), reverse=True) == sorted(exact.values(), reverse=True)[: len(shown)]
        failed: dict[str, int] = {}
        for error in reader.errors(limit=1000):
            failed[error.errno_name] = failed.get(error.errno_name, 0) + error.count
        assert {row.keys[0]: row.values["1"] for row in answer("Errors (exact)")} == failed


def only(rows: list[Row]) -> float | None:
    ((value,),) = [tuple(row.values.values()) for row in rows]
    return value


def test_every_field_of_a_panel_is_one_the_server_can_search_and_sum(
    loaded: Loaded, bundle_of: dict[str, translate.Objects]
) -> None:
    known: dict[str, dict[str, Any]] = {}
    for objects in bundle_of.values():
        for dashboard in boards(loaded, objects):
            for question in questions(dashboard, objects):
                if question.pattern not in known:
                    known[question.pattern] = loaded.server.ask("GET", f"/{question.pattern}/_field_caps?fields=*")[
                        "fields"
                    ]
                wanted = [
                    *(metric.field for metric in question.metrics),
                    *(bucket.field for bucket in question.buckets),
                ]
                for name in (each for each in wanted if each):
                    (caps,) = known[question.pattern][name].values()
                    assert caps["aggregatable"], f"{question.panel}: {name}"


def ask(loaded: Loaded, question: Question) -> tuple[Question, list[Row]]:
    """As a dashboard does: all of it in one span of time."""
    span = loaded.oracle.span()
    step_ms = max(1000, (span[1] - span[0]) // (5 * STEPS) // 1000 * 1000)
    question = steps(loaded.search, question, span)
    answer = loaded.search(question.pattern, search_body(question, span, step_ms))
    if question.documents:
        return as_table(question, answer["hits"]["hits"])
    return question, rows_of(question, answer)


def as_table(question: Question, hits: list[dict[str, Any]]) -> tuple[Question, list[Row]]:
    """Single documents with their columns side by side, and at the right what they are sorted by if that is a number."""
    names = [name for name in question.columns if name != question.sort]
    buckets = tuple(Bucket(name, "terms", label=name) for name in names)
    metrics = (Metric("value", "max", question.sort, label=question.sort),) if question.sort in question.columns else ()
    made = Question(question.panel, question.pattern, None, "", buckets, metrics, look="table")
    found = [(tuple(value_at(hit["_source"], name) or "-" for name in names), hit["sort"][0]) for hit in hits]
    return made, [Row(keys, {"value": value}) for keys, value in found]


def draw(loaded: Loaded, dashboard: dict[str, Any], objects: translate.Objects, folder: Path) -> Path:
    panels = []
    for panel, saved in translate.panels(dashboard, objects):
        found = [ask(loaded, question) for question in translate.questions(saved, objects)]
        for row in (row for _, rows in found for row in rows):
            row.keys = tuple(SCRATCH.sub("/home/ana", key) if isinstance(key, str) else key for key in row.keys)
        panels.append((panel["gridData"], saved["attributes"]["title"], found or words_of(saved)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dashboard['id'].removeprefix('glassfs-')}.svg"
    path.write_text(previews.svg(dashboard["attributes"]["title"], panels))
    return path


def words_of(saved: dict[str, Any]) -> str:
    params = json.loads(saved["attributes"]["visState"])["params"]
    said: str = params.get("markdown", "")
    return said or ", ".join(f"{control['label']}: all" for control in params["controls"])


def test_each_dashboard_can_be_drawn(loaded: Loaded, bundle_of: dict[str, translate.Objects], tmp_path: Path) -> None:
    """GLASSFS_PREVIEWS=1 keeps what was drawn in docs/previews."""
    keep = bool(os.environ.get("GLASSFS_PREVIEWS"))
    folder = recorder.REPOSITORY / "docs/previews" if keep else tmp_path
    for dashboard in boards(loaded, bundle_of["lens"]):
        if keep and loaded.database == "postgresql" and dashboard["id"] != BOARDS_OF["postgresql"]:
            continue
        assert_is_a_picture(draw(loaded, dashboard, bundle_of["lens"], folder))
    if has(loaded.server.version)["derivative"] and not (keep and loaded.database == "postgresql"):
        # Of rates Lens asks for the counters only, and works out the rest.
        classic = bundle_of["classic"]
        (system,) = (each for each in translate.dashboards(classic) if each["id"] == SYSTEM)
        assert_is_a_picture(draw(loaded, system, classic, folder))


def assert_is_a_picture(drawn: Path) -> None:
    assert "<polyline" in drawn.read_text()
    ElementTree.fromstring(drawn.read_text())


TAMPERED = {
    "another query": {"query": "glassfs.class: write"},
    "another field": {"metrics": (Metric("1", "sum", "glassfs.bytes"),)},
    "another split": {"buckets": (Bucket("b2", "terms", "glassfs.class", 12, "1"),)},
    "a value left out": {"buckets": (Bucket("b2", "terms", "event.action", 2, "1"),)},
}


@pytest.mark.parametrize("wrong", TAMPERED)
def test_an_answer_to_another_question_does_not_pass(
    loaded: Loaded, bundle_of: dict[str, translate.Objects], wrong: str
) -> None:
    objects = bundle_of["classic"]
    panel = "Types of calls, by time"
    found = [one for board in translate.dashboards(objects) for one in questions(board, objects) if one.panel == panel]
    (question,) = found
    span = loaded.oracle.span(question.pattern)
    tampered = Question(**{**vars(question), **TAMPERED[wrong]})
    right = loaded.search(question.pattern, search_body(question, span, 1000))
    compare(question, rows_of(question, right), loaded.oracle, 1000)
    other = loaded.search(question.pattern, search_body(tampered, span, 1000))
    with pytest.raises(AssertionError):
        compare(question, rows_of(tampered, other), loaded.oracle, 1000)
