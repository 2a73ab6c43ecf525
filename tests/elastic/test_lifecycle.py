"""ILM and ISM. No build that is to be had here has either: so these answers are those of their documentation, and what
they prove is what we make of them. That servers without them are seen as such is tested on real ones, in test_setup.
"""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from glassfs.config.model import Elastic
from glassfs.config.secrets import Credentials
from glassfs.elastic import lifecycle, setup, templates
from glassfs.elastic.client import Client
from glassfs.elastic.lifecycle import ILM, ISM, Lifecycle
from glassfs.elastic.server import Server, capabilities
from glassfs.errors import GlassfsError, ServerRefused

SERVERS = {
    ILM: Server("elasticsearch", (8, 19, 0), capabilities("elasticsearch", (8, 19, 0))),
    ISM: Server("opensearch", (2, 19, 1), capabilities("opensearch", (2, 19, 1))),
}
NS = "default"
KEPT = {
    "name": "kept",
    "actions": [],
    "transitions": [{"state_name": "deleted", "conditions": {"min_index_age": "8d"}}],
}
# Servers add what was left to them: min_age of hot, retry of an action, times of a template.
DELETED = {
    "name": "deleted",
    "actions": [{"retry": {"count": 3, "backoff": "exponential", "delay": "1m"}, "delete": {}}],
    "transitions": [],
}
DOCUMENTED: dict[str, Any] = {
    ILM: {
        "glassfs-default": {
            "version": 1,
            "modified_date": "2026-11-24T10:00:00.000Z",
            "policy": {
                "_meta": templates.mark(),
                "phases": {
                    "hot": {"min_age": "0ms", "actions": {}},
                    "delete": {"min_age": "8d", "actions": {"delete": {"delete_searchable_snapshot": True}}},
                },
            },
            "in_use_by": {"indices": [], "data_streams": [], "composable_templates": []},
        }
    },
    ISM: {
        "_id": "glassfs-default",
        "_version": 3,
        "_seq_no": 12,
        "_primary_term": 1,
        "policy": {
            "policy_id": "glassfs-default",
            "description": "glassfs: what is in the namespace default stays 7 days",
            "last_updated_time": 1700000000000,
            "schema_version": 21,
            "error_notification": None,
            "default_state": "kept",
            "states": [KEPT, DELETED],
            "ism_template": [
                {
                    "index_patterns": [
                        "glassfs-events-default-*",
                        "glassfs-totals-default-*",
                        "metricbeat-glassfs-default-*",
                    ],
                    "priority": 500,
                    "last_updated_time": 1700000000000,
                }
            ],
        },
    },
}
ABSENT: dict[str, list[tuple[int, Any]]] = {
    ILM: [(404, {"error": {"type": "resource_not_found_exception", "reason": "Lifecycle policy not found: [x]"}})],
    ISM: [
        (404, {"error": {"type": "status_exception", "reason": "Policy not found"}}),
        (404, {"error": {"type": "index_not_found_exception", "reason": "no such index [.opendistro-ism-config]"}}),
    ],
}


@contextmanager
def that_answers(status: int, document: Any) -> Iterator[Client]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        with Client(Elastic(hosts=[f"http://127.0.0.1:{listener.server_address[1]}"]), Credentials()) as client:
            yield client
        listener.shutdown()


def found(how: str, status: int, document: Any) -> Lifecycle | None:
    with that_answers(status, document) as client:
        return lifecycle.find(client, SERVERS[how], NS)


@pytest.mark.parametrize("how", [ILM, ISM])
def test_a_policy_that_is_ours_and_the_same_is_left_alone(how: str) -> None:
    there = found(how, 200, DOCUMENTED[how])
    assert there is not None
    assert setup.policy_step(there, NS, 7).state == setup.FOUND


@pytest.mark.parametrize("how", [ILM, ISM])
def test_another_retention_changes_the_policy(how: str) -> None:
    there = found(how, 200, DOCUMENTED[how])
    assert there is not None
    step = setup.policy_step(there, NS, 30)
    assert step.state == setup.CHANGED and '"31d"' in json.dumps(step.body)
    # ISM changes a policy only for whoever says which state of it he has seen.
    assert step.params == ({"if_seq_no": "12", "if_primary_term": "1"} if how == ISM else {})


@pytest.mark.parametrize("how", [ILM, ISM])
def test_where_there_is_none_it_is_made(how: str) -> None:
    for status, document in ABSENT[how]:
        there = found(how, status, document)
        assert there is not None and there.there is None
        step = setup.policy_step(there, NS, 7)
        assert (step.state, step.method, step.params) == (setup.MADE, "PUT", {})


@pytest.mark.parametrize(
    ("how", "status", "document"),
    [
        (ILM, 400, {"error": "no handler found for uri [/_ilm/policy/x] and method [GET]"}),
        (ILM, 404, {"error": {"type": "index_not_found_exception", "reason": "no such index [_ilm]"}}),
        (ISM, 400, {"error": "no handler found for uri [/_plugins/_ism/policies/x] and method [GET]"}),
    ],
)
def test_a_server_without_it_is_told_from_one_without_a_policy(how: str, status: int, document: Any) -> None:
    assert found(how, status, document) is None


def test_a_key_that_may_not_ask_is_said() -> None:
    reason = (
        "action [cluster:admin/ilm/get] is unauthorized for API key id [x] of user [y], this action is granted by the "
        "cluster privileges [read_ilm,manage_ilm,manage,all]"
    )
    with pytest.raises(ServerRefused, match="lacks the cluster privilege read_ilm"):
        found(ILM, 403, {"error": {"type": "security_exception", "reason": reason}})


@pytest.mark.parametrize("how", [ILM, ISM])
def test_a_policy_of_somebody_else_is_not_overwritten(how: str) -> None:
    theirs = json.loads(json.dumps(DOCUMENTED[how]))
    if how == ILM:
        del theirs["glassfs-default"]["policy"]["_meta"]
    else:
        theirs["policy"]["description"] = "ours"
    there = found(how, 200, theirs)
    assert there is not None
    with pytest.raises(GlassfsError, match="that glassfs has not made"):
        setup.policy_step(there, NS, 7)


def test_only_dated_indices_are_under_the_policy() -> None:
    features = templates.Features(index_mode=True, wildcard=True, path_tree=True, ilm=True)
    for kind, named in (("events", True), ("totals", True), ("sampler", True), ("traces", False)):
        settings = templates.template(kind, NS, features)["template"]["settings"]
        assert (settings.get("index.lifecycle.name") == "glassfs-default") == named, kind
