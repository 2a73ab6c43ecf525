"""Which server is it? Asked of real ones."""

import json
from typing import Any

from glassfs.config.model import Elastic
from glassfs.config.secrets import Credentials
from glassfs.elastic.client import Client
from glassfs.elastic.server import detect
from support.builds import has
from support.servers import RealServer


def test_distribution_and_version_are_found(server: RealServer) -> None:
    with Client(Elastic(hosts=[server.url]), Credentials()) as client:
        found = detect(client)
    distribution, _, number = server.version.partition("-")
    assert (found.distribution, ".".join(map(str, found.version))) == (distribution, number)
    assert found.warning is None


def test_the_table_of_what_a_build_lacks_is_true_of_it(server: RealServer) -> None:
    wild = {"mappings": {"properties": {"any": {"type": "wildcard"}}}}
    asked = {
        "path_hierarchy": ("POST", "/_analyze", {"tokenizer": "path_hierarchy", "text": "/a/b"}),
        "wildcard": ("PUT", "/glassfs-probe-wildcard", wild),
        "derivative": ("POST", "/_search", RATE),
        "lifecycle": ("GET", "/_ilm/policy" if server.is_elasticsearch else "/_plugins/_ism/policies", None),
        "GET /": ("GET", "/", None),
    }
    found = {name: server.try_to(*request)[0] == 200 for name, request in asked.items()}
    assert found | {"_doc_count": counts_beside_sums(server)} == has(server.version)


def counts_beside_sums(server: RealServer) -> bool:
    """Whether `terms` with a sum inside count as many calls as each document stands for."""
    rows = [({"index": {}}, {"op": op, "_doc_count": 10}) for _ in range(33) for op in ("open", "read", "write")]
    server.ask("PUT", "/glassfs-probe-counts", {"mappings": {"properties": {"op": {"type": "keyword"}}}})
    lines = "".join(json.dumps(line) + "\n" for row in rows for line in row)
    server.ask("POST", "/glassfs-probe-counts/_bulk?refresh=true", lines.encode())
    inside = {"most": {"value_count": {"field": "op"}}}

    def counts(**more: Any) -> list[int]:
        asked = {"size": 0, "aggs": {"ops": {"terms": {"field": "op"}, **more}}}
        answer = server.ask("POST", "/glassfs-probe-counts/_search", asked)
        return [bucket["doc_count"] for bucket in answer["aggregations"]["ops"]["buckets"]]

    assert counts() == [330, 330, 330]
    return counts(aggs=inside) == [330, 330, 330]


RATE = {
    "aggs": {
        "steps": {
            "date_histogram": {"field": "@timestamp", "fixed_interval": "1s"},
            "aggs": {"most": {"max": {"field": "amount"}}, "rate": {"derivative": {"buckets_path": "most"}}},
        }
    }
}
