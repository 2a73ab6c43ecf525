"""The index templates, made from the table of fields for what a server has. Sends nothing.

`dynamic: false` in our own indices: a field that the table does not know is kept in the document, but can neither make
a mapping of its own nor have a document refused, as `strict` would; labels are the exception.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from glassfs import __version__
from glassfs.elastic import indices
from glassfs.elastic.fields import GROUPS, Field, Type

Json = dict[str, Any]

# Raised with every change of what a template or a policy holds; a higher one there was made by a later glassfs.
REVISION = 2

# Above Elasticsearch's own templates (100) and Metricbeat's (150).
PRIORITY = 500

# Lucene takes 32,766 bytes a term, a character has up to 4; the kernel takes paths of 4,096. ECS's 1,024 would leave
# long paths out of every search.
PATH_CHARS = 8191
WORD_CHARS = 1024

# A search sees a document a second after it was indexed; without it, Elasticsearch waits for the first search.
REFRESH = "1s"

TREE_ANALYZER = "glassfs_path"


@dataclass(frozen=True)
class Features:
    """What this very server has, beyond its version: builds differ in their modules."""

    index_mode: bool
    wildcard: bool
    path_tree: bool
    ilm: bool


def mark() -> Json:
    """Stands in all that is ours."""
    return {"managed_by": "glassfs", "glassfs_version": __version__, "revision": REVISION}


def policy_name(namespace: str) -> str:
    return f"glassfs-{namespace}"


def template(kind: str, namespace: str, features: Features) -> Json:
    """The body of an index template for the indices of a kind."""
    mappings = _sampler_mappings() if kind == "sampler" else _mappings(GROUPS[kind], features)
    body: Json = {"settings": _settings(kind, namespace, features), "mappings": {"_meta": mark(), **mappings}}
    if kind not in indices.UNDATED:
        body["aliases"] = {indices.alias(kind, namespace): {}}
    return {
        "index_patterns": [indices.pattern(kind, namespace)],
        "priority": PRIORITY,
        "template": body,
        "_meta": mark(),
    }


def _settings(kind: str, namespace: str, features: Features) -> Json:
    settings: Json = {
        "index.number_of_shards": 1,
        # A copy as soon as there is a second machine to hold it.
        "index.auto_expand_replicas": "0-1",
        "index.refresh_interval": REFRESH,
        "index.codec": "best_compression",
    }
    if features.index_mode:
        # Never left to the server, whose default depends on names and versions. Not logsdb: it sorts, and on some
        # licences rebuilds documents from their fields.
        settings["index.mode"] = "standard"
    if features.ilm and kind not in indices.UNDATED:
        settings["index.lifecycle.name"] = policy_name(namespace)
    if kind != "sampler" and features.path_tree:
        settings[f"index.analysis.analyzer.{TREE_ANALYZER}.type"] = "custom"
        settings[f"index.analysis.analyzer.{TREE_ANALYZER}.tokenizer"] = "path_hierarchy"
    return settings


def _mappings(fields: Iterable[Field], features: Features) -> Json:
    properties: Json = {}
    for field in fields:
        *parents, name = field.name.split(".")
        level = properties
        for parent in parents:
            level = level.setdefault(parent, {"properties": {}})["properties"]
        level[name] = _type(field.type, features)
    label: Json = {"path_match": "labels.*", "mapping": _keyword(WORD_CHARS)}
    return {"dynamic": False, "dynamic_templates": [{"labels": label}], "properties": properties}


def _type(kind: Type, features: Features) -> Json:
    match kind:
        case Type.DATE:
            return {"type": "date_nanos"}
        case Type.KEYWORD:
            return _keyword(WORD_CHARS)
        case Type.LABELS:
            return {"type": "object", "dynamic": True}
        case Type.WILDCARD if features.wildcard:
            return {"type": "wildcard", "ignore_above": PATH_CHARS}
        case Type.TREE if features.path_tree:
            return {**_keyword(PATH_CHARS), "fields": {"tree": _tree()}}
        case Type.PATH | Type.WILDCARD | Type.TREE:
            return _keyword(PATH_CHARS)
    return {"type": kind.value}


def _keyword(longest: int) -> Json:
    return {"type": "keyword", "ignore_above": longest}


def _tree() -> Json:
    """Each folder of a path is a term; norms and positions would only take space."""
    return {
        "type": "text",
        "analyzer": TREE_ANALYZER,
        "search_analyzer": "keyword",
        "norms": False,
        "index_options": "docs",
    }


# The sampler's documents have Metricbeat's shape, and Metricbeat adds fields from release to release: so they map
# themselves, by rules that give a field the same type whatever its first value is. A 0 must not make it whole numbers.
_DOUBLES = ("*.pct", "*.norm.*", "system.diskio.iostat.*")
_LOADS = ("1", "5", "15")


def _sampler_mappings() -> Json:
    rules = [
        {f"fraction_{number}_{seen}": {"path_match": path, "match_mapping_type": seen, "mapping": {"type": "double"}}}
        for number, path in enumerate(_DOUBLES)
        for seen in ("long", "double")
    ]
    rules += [
        {"words": {"match_mapping_type": "string", "mapping": _keyword(PATH_CHARS)}},
        {"fractions": {"match_mapping_type": "double", "mapping": {"type": "double"}}},
    ]
    load = {name: {"type": "double"} for name in _LOADS}
    start = {"properties": {"cpu": {"properties": {"start_time": {"type": "date"}}}}}
    properties = {
        "@timestamp": {"type": "date"},
        "host": {"properties": {"cpu": {"properties": {"usage": {"type": "double"}}}}},
        "process": start,
        "system": {"properties": {"load": {"properties": load}, "process": start}},
    }
    return {"date_detection": False, "numeric_detection": False, "dynamic_templates": rules, "properties": properties}
