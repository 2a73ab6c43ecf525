"""Real Elasticsearch and OpenSearch for tests, started by tools/elastic.sh in folders of their own.

The fixture `server` gives each test that asks for it every version chosen: the two of `make test`, or those named in
GLASSFS_TEST_ELASTIC. One of them at a time lives, for all tests of the session that want it.
"""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.recorder import REPOSITORY
from support.waiting import wait_until

TOOL = REPOSITORY / "tools/elastic.sh"
IN_MAKE_TEST = "opensearch-2.19.1 elasticsearch-8.19.0"
# A first start downloads up to 100 MB and then waits for a cold JVM on a busy machine.
UP_S = 420
DOWN_S = 60
ANSWER_S = 60


def chosen() -> list[str]:
    return os.environ.get("GLASSFS_TEST_ELASTIC", IN_MAKE_TEST).split()


@dataclass
class RealServer:
    """One server. `folder` holds its data and its log; it outlives `down` and `kill`, so that `up` finds all again."""

    version: str
    folder: Path
    settings: tuple[str, ...] = ()
    port: int = field(default_factory=lambda: two_free_ports())
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def is_elasticsearch(self) -> bool:
        return self.version.startswith("elasticsearch")

    @property
    def config(self) -> Path:
        return self.folder / self.version / "config"

    def up(self) -> None:
        done = self._tool("up", self.version, *self.settings, timeout=UP_S)
        assert done.returncode == 0, f"{self.version} did not start:\n{done.stdout}{done.stderr}\n{self.log_tail()}"

    def down(self) -> None:
        self._tool("down", timeout=DOWN_S)

    def kill(self) -> None:
        """kill -9; its state file stays, so `up` starts it again on the same port and data."""
        pid = int((self.folder / "server").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), f"the end of {self.version}")

    def log_tail(self) -> str:
        logs = sorted((self.folder / self.version / "logs").glob("*.log"))
        return "\n".join(f"--- {log}\n{log.read_text(errors='replace')[-2000:]}" for log in logs if log.stat().st_size)

    def ask(self, method: str, path: str, document: Any = None, *, user: str = "", allow: tuple[int, ...] = ()) -> Any:
        """Not through glassfs's client: what the server has, told by another. Fails unless 2xx or `allow`ed."""
        status, said = self.try_to(method, path, document, user=user)
        assert 200 <= status < 300 or status in allow, f"{method} {path}: {status} {said}"
        return said

    def try_to(self, method: str, path: str, document: Any = None, *, user: str = "") -> tuple[int, Any]:
        body = document if isinstance(document, bytes) or document is None else json.dumps(document).encode()
        kind = "application/x-ndjson" if isinstance(document, bytes) else "application/json"
        request = urllib.request.Request(f"{self.url}{path}", body, {"Content-Type": kind}, method=method)
        if user:
            import base64

            request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S, context=unchecked) as answer:
                return answer.status, _parsed(answer.read())
        except urllib.error.HTTPError as refusal:
            return refusal.code, _parsed(refusal.read())

    def forget_everything(self) -> None:
        """No index, template, policy or block of ours or of a test is left."""
        # One at a time: a read-only cluster takes nothing but the one setting that ends it.
        for block in ("read_only", "read_only_allow_delete"):
            self.ask("PUT", "/_cluster/settings", {"persistent": {f"cluster.blocks.{block}": None}})
        for name in self.ask("GET", "/_cat/indices?format=json&h=index&expand_wildcards=open"):
            self.ask("DELETE", f"/{name['index']}", allow=(404,))
        for template in self.ask("GET", "/_index_template")["index_templates"]:
            if not template["index_template"].get("_meta", {}).get("managed"):
                self.ask("DELETE", f"/_index_template/{template['name']}", allow=(404,))

    def _tool(self, *words: str, timeout: float) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "ELASTIC_DIR": str(self.folder), "ELASTIC_PORT": str(self.port)}
        return subprocess.run(
            [TOOL, *words], env=environment, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text.decode(errors="replace")


def two_free_ports() -> int:
    """A port that is free, and the next one, which the server talks to itself on."""

    def found() -> int | None:
        with socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                next_one.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                return None
            return port

    port = wait_until(found, "two free ports")
    assert isinstance(port, int)
    return port


@contextmanager
def real_server(version: str, *settings: str, scheme: str = "http", before: Any = None) -> Iterator[RealServer]:
    """A running server in a fresh folder, which stays behind, with the log, if a test failed meanwhile.

    `before`: called with the server before it starts, to put files into its `config`.
    """
    missing = [tool for tool in ("java", "mvn", "unzip", "curl") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (tools/deps.sh elastic)")
    server = RealServer(version, Path(tempfile.mkdtemp(prefix="glassfs-elastic-")), settings, scheme=scheme)
    try:
        if before is not None:
            before(server)
        server.up()
        yield server
    finally:
        server.down()


@pytest.fixture(scope="session", params=chosen())
def running_server(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    with real_server(request.param) as server:
        failed_before = request.session.testsfailed
        yield server
    if request.session.testsfailed == failed_before:
        shutil.rmtree(server.folder, ignore_errors=True)
    else:
        print(f"\nthe log of {server.version}: {server.folder}")


@pytest.fixture
def server(running_server: RealServer) -> RealServer:
    """A running server that holds nothing of an earlier test."""
    running_server.forget_everything()
    return running_server
