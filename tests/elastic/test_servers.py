"""Which server is it? Asked of real ones."""

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
    assert {name: server.try_to(*request)[0] == 200 for name, request in asked.items()} == has(server.version)


RATE = {
    "aggs": {
        "steps": {
            "date_histogram": {"field": "@timestamp", "fixed_interval": "1s"},
            "aggs": {"most": {"max": {"field": "amount"}}, "rate": {"derivative": {"buckets_path": "most"}}},
        }
    }
}
