"""Who deletes old indices: Elasticsearch's ILM, OpenSearch's ISM, or nobody. Sends only questions.

Both count from an index's creation, so a trace of last month that is shipped today stays for its days too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glassfs.elastic import horizon, indices, problems, templates
from glassfs.elastic.client import Client
from glassfs.elastic.server import Server

Json = dict[str, Any]

ILM = "ilm"
ISM = "ism"
NAMES = {ILM: "ILM", ISM: "ISM"}


@dataclass(frozen=True)
class Lifecycle:
    """`there`: the policy of our name as the server has it, None if it has none. `version`: ISM's seq_no and term."""

    how: str
    there: Json | None
    version: tuple[int, int] | None = None


def path(how: str, namespace: str) -> str:
    root = "/_ilm/policy" if how == ILM else "/_plugins/_ism/policies"
    return f"{root}/{templates.policy_name(namespace)}"


def find(client: Client, server: Server, namespace: str) -> Lifecycle | None:
    """None where the server has no such part. GlassfsError if it may not be asked."""
    how = server.capabilities.lifecycle
    answer = client.request("GET", path(how, namespace))
    if answer.status in (401, 403, 429) or answer.status >= 500:
        raise problems.explain(answer, f"asking for the {NAMES[how]} policy")
    document = answer.document if isinstance(answer.document, dict) else {}
    if answer.ok:
        return _found(how, document, namespace)
    # A server without the part answers 400, no handler; but Elasticsearch 7 takes the path for a missing index.
    # With ISM it is ISM's own index that is missing until it gets its first policy.
    kind, _ = problems.cause(answer)
    absent = answer.status == 404 and (how == ISM or kind == "resource_not_found_exception")
    return Lifecycle(how, None) if absent else None


def _found(how: str, document: Json, namespace: str) -> Lifecycle:
    if how == ILM:
        return Lifecycle(ILM, document.get(templates.policy_name(namespace), {}).get("policy", {}))
    version = (document["_seq_no"], document["_primary_term"])
    return Lifecycle(ISM, document.get("policy", {}), version)


def policy(how: str, namespace: str, retention_days: int) -> Json:
    """The body that makes the policy."""
    age = f"{horizon.index_age_days(retention_days)}d"
    if how == ILM:
        phases = {"hot": {"actions": {}}, "delete": {"min_age": age, "actions": {"delete": {}}}}
        return {"policy": {"_meta": templates.mark(), "phases": phases}}
    dated = [indices.pattern(kind, namespace) for kind in indices.PREFIXES if kind not in indices.UNDATED]
    kept = {
        "name": "kept",
        "actions": [],
        "transitions": [{"state_name": "deleted", "conditions": {"min_index_age": age}}],
    }
    return {
        "policy": {
            "description": f"glassfs: what is in the namespace {namespace} stays {retention_days} days",
            "default_state": "kept",
            "states": [kept, {"name": "deleted", "actions": [{"delete": {}}], "transitions": []}],
            "ism_template": [{"index_patterns": dated, "priority": templates.PRIORITY}],
        }
    }


def is_ours(found: Json, how: str) -> bool:
    if how == ILM:
        return bool(found.get("_meta", {}).get("managed_by") == "glassfs")
    return str(found.get("description", "")).startswith("glassfs:")


def same(found: Json, wanted: Json) -> bool:
    """Whether the server's policy does what ours would; it adds fields of its own, at every level."""
    return _holds(found, wanted["policy"])


def _holds(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_holds(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_holds, found, wanted))
    return bool(found == wanted)
