"""A server with x-pack security and TLS, as a distribution's own installation has them, and keys made on it."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassfs.config.model import Elastic
from glassfs.config.secrets import Credentials
from glassfs.elastic.client import Client
from support.servers import RealServer

ADMIN = "admin:only-for-this-test"
# Of the file realm: bcrypt of the above.
SECURED = (
    "xpack.security.enabled: true",
    "xpack.security.http.ssl.enabled: true",
    "xpack.security.http.ssl.key: certs/http.key",
    "xpack.security.http.ssl.certificate: certs/http.crt",
)


@dataclass
class Secured:
    server: RealServer
    ca_file: Path
    other_ca_file: Path

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        return self.server.ask(method, path, document, user=ADMIN, allow=(404,))

    def api_key(self, cluster: list[str], indices: list[dict[str, Any]]) -> dict[str, str]:
        """A key with these privileges: `id`, `api_key`, and both as `encoded`."""
        role = {"glassfs": {"cluster": cluster, "indices": indices}}
        answer: dict[str, str] = self.ask("POST", "/_security/api_key", {"name": "a test", "role_descriptors": role})
        return answer

    def elastic(self, **more: Any) -> Elastic:
        return Elastic(**{"hosts": [self.server.url], "ca_file": str(self.ca_file), **more})

    def client(self, key: str | None = None, **more: Any) -> Client:
        return Client(self.elastic(**more), Credentials(api_key=key))


def make_admin(server: RealServer) -> None:
    """A user of the file realm, whose password is hashed by the server's own rules (PBKDF2 needs no tool)."""
    name, password = ADMIN.split(":")
    (server.config / "users").write_text(f"{name}:{pbkdf2(password)}\n")
    (server.config / "users_roles").write_text(f"superuser:{name}\n")


def pbkdf2(password: str) -> str:
    """As xpack.security.authc.password_hashing.algorithm: pbkdf2 stores it."""
    salt, cost = b"glassfs-glassfs-glassfs-glassfs-", 10000
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, cost, dklen=32)
    return f"{{PBKDF2}}{cost}${base64.b64encode(salt).decode()}${base64.b64encode(hashed).decode()}"


def make_certificates(folder: Path) -> Path:
    """An authority, a certificate of it for 127.0.0.1, and another authority that has nothing to do with it."""
    folder.mkdir(parents=True)
    for name in ("http_ca", "other_ca"):
        new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        openssl(folder, *new, "-keyout", f"{name}.key", "-out", f"{name}.crt")
    request = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-keyout", "http.key", "-out", "http.csr"]
    openssl(folder, *request)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    signed = ["x509", "-req", "-in", "http.csr", "-CA", "http_ca.crt", "-CAkey", "http_ca.key", "-CAcreateserial"]
    openssl(folder, *signed, "-days", "2", "-extfile", "names", "-out", "http.crt")
    return folder


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)
