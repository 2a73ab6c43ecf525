"""Brings a bundle into Kibana or OpenSearch Dashboards by their import API, and says what each refusal means.

Importing again changes nothing: every object has an id of its own and replaces itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from glassfs.elastic.client import Answer, Client
from glassfs.elastic.dashboards import bundles
from glassfs.elastic.dashboards.saved import Json, ndjson
from glassfs.errors import BadUsage, EnvironmentProblem, GlassfsError, ServerRefused, ServerUnreachable

# Kibana asks for the first, OpenSearch Dashboards for the second; neither minds the other's.
_XSRF = {"kbn-xsrf": "true", "osd-xsrf": "true"}
# OpenSearch Dashboards began at 1 when Kibana was at 7.
_FIRST_KIBANA_MAJOR = 7
OLDEST = {"Kibana": (7, 17), "OpenSearch Dashboards": (2, 0)}
_DEFAULT_SPACE = "default"

_MEANINGS = {
    "unsupported_type": "this version does not know the type",
    "conflict": "another object has this id",
    "ambiguous_conflict": "several objects have this id",
    "missing_references": "what it refers to is not there",
}


@dataclass(frozen=True)
class Viewer:
    """`name`: Kibana or OpenSearch Dashboards."""

    name: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.version))}"

    @property
    def bundle(self) -> str:
        is_lens = self.name == "Kibana" and self.version[:2] >= bundles.LENS_SINCE
        return bundles.LENS if is_lens else bundles.CLASSIC


@dataclass(frozen=True)
class Refusal:
    """One object, or one whole dashboard with its panels, that was not taken."""

    what: str
    why: str


@dataclass(frozen=True)
class Imported:
    viewer: Viewer
    bundle: str
    objects: int
    first: str
    refused: tuple[Refusal, ...] = field(default_factory=tuple)


def bring(client: Client, space: str | None = None, bundle: str | None = None) -> Imported:
    """All dashboards into the viewer that `client` talks to. `bundle` None: the one for its version. GlassfsError if
    it takes nothing at all; what it took stays, what it refused is in the answer."""
    viewer = _viewer(client)
    prefix = _space_prefix(client, viewer, space)
    name = bundle or viewer.bundle
    objects = bundles.objects(name)
    first = f"{client.hosts[0]}{prefix}/app/dashboards#/view/{bundles.FIRST}"
    answer = _post(client, prefix, objects)
    if answer.status == 422:
        # One object with a mark too new has the whole request refused.
        taken, refused = _one_board_at_a_time(client, prefix, objects, answer)
    else:
        taken, refused = _judged(answer, len(objects))
    return Imported(viewer, name, taken, first, tuple(refused))


def _viewer(client: Client) -> Viewer:
    try:
        answer = client.request("GET", "/api/status")
    except ServerUnreachable as problem:
        next_step = "Is it running, and the address right? Kibana's is http://HOST:5601 unless it was changed."
        raise ServerUnreachable(problem.what, where=problem.where, next_step=next_step) from problem
    if answer.status in (401, 403):
        raise _refusal(answer)
    number = _version_of(answer.document)
    if not answer.ok or number is None:
        raise _no_viewer(answer)
    viewer = Viewer("Kibana" if number[0] >= _FIRST_KIBANA_MAJOR else "OpenSearch Dashboards", number)
    if viewer.version[:2] < OLDEST[viewer.name]:
        oldest = ".".join(map(str, OLDEST[viewer.name]))
        raise EnvironmentProblem(f"{viewer} is too old", where=answer.host, next_step=f"{oldest} or newer is needed.")
    return viewer


def _version_of(document: Any) -> tuple[int, int, int] | None:
    version = document.get("version") if isinstance(document, dict) else None
    number = version.get("number", "") if isinstance(version, dict) else ""
    parts = str(number).partition("-")[0].split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return None
    return int(parts[0]), int(parts[1]), int(parts[2])


def _no_viewer(answer: Answer) -> GlassfsError:
    if isinstance(answer.document, dict) and "status" in answer.document:
        # Kibana 8 keeps its version from those it does not know.
        next_step = "Set elastic.api_key_file, or elastic.user and elastic.password_file."
        return ServerRefused("it wants a key or a password", where=answer.host, next_step=next_step)
    return ServerRefused(
        f"no Kibana and no OpenSearch Dashboards answers there ({answer.status})",
        where=f"{answer.host}/api/status",
        next_step="If it has a base path (server.basePath), give that too: http://HOST:5601/kibana",
    )


def _space_prefix(client: Client, viewer: Viewer, space: str | None) -> str:
    """Kibana takes an import into a space that is not there, and nobody finds it again: so it is asked first."""
    if space is None or space == _DEFAULT_SPACE:
        return ""
    if viewer.name != "Kibana":
        raise BadUsage(f"{viewer.name} has no spaces", next_step="Leave --space out.")
    answer = client.request("GET", f"/api/spaces/space/{quote(space, safe='')}", headers=_XSRF)
    if answer.status == 404:
        there = _spaces(client)
        hint = f"There are: {', '.join(there)}." if there else "Make it in Kibana, under Stack Management."
        raise ServerRefused(f"there is no space '{space}'", where=answer.host, next_step=hint)
    if not answer.ok:
        raise _refusal(answer)
    return f"/s/{quote(space, safe='')}"


def _spaces(client: Client) -> list[str]:
    document = client.request("GET", "/api/spaces/space", headers=_XSRF).document
    return [str(each["id"]) for each in document if "id" in each] if isinstance(document, list) else []


def _post(client: Client, prefix: str, objects: Iterable[Json]) -> Answer:
    boundary = f"glassfs-{secrets.token_hex(16)}"
    head = 'Content-Disposition: form-data; name="file"; filename="glassfs.ndjson"\r\nContent-Type: application/ndjson'
    body = f"--{boundary}\r\n{head}\r\n\r\n{ndjson(objects)}\r\n--{boundary}--\r\n".encode()
    headers = {**_XSRF, "Content-Type": f"multipart/form-data; boundary={boundary}"}
    path = f"{prefix}/api/saved_objects/_import"
    return client.request("POST", path, body=body, params={"overwrite": "true"}, headers=headers)


def _one_board_at_a_time(
    client: Client, prefix: str, objects: Sequence[Json], whole: Answer
) -> tuple[int, list[Refusal]]:
    taken, refused = 0, []
    for board in (each for each in objects if each["type"] == "dashboard"):
        parts = _with_references(board, objects)
        answer = _post(client, prefix, parts)
        if answer.status == 422:
            refused.append(Refusal(str(board["attributes"]["title"]), _message(answer)))
            continue
        count, errors = _judged(answer, len(parts))
        taken += count
        refused += errors
    if not taken:
        raise _refusal(whole)
    return taken, refused


def _with_references(board: Json, objects: Sequence[Json]) -> list[Json]:
    by_key = {(each["type"], each["id"]): each for each in objects}
    wanted: dict[tuple[str, str], Json] = {}

    def add(one: Json) -> None:
        for reference in one["references"]:
            add(by_key[reference["type"], reference["id"]])
        wanted[one["type"], one["id"]] = one

    add(board)
    return list(wanted.values())


def _judged(answer: Answer, sent: int) -> tuple[int, list[Refusal]]:
    """`success: false` comes with status 200, and what is not in `errors` was taken."""
    document = answer.document
    if not answer.ok or not isinstance(document, dict) or "success" not in document:
        raise _refusal(answer)
    errors = [_refused(each) for each in document.get("errors", [])]
    if not document["success"] and not errors:
        raise ServerRefused("the import failed, and the viewer does not say why", where=answer.host)
    return int(document.get("successCount", sent - len(errors))), errors


def _refused(error: Json) -> Refusal:
    cause = error.get("error", {})
    kind = str(cause.get("type", "unknown"))
    title = error.get("title") or error.get("meta", {}).get("title") or error.get("id")
    why = _MEANINGS.get(kind) or str(cause.get("message") or f"for a reason it calls {kind}")
    if kind == "missing_references":
        missing = ", ".join(f"{each.get('type')} {each.get('id')}" for each in cause.get("references", []))
        why = f"{why}: {missing}"
    return Refusal(f"{error.get('type')} {title}", why)


def _refusal(answer: Answer) -> GlassfsError:
    message = _message(answer)
    where = answer.host
    match answer.status:
        case 401:
            next_step = "Set elastic.api_key_file, or elastic.user and elastic.password_file."
            return ServerRefused("the viewer does not accept the key or password", where=where, next_step=next_step)
        case 403:
            next_step = "In Kibana the key needs the privilege Saved Objects Management: all, in that space."
            return ServerRefused(f"not allowed to import: {message}", where=where, next_step=next_step)
        case 404:
            return ServerRefused("there is no import API at this address", where=where, next_step=None)
        case 413:
            next_step = "Raise savedObjects.maxImportPayloadBytes there, or the limit of the proxy before it."
            return ServerRefused("the viewer or a proxy finds the bundle too large", where=where, next_step=next_step)
    return ServerRefused(f"the viewer refused the import ({answer.status}): {message}", where=where)


def _message(answer: Answer) -> str:
    document = answer.document
    said = document.get("message") if isinstance(document, dict) else document
    return " ".join(str(said or "it does not say why").split())
