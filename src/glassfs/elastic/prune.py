"""Deletes our own indices past their age, for servers that have nothing that would. Never another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from glassfs.elastic import horizon, indices, problems
from glassfs.elastic.client import Client
from glassfs.errors import ServerRefused

_MS_PER_DAY = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Old:
    """An index past its age, counted from its creation, as ILM and ISM do."""

    name: str
    age_days: float
    documents: int
    size_bytes: int


def old_indices(client: Client, namespace: str, retention_days: int, now_ms: int) -> list[Old]:
    """The oldest first. Ours are those with a name and a mark of ours, in this namespace."""
    patterns = ",".join(indices.pattern(kind, namespace) for kind in indices.PREFIXES if kind not in indices.UNDATED)
    columns = "index,creation.date,docs.count,store.size"
    listed = client.request("GET", f"/_cat/indices/{patterns}", params={"format": "json", "bytes": "b", "h": columns})
    if not listed.ok:
        raise problems.explain(listed, "listing our indices")
    found = [_old(row, now_ms) for row in listed.document if _is_named_like_ours(row["index"], namespace)]
    marked = _marked(client, patterns) if found else set()
    least_days = horizon.index_age_days(retention_days)
    past = [one for one in found if one.age_days >= least_days and one.name in marked]
    return sorted(past, key=lambda one: (-one.age_days, one.name))


def delete(client: Client, old: list[Old]) -> Iterator[Old]:
    """Deletes and gives each one; one that is gone already is no error."""
    for one in old:
        answer = client.request("DELETE", f"/{one.name}")
        if not answer.ok and answer.status != 404:
            raise problems.explain(answer, f"deleting {one.name}")
        yield one


def _is_named_like_ours(name: str, namespace: str) -> bool:
    parsed = indices.parse(name)
    return parsed is not None and parsed.namespace == namespace


def _old(row: dict[str, str | None], now_ms: int) -> Old:
    age_days = (now_ms - int(row["creation.date"] or 0)) / _MS_PER_DAY
    return Old(row["index"] or "", age_days, int(row["docs.count"] or 0), int(row["store.size"] or 0))


def _marked(client: Client, patterns: str) -> set[str]:
    """Those that our templates have made."""
    answer = client.request("GET", f"/{patterns}/_mapping", params={"filter_path": "*.mappings._meta.managed_by"})
    if not answer.ok:
        raise problems.explain(answer, "looking which indices are ours")
    if not isinstance(answer.document, dict):
        raise ServerRefused("the server's answer makes no sense", where=answer.host)
    return {name for name, one in answer.document.items() if one["mappings"]["_meta"].get("managed_by") == "glassfs"}
