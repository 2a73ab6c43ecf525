"""What a refusal of the server means: one clear message each. Knows answers, sends nothing."""

from __future__ import annotations

import re
from typing import Any

from glassfs.elastic.client import Answer
from glassfs.errors import GlassfsError, ServerRefused

# Of a reason that we do not know, as much as fits on a few lines.
REASON_CHARS = 300

_PRIVILEGES = re.compile(r"this action is granted by the (?P<scope>index|cluster) privileges \[(?P<names>[^\]]*)\]")
_ACTION = re.compile(r"action \[(?P<action>[^\]]*)\]")
_ON = re.compile(r"on indices \[(?P<indices>[^\]]*)\]")
# OpenSearch's security plug-in names the action only.
_NO_PERMISSIONS = re.compile(r"no permissions for \[(?P<action>[^\]]*)\]")


def explain(answer: Answer, doing: str = "") -> GlassfsError:
    """The error of an answer that is not 2xx. `doing`: what was asked for, such as "making the template X"."""
    kind, reason = cause(answer)
    where = answer.host + (f" ({doing})" if doing else "")
    what, next_step = _meaning(answer.status, kind, reason)
    return ServerRefused(what, where=where or None, next_step=next_step)


def of_item(item: dict[str, Any], host: str = "") -> GlassfsError:
    """The error of one item of a bulk request's answer: `{"status": 403, "error": {...}, "_index": ...}`."""
    return explain(Answer(int(item.get("status", 0)), {"error": item.get("error", {})}, host))


def cause(answer: Answer) -> tuple[str, str]:
    """The deepest type and reason that an error names; works on a bulk item's `error` in an answer, too."""
    document = answer.document
    if not isinstance(document, dict):
        return "", str(document or "")
    error = document.get("error", document)
    if isinstance(error, str):
        return "", error
    return _deepest(error)


def _deepest(error: dict[str, Any]) -> tuple[str, str]:
    """Elasticsearch wraps: the outermost says `what`, the innermost `caused_by` says why."""
    kind, reason = str(error.get("type", "")), str(error.get("reason", ""))
    below = error.get("caused_by")
    while isinstance(below, dict) and below.get("reason"):
        reason = f"{reason}: {below['reason']}" if below["reason"] not in reason else reason
        below = below.get("caused_by")
    return kind, reason


def _meaning(status: int, kind: str, reason: str) -> tuple[str, str | None]:
    """What it means and the next step."""
    if status == 401:
        return _who_are_you(reason)
    if (
        (status == 403 and kind == "cluster_block_exception")
        or "index_block" in reason
        or kind == "cluster_block_exception"
    ):
        return _blocked(reason)
    if status == 403:
        return _not_allowed(reason)
    if status == 429:
        return "the server is overloaded (429)", "It is tried again by itself; fewer calls or a larger cluster help."
    if status >= 500:
        return f"the server failed ({status}): {_short(reason)}", "Look into the server's log."
    return _misfit(kind, reason) or _conflict(reason) or (f"the server refused ({status}): {_short(reason)}", None)


def _who_are_you(reason: str) -> tuple[str, str]:
    if "missing authentication" in reason:
        return "the server wants a key", "Set elastic.api_key_file (docs/how-to/elasticsearch.md makes one)."
    return "the server does not accept this key or password", "Is it of this cluster, and not expired or invalidated?"


def _not_allowed(reason: str) -> tuple[str, str]:
    next_step = "docs/how-to/elasticsearch.md has the privileges that the key needs, as JSON."
    granted, on = _PRIVILEGES.search(reason), _ON.search(reason)
    if granted:
        # Elasticsearch lists every privilege that would do, the narrowest first.
        first = granted["names"].split(",")[0]
        place = f" on {on['indices']}" if on else ""
        return f"the key lacks the {granted['scope']} privilege {first}{place}", next_step
    action = _NO_PERMISSIONS.search(reason) or _ACTION.search(reason)
    if action:
        return f"the key lacks the privilege for {action['action']}", next_step
    return f"not allowed: {_short(reason)}", next_step


def _blocked(reason: str) -> tuple[str, str | None]:
    if "flood-stage" in reason or "read-only-allow-delete" in reason:
        return (
            "the cluster is out of disk and takes nothing (flood stage)",
            "Free disk space there, or delete old indices: glassfs elastic prune.",
        )
    if (
        "cluster read-only" in reason
        or "index read-only" in reason
        or "FORBIDDEN/5" in reason
        or "FORBIDDEN/8" in reason
    ):
        return "the cluster or index is set read-only", "Whoever set cluster.blocks or index.blocks can take it back."
    return f"the cluster does not take this now: {_short(reason)}", None


def _misfit(kind: str, reason: str) -> tuple[str, str | None] | None:
    if kind not in ("mapper_parsing_exception", "document_parsing_exception", "strict_dynamic_mapping_exception"):
        return None
    next_step = "Was the index made by another program, or before `glassfs elastic setup`? Then delete it or rename it."
    return f"the document does not fit the index: {_short(reason)}", next_step


def _conflict(reason: str) -> tuple[str, str | None] | None:
    if "same priority" in reason:
        return f"another template claims these names: {_short(reason)}", "Change its patterns or its priority."
    if "same name as" in reason or ("alias" in reason and "exists" in reason):
        return f"the name is taken: {_short(reason)}", "Rename what is there, or set another elastic.namespace."
    return None


def _short(reason: str) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= REASON_CHARS else f"{text[:REASON_CHARS]} ..."
