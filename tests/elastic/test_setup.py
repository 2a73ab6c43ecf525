"""`setup` on real servers: what it makes, that a second time changes nothing, and what is in its way."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from glassfs.elastic import indices, setup, templates
from glassfs.elastic.client import Client
from glassfs.errors import GlassfsError
from support.servers import RealServer

GLASSFS = Path(sys.executable).parent / "glassfs"
NS = "default"
DAY = 1_700_000_000_123_456_789
EVENT = {"@timestamp": "2023-11-14T22:13:20.123456789Z", "file": {"path": "/data/a/b.txt"}, "event": {"action": "read"}}


def set_up(client: Client, namespace: str = NS) -> list[str]:
    planned = setup.plan(client, namespace, 7)
    return [step.state for step in setup.apply(client, planned)]


def run(server: RealServer, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [GLASSFS, "elastic", *words, "--set", f"elastic.hosts={server.url}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def put(server: RealServer, index: str, ident: str, document: dict[str, Any]) -> int:
    return server.try_to("PUT", f"/{index}/_create/{ident}?refresh=true", document)[0]


def test_a_second_setup_finds_everything_and_sends_nothing(server: RealServer) -> None:
    first, second = run(server, "setup"), run(server, "setup")
    assert [line.split()[0] for line in first.stdout.splitlines()] == ["made"] * 4
    assert [line.split()[0] for line in second.stdout.splitlines()] == ["found"] * 4


def test_a_dry_run_prints_the_requests_and_sends_none(server: RealServer) -> None:
    said = run(server, "setup", "--dry-run").stdout
    assert not [t for t in server.ask("GET", "/_index_template")["index_templates"] if "glassfs" in t["name"]]
    for request in said.strip().split("\n\n"):
        line, _, body = request.partition("\n")
        method, path = line.split()
        server.ask(method, path, json.loads(body))
    assert run(server, "setup").stdout.count("found") == 4, "what was printed is exactly what setup wants"


def test_setup_says_what_the_server_lacks_and_that_nothing_will_be_deleted(server: RealServer) -> None:
    said = run(server, "setup").stderr
    assert "nothing will be deleted by itself" in said and "glassfs elastic prune" in said
    minimal = server.version == "elasticsearch-7.17.28"
    assert ("path_hierarchy" in said) == minimal
    assert ("wildcard" in said) == server.is_elasticsearch


def test_retention_in_json_says_who_deletes(server: RealServer) -> None:
    answer = json.loads(run(server, "setup", "--json").stdout)
    assert answer["lifecycle"] is None and answer["namespace"] == NS
    assert {step["state"] for step in answer["steps"]} == {"made"}


def test_an_event_index_has_the_types_of_the_table(server: RealServer, client: Client) -> None:
    set_up(client)
    index = indices.events(NS, DAY)
    assert put(server, index, "t-0-1", EVENT) == 201
    assert put(server, index, "t-0-1", EVENT) == 409, "the same event twice"
    mappings = server.ask("GET", f"/{index}/_mapping")[index]["mappings"]
    assert mappings["_meta"]["managed_by"] == "glassfs"
    assert mappings["properties"]["@timestamp"]["type"] == "date_nanos"
    assert mappings["properties"]["file"]["properties"]["inode"]["type"] == "keyword"
    assert list(server.ask("GET", f"/{indices.alias('events', NS)}/_alias")) == [index], "the alias of the template"


def test_whole_numbers_above_two_to_the_53_come_back_exact_and_are_summed_exactly(
    server: RealServer, client: Client
) -> None:
    set_up(client)
    index, large = indices.events(NS, DAY), (1 << 62) + 1
    inode = str((1 << 64) - 1)
    document = {**EVENT, "glassfs": {"offset": large}, "file": {"path": "/x", "inode": inode}}
    assert put(server, index, "t-0-1", document) == 201
    hits = server.ask("POST", f"/{index}/_search", {"query": {"term": {"glassfs.offset": large}}})["hits"]["hits"]
    assert [hit["_source"]["glassfs"]["offset"] for hit in hits] == [large]
    off_by_one = {"query": {"term": {"glassfs.offset": large - 1}}}
    assert not server.ask("POST", f"/{index}/_search", off_by_one)["hits"]["hits"]
    assert server.ask("POST", f"/{index}/_search", {"query": {"term": {"file.inode": inode}}})["hits"]["hits"]


def test_nanoseconds_order_two_calls_of_one_microsecond(server: RealServer, client: Client) -> None:
    set_up(client)
    index = indices.events(NS, DAY)
    for number, ns in ((1, "000000002"), (2, "000000001")):
        assert put(server, index, f"t-0-{number}", {**EVENT, "@timestamp": f"2023-11-14T22:13:20.{ns}Z"}) == 201
    found = server.ask("POST", f"/{index}/_search", {"sort": [{"@timestamp": "asc"}]})["hits"]["hits"]
    assert [hit["_id"] for hit in found] == ["t-0-2", "t-0-1"]


def test_a_path_of_four_thousand_characters_is_found(server: RealServer, client: Client) -> None:
    set_up(client)
    path = "/" + "/".join(["d" * 200] * 20)
    assert put(server, indices.events(NS, DAY), "t-0-1", {**EVENT, "file": {"path": path}}) == 201
    found = server.ask("POST", f"/{indices.alias('events', NS)}/_search", {"query": {"term": {"file.path": path}}})
    assert len(found["hits"]["hits"]) == 1


def test_a_folder_finds_all_below_it_where_the_server_can(server: RealServer, client: Client) -> None:
    set_up(client)
    planned = setup.plan(client, NS, 7)
    index = indices.events(NS, DAY)
    for number, path in enumerate(["/data/a/b.txt", "/data/ab.txt", "/data/a/c/d"]):
        assert put(server, index, f"t-0-{number}", {**EVENT, "file": {"path": path}}) == 201
    if any("path_hierarchy" in missing for missing in planned.missing):
        query: dict[str, Any] = {"prefix": {"file.path": "/data/a/"}}
    else:
        query = {"term": {"file.path.tree": "/data/a"}}
    found = server.ask("POST", f"/{index}/_search", {"query": query})["hits"]["hits"]
    assert sorted(hit["_id"] for hit in found) == ["t-0-0", "t-0-2"]


def test_an_unknown_field_neither_maps_itself_nor_is_refused_but_labels_do(server: RealServer, client: Client) -> None:
    set_up(client)
    index = indices.events(NS, DAY)
    assert put(server, index, "t-0-1", {**EVENT, "glassfs": {"of_tomorrow": 1}, "labels": {"team": "7"}}) == 201
    mappings = server.ask("GET", f"/{index}/_mapping")[index]["mappings"]["properties"]
    assert "of_tomorrow" not in mappings["glassfs"]["properties"]
    assert mappings["labels"]["properties"]["team"]["type"] == "keyword"


def test_doc_count_makes_one_document_a_bucket_count_as_many_calls(server: RealServer, client: Client) -> None:
    set_up(client)
    index = indices.totals(NS, DAY)
    for number, calls in enumerate([5, 7]):
        document = {**EVENT, "_doc_count": calls, "glassfs": {"latency": {"bucket": number, "le_ns": 2.0**number}}}
        assert put(server, index, f"b{number}", document) == 201
    ask = {"size": 0, "aggs": {"ops": {"terms": {"field": "event.action"}}}}
    buckets = server.ask("POST", f"/{index}/_search", ask)["aggregations"]["ops"]["buckets"]
    assert [(bucket["key"], bucket["doc_count"]) for bucket in buckets] == [("read", 12)]


def test_the_samplers_fractions_stay_fractions_after_a_whole_first_value(server: RealServer, client: Client) -> None:
    set_up(client)
    index = indices.sampler(NS, DAY)
    for number, share in enumerate([0, 0.0467]):
        document = {
            "@timestamp": "2023-11-14T22:13:20.123Z",
            "system": {"cpu": {"user": {"pct": share}, "cores": 2}, "load": {"1": share, "norm": {"1": share}}},
        }
        assert put(server, index, f"s{number}", document) == 201
    fields = ("system.cpu.user.pct", "system.load.1", "system.load.norm.1")
    ask = {"size": 0, "aggs": {name: {"max": {"field": name}} for name in fields}}
    answers = server.ask("POST", f"/{index}/_search", ask)["aggregations"]
    assert {answers[name]["value"] for name in fields} == {0.0467}
    cores = server.ask("GET", f"/{index}/_mapping")[index]["mappings"]["properties"]["system"]["properties"]["cpu"]
    assert cores["properties"]["cores"]["type"] == "long"


def test_metricbeats_data_views_find_the_samplers_index_and_its_template_is_left_alone(
    server: RealServer, client: Client
) -> None:
    metricbeats = {"index_patterns": ["metricbeat-*"], "priority": 150, "template": {"mappings": {"_meta": {"x": 1}}}}
    server.ask("PUT", "/_index_template/metricbeat", metricbeats)
    set_up(client)
    assert put(server, indices.sampler(NS, DAY), "s0", {"@timestamp": "2023-11-14T22:13:20Z"}) == 201
    assert list(server.ask("GET", "/metricbeat-*")) == [indices.sampler(NS, DAY)]
    mappings = server.ask("GET", f"/{indices.sampler(NS, DAY)}/_mapping")[indices.sampler(NS, DAY)]["mappings"]
    assert mappings["_meta"]["managed_by"] == "glassfs", "ours wins over metricbeat-*"
    kept = server.ask("GET", "/_index_template/metricbeat")["index_templates"][0]["index_template"]
    assert kept["priority"] == 150


def test_the_index_mode_is_explicit_where_there_is_one(server: RealServer, client: Client) -> None:
    set_up(client)
    assert put(server, indices.events(NS, DAY), "t-0-1", EVENT) == 201
    settings = server.ask("GET", f"/{indices.events(NS, DAY)}/_settings?flat_settings=true")
    mode = settings[indices.events(NS, DAY)]["settings"].get("index.mode")
    has_modes = server.version in ("elasticsearch-8.19.0", "elasticsearch-9.1.0")
    assert mode == ("standard" if has_modes else None)


def test_two_namespaces_do_not_touch_each_other(server: RealServer, client: Client) -> None:
    assert set_up(client, "one") == set_up(client, "one.more") == ["made"] * 4
    assert put(server, indices.events("one.more", DAY), "t-0-1", EVENT) == 201
    assert list(server.ask("GET", "/glassfs-events-*/_alias")[indices.events("one.more", DAY)]["aliases"]) == [
        "glassfs-events-one.more"
    ]


TAKEN = {
    "an index has the alias's name": ("PUT", "/glassfs-events-default", None, "is taken by an index"),
    "an index has the traces' name": ("PUT", "/glassfs-traces-default", None, "is taken by an index"),
    "another's alias has the name": (
        "PUT",
        "/elsewhere",
        {"aliases": {"glassfs-totals-default": {}}},
        "is taken by an index that glassfs has not made",
    ),
    "another's template has the name": (
        "PUT",
        "/_index_template/glassfs-events-default",
        {"index_patterns": ["other-*"]},
        "that glassfs has not made",
    ),
    "another's template claims the names": (
        "PUT",
        "/_index_template/theirs",
        {"index_patterns": ["glassfs-*"], "priority": 500},
        "another template claims these names",
    ),
    "another's template wins": (
        "PUT",
        "/_index_template/theirs",
        {"index_patterns": ["glassfs-*"], "priority": 501},
        "of higher priority",
    ),
    "a later glassfs has been here": (
        "PUT",
        "/_index_template/glassfs-events-default",
        {
            "index_patterns": ["glassfs-events-default-*"],
            "_meta": {"managed_by": "glassfs", "revision": templates.REVISION + 1, "glassfs_version": "9.9.9"},
        },
        "of a newer glassfs (9.9.9)",
    ),
    "the cluster is read-only": (
        "PUT",
        "/_cluster/settings",
        {"persistent": {"cluster.blocks.read_only": True}},
        "read-only",
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_setup_says_what_is_in_its_way(server: RealServer, case: str) -> None:
    method, path, body, expected = TAKEN[case]
    server.ask(method, path, body)
    said = run(server, "setup", status=3).stderr
    assert expected in said, said
    assert len([line for line in said.splitlines() if line.startswith("glassfs: ")]) <= 2, "one message"


def test_a_shipper_is_told_that_setup_was_forgotten_or_is_old(server: RealServer, client: Client) -> None:
    with pytest.raises(GlassfsError, match="not set up"):
        setup.require(client, NS)
    set_up(client)
    setup.require(client, NS)
    old = templates.template("events", NS, templates.Features(False, False, False, False))
    old["_meta"]["revision"] = templates.REVISION - 1
    server.ask("PUT", "/_index_template/glassfs-events-default", old)
    with pytest.raises(GlassfsError, match="is not that of this glassfs"):
        setup.require(client, NS)


def test_indices_made_before_setup_are_named(server: RealServer) -> None:
    server.ask("PUT", "/glassfs-events-default-2023.11.14")
    said = run(server, "setup").stderr
    assert "glassfs-events-default-2023.11.14 was made without our template" in said
