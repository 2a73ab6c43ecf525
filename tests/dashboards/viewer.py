"""A viewer's import endpoint over loopback: what Kibana and OpenSearch Dashboards demand of a request, and `strict` of what
is in it. Knows nothing of the model that made the objects.
"""

from __future__ import annotations

import email
import email.policy
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dashboards.strict import Json, Key, Refused, error_of, errors_of, kind_of, parsed


@dataclass
class Viewer:
    """`objects`: what was taken, by space. `requests`: the imports that were asked for."""

    flavour: str = "kibana"
    version: str = "8.19.0"
    spaces: tuple[str, ...] = ("default", "team")
    authorization: str | None = None
    forbidden: bool = False
    objects: dict[str, dict[Key, Json]] = field(default_factory=dict)
    imports: int = 0
    url: str = ""

    @property
    def kind(self) -> str:
        return kind_of(self.flavour, self.version)

    def take(self, space: str, objects: list[Json], overwrite: bool) -> Json:
        self.imports += 1
        there = self.objects.setdefault(space, {})
        errors = errors_of(objects, self.kind, set(there))
        bad = {(each["type"], each["id"]) for each in errors}
        for one in objects:
            key = (one["type"], one["id"])
            if key in bad:
                continue
            if key in there and not overwrite:
                errors.append(error_of(one, {"type": "conflict"}))
                continue
            there[key] = one
        count = len(objects) - len(errors)
        return {"success": not errors, "successCount": count, **({"errors": errors} if errors else {})}


@contextmanager
def running(viewer: Viewer) -> Iterator[Viewer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._answered(self._get)

        def do_POST(self) -> None:
            self._answered(self._post)

        def _answered(self, how: Any) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                status, document = 200, how(body)
            except Refused as problem:
                status = problem.status
                document = {"statusCode": status, "error": "refused", "message": str(problem)}
            raw = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def _known(self) -> None:
            if viewer.authorization and self.headers.get("Authorization") != viewer.authorization:
                raise Refused(401, "Unauthorized")

        def _get(self, _: bytes) -> Any:
            path = urlsplit(self.path).path
            if path == "/api/status":
                if viewer.authorization and self.headers.get("Authorization") is None and viewer.kind == "kibana8":
                    return {"status": {"overall": {"level": "available"}}}
                self._known()
                return {"name": "x", "version": {"number": viewer.version}, "status": {"overall": {}}}
            self._known()
            if viewer.flavour == "kibana" and path == "/api/spaces/space":
                return [{"id": space} for space in viewer.spaces]
            if viewer.flavour == "kibana" and path.removeprefix("/api/spaces/space/") in viewer.spaces:
                return {"id": path.rpartition("/")[2]}
            raise Refused(404, "Not Found")

        def _post(self, body: bytes) -> Any:
            self._known()
            header = "osd-xsrf" if viewer.flavour == "osd" else "kbn-xsrf"
            if not self.headers.get(header):
                raise Refused(400, f"Request must contain a {header} header.")
            parts = urlsplit(self.path)
            found = re.fullmatch(r"(?:/s/([^/]+))?/api/saved_objects/_import", parts.path)
            if found is None or (found[1] and viewer.flavour == "osd"):
                raise Refused(404, "Not Found")
            if viewer.forbidden:
                raise Refused(403, "Unable to bulk_create dashboard,index-pattern,visualization")
            text = self._file(body)
            overwrite = parse_qs(parts.query).get("overwrite") == ["true"]
            return viewer.take(found[1] or "default", parsed(text), overwrite)

        def _file(self, body: bytes) -> str:
            kind = self.headers.get("Content-Type", "")
            if not kind.startswith("multipart/form-data; boundary="):
                raise Refused(415, "Unsupported Media Type")
            message = email.message_from_bytes(
                b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP
            )
            files = [
                part for part in message.iter_parts() if part.get_param("name", header="content-disposition") == "file"
            ]
            if len(files) != 1:
                raise Refused(400, "[request body.file]: expected value of type [Stream] but got [undefined]")
            if not (files[0].get_filename() or "").endswith(".ndjson"):
                raise Refused(400, "Invalid file extension")
            content: bytes = files[0].get_payload(decode=True)
            return content.decode()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    viewer.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield viewer
    finally:
        server.shutdown()
        server.server_close()
