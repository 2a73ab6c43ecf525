"""`prune` on real servers: our own indices past their age, and nothing else."""

import json

import pytest
from test_setup import EVENT, NS, put, run, set_up

from glassfs.elastic import indices, prune
from glassfs.elastic.client import Client
from support.servers import RealServer

DAY_MS = 24 * 60 * 60 * 1000
DAY_NS = DAY_MS * 1_000_000
NOW_NS = 1_700_000_000_000_000_000


@pytest.fixture
def filled(server: RealServer, client: Client) -> RealServer:
    """Ours of two namespaces, another's, and one of our names that glassfs has not made."""
    server.ask("PUT", "/glassfs-events-default-2020.01.01", {"mappings": {"_meta": {"managed_by": "somebody"}}})
    server.ask("PUT", "/glassfs-events-default-notes", {"mappings": {"_meta": {"managed_by": "glassfs"}}})
    server.ask("PUT", "/theirs-2020.01.01")
    for namespace in (NS, "other"):
        set_up(client, namespace)
        assert put(server, indices.events(namespace, NOW_NS), "t-0-1", EVENT) == 201
        assert put(server, indices.events(namespace, NOW_NS, "hour"), "t-0-1", EVENT) == 201
        assert put(server, indices.totals(namespace, NOW_NS), "b", EVENT) == 201
        assert put(server, indices.sampler(namespace, NOW_NS), "s", {"@timestamp": EVENT["@timestamp"]}) == 201
        assert put(server, indices.traces(namespace), "t", EVENT) == 201
    return server


def names(server: RealServer) -> set[str]:
    return {row["index"] for row in server.ask("GET", "/_cat/indices?format=json&h=index")}


def test_only_our_dated_indices_of_this_namespace_go(filled: RealServer, client: Client) -> None:
    before = names(filled)
    made_ms = min(int(row["creation.date"]) for row in filled.ask("GET", "/_cat/indices?format=json&h=creation.date"))
    assert not prune.old_indices(client, NS, 7, made_ms + 8 * DAY_MS - 1), "the last call of the day is not old yet"
    old = prune.old_indices(client, NS, 7, made_ms + 9 * DAY_MS)
    expected = {
        indices.events(NS, NOW_NS),
        indices.events(NS, NOW_NS, "hour"),
        indices.totals(NS, NOW_NS),
        indices.sampler(NS, NOW_NS),
    }
    assert {one.name for one in old} == expected
    assert all(one.documents == 1 and one.size_bytes > 0 and 8 < one.age_days < 10 for one in old)
    assert len(list(prune.delete(client, old))) == len(expected)
    assert names(filled) == before - expected
    assert len(list(prune.delete(client, old))) == len(expected), "gone already is no error"


def test_a_dry_run_deletes_nothing(filled: RealServer) -> None:
    before = names(filled)
    said = run(filled, "prune", "--dry-run", "--json")
    assert json.loads(said.stdout) == {"schema": 1, "dry_run": True, "deleted": []}
    assert "nothing is older than 8 days" in run(filled, "prune").stderr
    assert names(filled) == before


def test_an_empty_cluster_has_nothing_to_prune(server: RealServer) -> None:
    assert "nothing is older" in run(server, "prune").stderr


def test_flood_stage_is_said_and_pruning_still_works(filled: RealServer, client: Client) -> None:
    """The disk is full: Elasticsearch then takes deletions only."""
    index = indices.events(NS, NOW_NS)
    filled.ask("PUT", f"/{index}/_settings", {"index.blocks.read_only_allow_delete": True})
    from glassfs.elastic import problems

    answer = client.request("PUT", f"/{index}/_create/t-0-2", json=EVENT)
    assert "out of disk" in str(problems.explain(answer))
    old = [one for one in prune.old_indices(client, NS, 0, 1 << 62) if one.name == index]
    assert [one.name for one in prune.delete(client, old)] == [index]
