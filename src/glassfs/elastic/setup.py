"""What a cluster must have before anything is shipped to it: policy and templates. Looks first, then says what to send.

Nothing is sent until no name of ours was found to be somebody else's; a second time nothing is left to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from glassfs.elastic import indices, lifecycle, problems, templates
from glassfs.elastic.client import Answer, Client
from glassfs.elastic.lifecycle import Lifecycle
from glassfs.elastic.server import Server, detect
from glassfs.elastic.templates import Features
from glassfs.errors import EnvironmentProblem, GlassfsError, ServerRefused

Json = dict[str, Any]

MADE, CHANGED, FOUND = "made", "changed", "found"


@dataclass(frozen=True)
class Step:
    """One request. `state`: made or changed once it was sent, found if there is nothing to send."""

    state: str
    what: str
    method: str
    path: str
    body: Json
    params: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """`missing`: what this server has not, and what that means for a person. `warnings`: what is there and odd."""

    server: Server
    namespace: str
    steps: tuple[Step, ...]
    lifecycle: str | None
    missing: tuple[str, ...]
    warnings: tuple[str, ...]


def plan(client: Client, namespace: str, retention_days: int) -> Plan:
    """What is there and what is to be sent. GlassfsError if something there is in the way."""
    server = detect(client)
    _refuse_taken_names(client, namespace)
    life = lifecycle.find(client, server, namespace)
    features = probe(client, server, life)
    steps = [policy_step(life, namespace, retention_days)] if life else []
    steps += [_template_step(client, kind, namespace, features) for kind in indices.PREFIXES]
    warnings = [*_stray_indices(client, namespace)]
    if server.warning:
        warnings.insert(0, server.warning)
    return Plan(
        server, namespace, tuple(steps), life.how if life else None, tuple(_missing(server, features)), tuple(warnings)
    )


def apply(client: Client, planned: Plan) -> Iterator[Step]:
    """Sends what is to be sent, in order, and gives each step once it is done."""
    for step in planned.steps:
        if step.state != FOUND:
            answer = client.request(step.method, step.path, json=step.body, params=step.params)
            _demand(answer, f"making the {step.what}")
        yield step
    for kind in indices.PREFIXES:
        _check_winner(client, kind, planned.namespace)


def require(client: Client, namespace: str) -> None:
    """EnvironmentProblem unless `setup` has been run: documents would make indices of the wrong types."""
    for kind in indices.PREFIXES:
        name = indices.alias(kind, namespace)
        answer = client.request("GET", f"/_index_template/{name}")
        if answer.status == 403:
            # Older servers ask for manage_index_templates even for a look, which a key for shipping need not have.
            return
        if answer.status == 404:
            what = f"the namespace {namespace} is not set up"
            raise EnvironmentProblem(what, where=answer.host, next_step="Run once: glassfs elastic setup")
        _demand(answer, f"looking for the template {name}")
        meta = answer.document["index_templates"][0]["index_template"].get("_meta") or {}
        _refuse_newer(meta, f"template {name}")
        if meta.get("revision") != templates.REVISION:
            what = f"the template {name} is not that of this glassfs"
            raise EnvironmentProblem(what, where=answer.host, next_step="Run again: glassfs elastic setup")


def probe(client: Client, server: Server, life: Lifecycle | None) -> Features:
    """Has the server put a template together that uses a feature, without keeping it."""
    can = server.capabilities
    tree = {
        "settings": {"analysis": {"analyzer": {"probe": {"type": "custom", "tokenizer": "path_hierarchy"}}}},
        "mappings": {"properties": {"probe": {"type": "text", "analyzer": "probe"}}},
    }
    wildcard = {"mappings": {"properties": {"probe": {"type": "wildcard"}}}}
    return Features(
        index_mode=can.index_mode,
        wildcard=can.wildcard and _composes(client, wildcard),
        path_tree=_composes(client, tree),
        ilm=life is not None and life.how == lifecycle.ILM,
    )


def _composes(client: Client, template: Json) -> bool:
    body = {"index_patterns": ["glassfs-probe-*"], "priority": templates.PRIORITY, "template": template}
    answer = client.request("POST", "/_index_template/_simulate", json=body)
    if not answer.ok and answer.status != 400:
        raise problems.explain(answer, "asking which field types it has")
    return answer.ok


def _missing(server: Server, features: Features) -> Iterator[str]:
    if not features.path_tree:
        yield "the path_hierarchy tokenizer: there is no file.path.tree; to find all below a folder, use a prefix"
    if server.capabilities.wildcard and not features.wildcard:
        yield "the wildcard type: process.command_line is a keyword"


def policy_step(life: Lifecycle, namespace: str, retention_days: int) -> Step:
    name = templates.policy_name(namespace)
    what = f"{lifecycle.NAMES[life.how]} policy {name}"
    wanted = lifecycle.policy(life.how, namespace, retention_days)
    state = MADE
    params: dict[str, str] = {}
    if life.there is not None:
        if not lifecycle.is_ours(life.there, life.how):
            raise _taken(what)
        _refuse_newer(life.there.get("_meta", {}), what)
        state = FOUND if lifecycle.same(life.there, wanted) else CHANGED
        if life.version:
            params = {"if_seq_no": str(life.version[0]), "if_primary_term": str(life.version[1])}
    return Step(state, what, "PUT", lifecycle.path(life.how, namespace), wanted, params)


def _template_step(client: Client, kind: str, namespace: str, features: Features) -> Step:
    name = indices.alias(kind, namespace)
    path, what = f"/_index_template/{name}", f"template {name}"
    wanted = templates.template(kind, namespace, features)
    answer = client.request("GET", path)
    if answer.status == 404:
        return Step(MADE, what, "PUT", path, wanted)
    _demand(answer, f"looking for the {what}")
    there: Json = answer.document["index_templates"][0]["index_template"]
    meta = there.get("_meta") or {}
    if meta.get("managed_by") != "glassfs":
        raise _taken(what)
    _refuse_newer(meta, what)
    return Step(FOUND if _same_template(there, wanted) else CHANGED, what, "PUT", path, wanted)


def _same_template(there: Json, wanted: Json) -> bool:
    """The server tells settings nested and as text."""

    def comparable(template: Json) -> Json:
        inner = template.get("template", {})
        return {
            "patterns": template["index_patterns"],
            "priority": template.get("priority"),
            "meta": template.get("_meta"),
            "settings": dict(_flat(inner.get("settings", {}), "")),
            "mappings": _as_told(inner.get("mappings", {})),
            "aliases": inner.get("aliases", {}),
        }

    return comparable(there) == comparable(wanted)


def _flat(settings: Json, above: str) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", str(value).lower() if isinstance(value, bool) else str(value)


def _as_told(value: Any) -> Any:
    """Mappings come back with `dynamic` as text."""
    if isinstance(value, dict):
        return {name: _as_told(str(one).lower() if name == "dynamic" else one) for name, one in value.items()}
    return [_as_told(one) for one in value] if isinstance(value, list) else value


def _refuse_taken_names(client: Client, namespace: str) -> None:
    """Our aliases, and the index of traces, must be nobody else's index, alias or data stream."""
    for kind in indices.PREFIXES:
        name = indices.alias(kind, namespace)
        answer = client.request("GET", f"/{name}", params={"filter_path": "*.mappings._meta"})
        if answer.status == 404:
            continue
        _demand(answer, f"looking whether {name} is free")
        # An index without `_meta` is left out of the answer: so ask for the names, too.
        owners = client.request("GET", f"/{name}/_settings", params={"filter_path": "*.settings.index.uuid"})
        _demand(owners, f"looking whether {name} is free")
        for index in owners.document or {}:
            if not _is_ours(answer.document, index):
                raise ServerRefused(
                    f"the name {name} is taken by an index that glassfs has not made",
                    where=f"{answer.host}/{index}",
                    next_step="Rename or delete it, or set another elastic.namespace.",
                )


def _stray_indices(client: Client, namespace: str) -> Iterator[str]:
    """Indices under our names that were made without our templates: their fields have the wrong types."""
    for kind in indices.PREFIXES:
        pattern = indices.pattern(kind, namespace)
        marks = client.request("GET", f"/{pattern}/_mapping", params={"filter_path": "*.mappings._meta"})
        names = client.request("GET", f"/{pattern}/_settings", params={"filter_path": "*.settings.index.uuid"})
        if not marks.ok or not names.ok:
            continue
        for index in names.document or {}:
            if not _is_ours(marks.document, index):
                yield f"{index} was made without our template: what is in it may not be found; delete it and ship again"


def _is_ours(document: Any, index: str) -> bool:
    meta = (document or {}).get(index, {}).get("mappings", {}).get("_meta", {})
    return bool(meta.get("managed_by") == "glassfs")


def _check_winner(client: Client, kind: str, namespace: str) -> None:
    """Somebody's template of a higher priority would win over ours, and nobody would notice."""
    index = indices.pattern(kind, namespace).replace("*", "2000.01.01")
    answer = client.request("POST", f"/_index_template/_simulate_index/{index}")
    _demand(answer, f"looking which template makes {index}")
    mappings = answer.document.get("template", {}).get("mappings", {})
    if mappings.get("_meta", {}).get("managed_by") != "glassfs":
        raise ServerRefused(
            f"another template, of higher priority than {templates.PRIORITY}, makes {index}",
            where=answer.host,
            next_step=f"Take {indices.pattern(kind, namespace)} out of its patterns, or lower its priority.",
        )


def _refuse_newer(meta: Json, what: str) -> None:
    if int(meta.get("revision", 0)) > templates.REVISION:
        raise EnvironmentProblem(
            f"the {what} there is of a newer glassfs ({meta.get('glassfs_version', 'unknown')})",
            next_step="Upgrade glassfs here, or set another elastic.namespace.",
        )


def _taken(what: str) -> GlassfsError:
    return ServerRefused(
        f"a {what} is there that glassfs has not made",
        next_step="Rename or delete it, or set another elastic.namespace.",
    )


def _demand(answer: Answer, doing: str) -> None:
    if not answer.ok:
        raise problems.explain(answer, doing)
