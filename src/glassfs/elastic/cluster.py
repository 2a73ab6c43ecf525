"""Which cluster that is: what was shipped to one is not in another, even at the same address."""

from __future__ import annotations

from glassfs.elastic import problems
from glassfs.elastic.client import Client
from glassfs.errors import ServerRefused


def identity(client: Client) -> str:
    """The cluster's own id, the same at all of its addresses."""
    for path in ("/", "/_cluster/state/version"):
        answer = client.request("GET", path, params={"filter_path": "cluster_uuid"})
        if answer.ok and isinstance(answer.document, dict) and answer.document.get("cluster_uuid"):
            return str(answer.document["cluster_uuid"])
    if not answer.ok:
        raise problems.explain(answer, "asking for the cluster's id")
    raise ServerRefused(
        "the cluster has no id yet", where=answer.host, next_step="It is still being formed: look into its log."
    )
