"""Which server that is, and what it can do: one table decides. Knows no documents and no templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glassfs.elastic import problems
from glassfs.elastic.client import Answer, Client
from glassfs.errors import EnvironmentProblem, GlassfsError, ServerRefused

Version = tuple[int, int, int]

ELASTICSEARCH = "elasticsearch"
OPENSEARCH = "opensearch"
NAMES = {ELASTICSEARCH: "Elasticsearch", OPENSEARCH: "OpenSearch"}

# What is tested; a later major is used like the last one known, with a warning.
OLDEST: dict[str, Version] = {ELASTICSEARCH: (7, 17, 0), OPENSEARCH: (2, 0, 0)}
NEWEST_MAJOR = {ELASTICSEARCH: 9, OPENSEARCH: 3}

_NODES = "/_nodes/_local/info"
_NODES_FILTER = "nodes.*.version,nodes.*.build_flavor,nodes.*.modules.elasticsearch_version"


@dataclass(frozen=True)
class Capabilities:
    """`lifecycle`: which one it may have, ilm or ism. `index_mode`: whether that setting exists, and must be set.
    `wildcard`: whether that type can be grouped by."""

    lifecycle: str
    index_mode: bool
    wildcard: bool


@dataclass(frozen=True)
class Server:
    distribution: str
    version: Version
    capabilities: Capabilities

    def __str__(self) -> str:
        return f"{NAMES[self.distribution]} {'.'.join(map(str, self.version))}"

    @property
    def warning(self) -> str | None:
        if self.version[0] <= NEWEST_MAJOR[self.distribution]:
            return None
        return f"{self} is newer than this glassfs, which treats it like {NEWEST_MAJOR[self.distribution]}"


def capabilities(distribution: str, version: Version) -> Capabilities:
    """By the releases that brought each."""
    if distribution == OPENSEARCH:
        return Capabilities(lifecycle="ism", index_mode=False, wildcard=False)
    return Capabilities(lifecycle="ilm", index_mode=version >= (8, 17, 0), wildcard=True)


def detect(client: Client) -> Server:
    """Asks the server; GlassfsError if it is none that glassfs knows, or does not tell."""
    answer = client.request("GET", "/")
    found = _from_root(answer)
    # Some builds of Elasticsearch lack the module that answers GET /.
    if found is None and answer.status in (404, 405):
        answer = client.request("GET", _NODES, params={"filter_path": _NODES_FILTER})
        found = _from_nodes(answer)
    if found is None:
        raise _not_a_server(answer)
    distribution, version = found
    if version < OLDEST[distribution]:
        raise _too_old(distribution, version, answer.host)
    return Server(distribution, version, capabilities(distribution, version))


def _from_root(answer: Answer) -> tuple[str, Version] | None:
    match answer.document:
        case {"version": {"number": str(number), "distribution": "opensearch"}} if answer.ok:
            return _known(OPENSEARCH, number)
        case {"version": {"number": str(number)}} if answer.ok:
            return _known(ELASTICSEARCH, number)
    return None


def _from_nodes(answer: Answer) -> tuple[str, Version] | None:
    if not answer.ok:
        return None
    nodes: dict[str, Any] = answer.document.get("nodes", {}) if isinstance(answer.document, dict) else {}
    for node in nodes.values():
        # OpenSearch has no flavors.
        return _known(ELASTICSEARCH if "build_flavor" in node else OPENSEARCH, node.get("version", ""))
    return None


def _known(distribution: str, number: str) -> tuple[str, Version] | None:
    """`8.19.0-SNAPSHOT` is 8.19.0."""
    try:
        major, minor, patch = (int(part) for part in number.partition("-")[0].split("."))
    except ValueError:
        return None
    return distribution, (major, minor, patch)


def _not_a_server(answer: Answer) -> GlassfsError:
    if answer.status in (401, 403, 429) or answer.status >= 500:
        return problems.explain(answer, "asking for its version")
    return ServerRefused(
        f"what answers there is neither Elasticsearch nor OpenSearch (HTTP {answer.status})",
        where=answer.host,
        next_step="Check elastic.hosts: the usual port is 9200 (5601 is Kibana's).",
    )


def _too_old(distribution: str, version: Version, host: str) -> GlassfsError:
    number, oldest = (".".join(map(str, one)) for one in (version, OLDEST[distribution]))
    name = NAMES[distribution]
    return EnvironmentProblem(f"{name} {number} is older than {oldest}", where=host, next_step="Upgrade the cluster.")
