"""The import, against an endpoint that is as strict as the two viewers: what is taken, and what each refusal is said as.

The endpoint itself is held to Metricbeat's own published dashboards, which it must take, and to more than twenty kinds of broken
object, which it must not.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboards import strict, translate
from dashboards.strict import MARKS, errors_of, parsed
from dashboards.viewer import Viewer, running
from glassfs.config.model import Elastic
from glassfs.config.secrets import Credentials
from glassfs.elastic.client import Client
from glassfs.elastic.dashboards import bundles, importing
from glassfs.elastic.dashboards.saved import ndjson
from glassfs.errors import BadUsage, GlassfsError, ServerRefused, ServerUnreachable

VIEWERS = [
    ("kibana", "7.17.28", "classic"),
    ("kibana", "8.8.2", "classic"),
    ("kibana", "8.9.0", "lens"),
    ("kibana", "8.19.0", "lens"),
    ("kibana", "9.1.0", "lens"),
    ("osd", "2.19.1", "classic"),
    ("osd", "3.8.0", "classic"),
]


def bring(url: str, space: str | None = None, key: str | None = None, bundle: str | None = None) -> importing.Imported:
    with Client(Elastic(hosts=[url]), Credentials(api_key=key)) as client:
        return importing.bring(client, space, bundle)


@pytest.mark.parametrize(("flavour", "version", "bundle"), VIEWERS)
def test_every_viewer_takes_its_bundle_whole(flavour: str, version: str, bundle: str) -> None:
    with running(Viewer(flavour, version)) as viewer:
        found = bring(viewer.url)
        assert found.bundle == bundle
        assert not found.refused
        assert len(viewer.objects["default"]) == found.objects == len(bundles.objects(bundle))
        assert found.first == f"{viewer.url}/app/dashboards#/view/glassfs-overview"
        assert ("dashboard", "glassfs-overview") in viewer.objects["default"]


def test_kibana_of_today_takes_the_classic_bundle_too() -> None:
    with running(Viewer("kibana", "9.1.0")) as viewer:
        assert not bring(viewer.url, bundle=bundles.CLASSIC).refused


def test_importing_again_changes_nothing() -> None:
    with running(Viewer()) as viewer:
        bring(viewer.url)
        before = copy.deepcopy(viewer.objects)
        bring(viewer.url)
        assert viewer.objects == before
        assert viewer.imports == 2


def test_a_space_is_imported_into_and_stands_in_the_address() -> None:
    with running(Viewer()) as viewer:
        found = bring(viewer.url, "team")
        assert set(viewer.objects) == {"team"}
        assert "/s/team/app/dashboards#/view/" in found.first


def test_a_space_that_does_not_exist_is_said_and_nothing_is_sent() -> None:
    with running(Viewer()) as viewer:
        with pytest.raises(ServerRefused, match="no space 'tema'") as told:
            bring(viewer.url, "tema")
        assert "team" in str(told.value)
        assert viewer.imports == 0


def test_opensearch_dashboards_has_no_spaces() -> None:
    with running(Viewer("osd", "2.19.1")) as viewer, pytest.raises(BadUsage, match="no spaces"):
        bring(viewer.url, "team")


def test_an_api_key_is_sent_and_its_absence_is_said() -> None:
    with running(Viewer(authorization="ApiKey aWQ6a2V5")) as viewer:
        assert not bring(viewer.url, key="id:key").refused
        for wrong in (None, "id:wrong"):
            with pytest.raises(ServerRefused, match="key or"):
                bring(viewer.url, key=wrong)


def test_a_key_without_rights_is_told_which_it_lacks() -> None:
    with running(Viewer(forbidden=True)) as viewer, pytest.raises(ServerRefused, match="not allowed") as told:
        bring(viewer.url)
    assert "Saved Objects Management" in str(told.value)


def test_no_viewer_is_said_with_the_next_step() -> None:
    with pytest.raises(ServerUnreachable) as told:
        bring("http://127.0.0.1:1")
    assert "5601" in str(told.value)


def test_a_cluster_is_no_viewer() -> None:
    with running(Viewer()) as viewer, pytest.raises(ServerRefused, match="no Kibana"):
        bring(f"{viewer.url}/elsewhere")


def test_an_old_viewer_is_refused() -> None:
    with running(Viewer("kibana", "7.10.2")) as viewer, pytest.raises(GlassfsError, match="too old"):
        bring(viewer.url)


def test_an_object_that_a_version_refuses_is_named_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    without = {name: mark for name, mark in MARKS["kibana8"].items() if name != "search"}
    monkeypatch.setitem(MARKS, "kibana8", without)
    with running(Viewer()) as viewer:
        found = bring(viewer.url)
        assert any("The slowest calls" in each.what and "type" in each.why for each in found.refused)
        assert any(each.what == "dashboard [glassfs] Latency" and "not there" in each.why for each in found.refused)
        assert ("dashboard", "glassfs-overview") in viewer.objects["default"]


def test_a_mark_that_is_too_new_costs_only_its_own_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MARKS, "kibana8", {**MARKS["kibana8"], "search": "7.9.3"})
    with running(Viewer()) as viewer:
        found = bring(viewer.url)
        refused = {each.what for each in found.refused}
        assert refused == {"[glassfs] Latency", "[glassfs] Errors"}
        assert all("more recent version" in each.why for each in found.refused)
        assert ("dashboard", "glassfs-overview") in viewer.objects["default"]


@pytest.mark.parametrize("bundle", [bundles.CLASSIC, bundles.LENS])
def test_calls_of_the_totals_are_counted_inside_a_histogram_of_time_or_summed(bundle: str) -> None:
    """Elsewhere Elasticsearch 7.17 may count documents instead (docs/how-to/elasticsearch.md)."""
    objects = translate.by_key(ndjson(bundles.objects(bundle)).splitlines())
    asked = [
        one
        for board in translate.dashboards(objects)
        for _, saved in translate.panels(board, objects)
        for one in translate.questions(saved, objects)
        if one.pattern == "glassfs-totals-*" and any(metric.kind == "count" for metric in one.metrics)
    ]
    assert asked
    assert all(one.buckets[0].kind == "date_histogram" for one in asked)


# The endpoint itself.


def visual(objects: list[dict[str, Any]], title: str) -> dict[str, Any]:
    return next(each for each in objects if each["attributes"]["title"] == title)


def inside(one: dict[str, Any], name: str, change: Callable[[Any], None]) -> None:
    document = json.loads(one["attributes"][name])
    change(document)
    one["attributes"][name] = json.dumps(document)


def board(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return visual(objects, "[glassfs] Overview")


def put(document: Any, *path_and_value: Any) -> None:
    *path, last, value = path_and_value
    for part in path:
        document = document[part]
    document[last] = value


def drop(document: Any, *path: Any) -> None:
    *parents, last = path
    for part in parents:
        document = document[part]
    del document[last]


def layer(objects: list[dict[str, Any]], title: str) -> dict[str, Any]:
    found: dict[str, Any] = visual(objects, title)["attributes"]["state"]["datasourceStates"]["formBased"]["layers"][
        "layer"
    ]
    return found


CLASSIC_BREAKS: dict[str, Callable[[list[dict[str, Any]]], None]] = {
    "a type that is not known": lambda o: put(o[5], "type", "canvas-workpad"),
    "the same object twice": lambda o: o.append(copy.deepcopy(o[5])),
    "a mark that is too new": lambda o: put(visual(o, "Lost"), "migrationVersion", "visualization", "8.5.0"),
    "a mark that is no version": lambda o: put(visual(o, "Lost"), "migrationVersion", "visualization", "new"),
    "a reference to nothing": lambda o: put(board(o), "references", 0, "id", "nowhere"),
    "a panel without its reference": lambda o: drop(board(o), "references", 0),
    "a reference called as Kibana does": lambda o: put(board(o), "references", 0, "name", "0:panel_0"),
    "an attribute that is not known": lambda o: put(board(o), "attributes", "controlGroupInput", {}),
    "a panel over another": lambda o: inside(board(o), "panelsJSON", lambda p: put(p, 1, "gridData", "y", 0)),
    "a panel outside the grid": lambda o: inside(board(o), "panelsJSON", lambda p: put(p, 2, "gridData", "x", 47)),
    "a panel of another type": lambda o: inside(board(o), "panelsJSON", lambda p: put(p, 2, "type", "search")),
    "text that is no JSON": lambda o: put(board(o), "attributes", "panelsJSON", "[{"),
    "a visualization of no type": lambda o: inside(visual(o, "Lost"), "visState", lambda s: put(s, "type", "lens")),
    "an aggregation of no field": lambda o: inside(
        visual(o, "Lost"), "visState", lambda s: drop(s, "aggs", 0, "params", "field")
    ),
    "JSON input that is no JSON": lambda o: inside(
        visual(o, "Median duration"), "visState", lambda s: put(s, "aggs", 0, "params", "json", "{hdr}")
    ),
    "an order by nothing": lambda o: inside(
        visual(o, "Most accessed paths"), "visState", lambda s: put(s, "aggs", -1, "params", "orderBy", "9")
    ),
    "two aggregations of one id": lambda o: inside(
        visual(o, "Most accessed paths"), "visState", lambda s: put(s, "aggs", 1, "id", "1")
    ),
    "an index without its reference": lambda o: put(visual(o, "Lost"), "references", []),
    "a rate of nothing": lambda o: inside(
        visual(o, "Network: sent, bytes a second"),
        "visState",
        lambda s: drop(s, "params", "series", 0, "metrics", 0),
    ),
    "a control without its view": lambda o: put(
        next(each for each in o if each["id"] == "glassfs-overview-controls"), "references", []
    ),
}
LENS_BREAKS: dict[str, Callable[[list[dict[str, Any]]], None]] = {
    "a layer without its view": lambda o: put(visual(o, "Lost"), "references", []),
    "a column that is not in the order": lambda o: layer(o, "Errors and where")["columnOrder"].pop(),
    "a metric before a bucket": lambda o: layer(o, "Errors and where")["columnOrder"].reverse(),
    "an order by what Lens works out": lambda o: put(
        layer(o, "Network: sent, bytes a second"), "columns", "column-2", "params", "orderBy", "columnId", "column-3"
    ),
    "an operation that is not known": lambda o: put(
        layer(o, "Lost"), "columns", "column-1", "operationType", "cardinality"
    ),
    "a picture of no column": lambda o: put(
        visual(o, "Lost"), "attributes", "state", "visualization", "metricAccessor", "column-9"
    ),
    "a control without its view": lambda o: drop(board(o), "references", -1),
    "a core mark that is too new": lambda o: put(visual(o, "Lost"), "coreMigrationVersion", "9.0.0"),
}


def is_refused(objects: list[dict[str, Any]], kind: str) -> bool:
    try:
        return bool(errors_of(parsed(ndjson(objects)), kind, set()))
    except strict.Refused:
        return True


@pytest.mark.parametrize("broken", CLASSIC_BREAKS)
def test_the_endpoint_refuses_in_the_classic_bundle(broken: str) -> None:
    objects = copy.deepcopy(bundles.objects(bundles.CLASSIC))
    assert not is_refused(objects, "osd")
    CLASSIC_BREAKS[broken](objects)
    assert is_refused(objects, "osd")


@pytest.mark.parametrize("broken", LENS_BREAKS)
def test_the_endpoint_refuses_in_the_lens_bundle(broken: str) -> None:
    objects = copy.deepcopy(bundles.objects(bundles.LENS))
    assert not is_refused(objects, "kibana8")
    LENS_BREAKS[broken](objects)
    assert is_refused(objects, "kibana8")


def published() -> list[dict[str, Any]]:
    """Metricbeat's own objects of its system module, from the Go module it is built from here."""
    try:
        said = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    pattern = "github.com/elastic/beats/v7@*/metricbeat/module/system/_meta/kibana/7/*/*.json"
    return [as_imported(json.loads(path.read_text())) for path in Path(said.stdout.strip()).glob(pattern)]


def as_imported(one: dict[str, Any]) -> dict[str, Any]:
    """Metricbeat keeps what is JSON in JSON as objects, and makes texts of them when it sends them."""
    for holder in (one["attributes"], one["attributes"].get("kibanaSavedObjectMeta", {})):
        for name in ("panelsJSON", "optionsJSON", "visState", "uiStateJSON", "searchSourceJSON"):
            if name in holder and not isinstance(holder[name], str):
                holder[name] = json.dumps(holder[name])
    return one


@pytest.mark.slow
def test_the_endpoint_takes_metricbeats_own_dashboards() -> None:
    objects = published()
    if not objects:
        pytest.skip("Metricbeat's Go module is not in the module cache (tests/metricbeat/build.sh brings it)")
    view = {"type": "index-pattern", "id": "metricbeat-*", "attributes": {"title": "metricbeat-*"}, "references": []}
    taken = Viewer("kibana", "7.17.28").take("default", parsed(ndjson([view, *objects])), overwrite=True)
    assert taken["success"], taken["errors"]
    assert sum(each["type"] == "dashboard" for each in objects) >= 3


def test_the_verb_prints_the_address_and_names_what_was_refused(tmp_path: Path) -> None:
    from glassfs.cli.elastic import dashboards as verb

    with running(Viewer("kibana", "7.17.28")) as viewer:
        said = verb.bring(Elastic(), viewer.url, None, quiet=True)
        assert said["first"].startswith(viewer.url)
        assert said["bundle"] == "classic"


def test_both_bundles_are_written_and_the_same_each_time(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in bundles.export(tmp_path / "one")]
    second = [path.read_bytes() for path in bundles.export(tmp_path / "two")]
    assert first == second
    assert sorted(os.listdir(tmp_path / "one")) == ["classic.ndjson", "lens.ndjson"]
