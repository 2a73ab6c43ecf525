"""A wrong address, key, certificate or privilege: one clear message each, on real servers, and no secret in it."""

import http.server
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from secured import ADMIN, Secured

from glassfs.config.model import Elastic
from glassfs.config.secrets import Credentials
from glassfs.elastic import indices, problems, prune, setup
from glassfs.elastic.client import Client
from glassfs.elastic.server import detect
from glassfs.errors import BadUsage, GlassfsError, ServerRefused, ServerUnreachable
from support.servers import RealServer, two_free_ports

HOW_TO = Path(__file__).parents[2] / "docs/how-to/elasticsearch.md"
GLASSFS = Path(sys.executable).parent / "glassfs"
NS = "default"


def message(client: Client) -> str:
    with pytest.raises(GlassfsError) as problem:
        detect(client)
    return str(problem.value)


def plain(host: str, **more: Any) -> Client:
    return Client(Elastic(hosts=[host], **more), Credentials())


def documented_role(title: str) -> dict[str, Any]:
    """The privileges in the how-to, under the heading: what people copy is what is tested."""
    block = re.search(rf"### {title}.*?```json\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    assert block is not None, title
    role: dict[str, Any] = json.loads(block[1])["role_descriptors"]["glassfs"]
    return role


@pytest.fixture
def not_http() -> Iterator[str]:
    """Something that is no HTTP server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"220 mail.example ESMTP\r\n")

        threading.Thread(target=greet, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[str]:
    """A web server that is no Elasticsearch."""
    (tmp_path / "index.html").write_text("<html>hello</html>")
    port = two_free_ports()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", tmp_path]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        from support.waiting import wait_until

        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "the web server")
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def test_no_server_is_said_with_the_next_step() -> None:
    said = message(plain(f"http://127.0.0.1:{two_free_ports()}"))
    assert "cannot connect: connection refused" in said and "make elastic-up" in said


def test_an_unknown_name_is_said() -> None:
    assert "name" in message(plain("https://elastic.invalid:9200"))


def test_something_that_speaks_no_http_is_said(not_http: str) -> None:
    assert "does not answer in HTTP" in message(plain(not_http))


def test_another_web_server_is_no_elasticsearch(web_server: str) -> None:
    assert "neither Elasticsearch nor OpenSearch (HTTP 200)" in message(plain(web_server))


def test_the_next_host_is_tried_and_kept(server: RealServer) -> None:
    dead = f"http://127.0.0.1:{two_free_ports()}"
    with Client(Elastic(hosts=[dead, server.url]), Credentials()) as client:
        assert {client.request("GET", "/_cluster/health").host for _ in range(3)} == {server.url}


def test_of_several_dead_hosts_each_is_named_with_its_reason() -> None:
    hosts = [f"http://127.0.0.1:{two_free_ports()}" for _ in range(2)]
    with Client(Elastic(hosts=hosts), Credentials()) as client, pytest.raises(ServerUnreachable) as problem:
        client.request("GET", "/")
    assert all(f"{host} (cannot connect: connection refused)" in str(problem.value) for host in hosts)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("http://192.0.2.1:9200", "in the clear"),
        ("http://localhost.example.com:9200", "in the clear"),
        ("https://elastic:changeme@127.0.0.1:9200", "must not hold a password"),
        ("127.0.0.1:9200", "this is no address"),
        ("ftp://127.0.0.1", "this is no address"),
        ("http://", "this is no address"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused_before_anything_is_sent(host: str, expected: str) -> None:
    with pytest.raises(BadUsage) as problem:
        plain(host)
    assert expected in str(problem.value) and "changeme" not in str(problem.value)


def test_plain_http_is_used_where_it_is_allowed_or_does_not_leave_the_machine() -> None:
    plain("http://192.0.2.1:9200", allow_insecure_http=True)
    for loopback in ("http://localhost:9200", "http://127.0.0.9:9200", "http://[::1]:9200"):
        plain(loopback)


def test_https_to_a_plain_server_and_the_other_way_round(server: RealServer, secured: Secured) -> None:
    assert "does not speak TLS" in message(plain(f"https://127.0.0.1:{server.port}"))
    assert f"Is it https://127.0.0.1:{secured.server.port}" in message(plain(f"http://127.0.0.1:{secured.server.port}"))


def test_a_certificate_of_an_unknown_authority_is_said(secured: Secured) -> None:
    for client in (plain(secured.server.url), secured.client(ca_file=str(secured.other_ca_file))):
        said = message(client)
        assert "certificate is not trusted" in said and "elastic.ca_file" in said


def test_a_certificate_of_another_name_is_said(secured: Secured) -> None:
    said = message(secured.client(hosts=[f"https://localhost:{secured.server.port}"]))
    assert "certificate is not trusted" in said and "the name that the certificate was made for" in said


def test_a_ca_file_that_is_none_is_said(tmp_path: Path) -> None:
    no_certificate = tmp_path / "ca.crt"
    for expected in ("no such file", "no certificate in PEM form"):
        with pytest.raises(GlassfsError) as problem:
            plain("https://127.0.0.1:9200", ca_file=str(no_certificate))
        assert expected in str(problem.value)
        no_certificate.write_text("not a certificate")


def test_a_missing_and_a_wrong_key_are_two_messages(secured: Secured) -> None:
    assert "the server wants a key" in message(secured.client())
    for key in ("bm90OnRoaXM=", "not:this-secret"):
        said = message(secured.client(key))
        assert "does not accept this key" in said and key not in said and "this-secret" not in said
    with Client(secured.elastic(), Credentials(user="admin", password="wrong-secret")) as client:
        assert "does not accept this key or password" in message(client) and "wrong-secret" not in repr(client)


def test_a_key_works_in_both_of_its_forms_and_so_do_user_and_password(secured: Secured) -> None:
    made = secured.api_key(["monitor"], [])
    for key in (made["encoded"], f"{made['id']}:{made['api_key']}"):
        assert detect(secured.client(key)).version == (8, 19, 0)
    name, _, password = ADMIN.partition(":")
    with Client(secured.elastic(), Credentials(user=name, password=password)) as client:
        assert detect(client).distribution == "elasticsearch"


def set_up(client: Client) -> list[str]:
    planned = setup.plan(client, NS, 7)
    return [step.state for step in setup.apply(client, planned)]


def test_the_documented_key_for_setup_and_pruning_is_enough(secured: Secured) -> None:
    role = documented_role("A key for setup")
    key = secured.api_key(role["cluster"], role["indices"])["encoded"]
    assert len(set_up(secured.client(key))) == 4
    index = indices.events(NS, 0)
    secured.ask("PUT", f"/{index}")
    old = [one for one in prune.old_indices(secured.client(key), NS, 0, 1 << 62) if one.name == index]
    assert [one.name for one in prune.delete(secured.client(key), old)] == [index]


@pytest.mark.parametrize("missing", ["monitor", "manage_index_templates", "view_index_metadata"])
def test_a_privilege_that_setup_lacks_is_named(secured: Secured, missing: str) -> None:
    role = documented_role("A key for setup")
    cluster = [name for name in role["cluster"] if name != missing]
    granted = [{**one, "privileges": [p for p in one["privileges"] if p != missing]} for one in role["indices"]]
    with pytest.raises(ServerRefused) as problem:
        set_up(secured.client(secured.api_key(cluster, granted)["encoded"]))
    assert f"privilege {missing}" in str(problem.value), problem.value


@pytest.mark.parametrize("missing", ["delete_index", "view_index_metadata", "monitor"])
def test_a_privilege_that_pruning_lacks_is_named(secured: Secured, missing: str) -> None:
    index = indices.events(NS, 0)
    admin = Client(secured.elastic(), Credentials(user="admin", password=ADMIN.partition(":")[2]))
    set_up(admin)
    secured.ask("DELETE", f"/{index}")
    secured.ask("PUT", f"/{index}")
    role = documented_role("A key for setup")
    granted = [{**one, "privileges": [p for p in one["privileges"] if p != missing]} for one in role["indices"]]
    client = secured.client(secured.api_key(["monitor"], granted)["encoded"])
    with pytest.raises(ServerRefused) as problem:
        list(prune.delete(client, prune.old_indices(client, NS, 0, 1 << 62)))
    assert f"index privilege {missing} on " in str(problem.value), problem.value


BULK = (
    b'{"create":{"_index":"glassfs-events-keys-2026.11.24","_id":"%d"}}\n{"@timestamp":"2026-11-24T10:00:00Z"}\n'
    b'{"index":{"_index":"glassfs-totals-keys-2026.11.24","_id":"%d"}}\n{"@timestamp":"2026-11-24T10:00:00Z"}\n'
)


def bulk(client: Client, number: int) -> list[dict[str, Any]]:
    answer = client.request("POST", "/_bulk", body=BULK % (number, number), gzip=True)
    assert answer.ok
    return [next(iter(item.values())) for item in answer.document["items"]]


def test_the_documented_key_for_shipping_is_enough_and_no_more(secured: Secured) -> None:
    role = documented_role("A key for shipping")
    client = secured.client(secured.api_key(role["cluster"], role["indices"])["encoded"])
    detect(client)
    for name in ("glassfs-events-keys", "glassfs-totals-keys"):
        secured.ask("DELETE", f"/{name}-2026.11.24")
    assert [item["status"] for item in bulk(client, 1)] == [201, 201], "and it makes the indices"
    setup_was_forgotten = pytest.raises(GlassfsError, match="not set up")
    with setup_was_forgotten:
        setup.require(client, "keys")
    assert client.request("GET", "/glassfs-events-keys-2026.11.24/_search").status in (200, 403)
    for method, path in (("DELETE", "/glassfs-events-keys-2026.11.24"), ("PUT", "/elsewhere")):
        assert client.request(method, path).status == 403, path


def key_for_shipping_without(secured: Secured, missing: str) -> Client:
    for name in ("glassfs-events-keys", "glassfs-totals-keys"):
        secured.ask("DELETE", f"/{name}-2026.11.24")
    role = documented_role("A key for shipping")
    granted = [{**one, "privileges": [p for p in one["privileges"] if p != missing]} for one in role["indices"]]
    return secured.client(secured.api_key(role["cluster"], granted)["encoded"])


def test_a_key_that_may_not_make_indices_is_said(secured: Secured) -> None:
    client = key_for_shipping_without(secured, "auto_configure")
    said = str(problems.of_item(bulk(client, 2)[1], client.hosts[0]))
    assert "index privilege auto_configure on glassfs-totals-keys-2026.11.24" in said, said


def test_a_key_that_may_not_write_is_said(secured: Secured) -> None:
    client = key_for_shipping_without(secured, "index")
    said = str(problems.explain(client.request("POST", "/_bulk", body=BULK % (3, 3))))
    assert "the key lacks the index privilege create_doc" in said, "the narrowest of those that would do"


def test_a_document_that_does_not_fit_the_mapping_is_said(server: RealServer, client: Client) -> None:
    server.ask("PUT", "/wrong", {"mappings": {"properties": {"file": {"type": "keyword"}}}})
    body = b'{"create":{"_index":"wrong"}}\n{"file":{"path":"/a"}}\n'
    answer = client.request("POST", "/_bulk", body=body)
    said = str(problems.of_item(answer.document["items"][0]["create"], client.hosts[0]))
    assert "does not fit the index" in said, said


@pytest.mark.parametrize(("block", "expected"), [("read_only_allow_delete", "out of disk"), ("write", "read-only")])
def test_a_blocked_index_is_said(server: RealServer, client: Client, block: str, expected: str) -> None:
    server.ask("PUT", "/blocked")
    server.ask("PUT", "/blocked/_settings", {f"index.blocks.{block}": True})
    answer = client.request("POST", "/_bulk", body=b'{"create":{"_index":"blocked"}}\n{}\n')
    assert expected in str(problems.of_item(answer.document["items"][0]["create"], client.hosts[0]))


@contextmanager
def that_says(document: dict[str, Any]) -> Iterator[Client]:
    """A server of a version that is not to be had."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        with plain(f"http://127.0.0.1:{listener.server_address[1]}") as client:
            yield client
        listener.shutdown()


def test_a_later_major_version_is_used_with_a_warning() -> None:
    with that_says({"version": {"number": "10.1.0-SNAPSHOT"}}) as client:
        found = detect(client)
    assert found.version == (10, 1, 0) and found.capabilities.index_mode
    assert found.warning == "Elasticsearch 10.1.0 is newer than this glassfs, which treats it like 9"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ({"number": "7.10.2"}, "Elasticsearch 7.10.2 is older than 7.17.0"),
        ({"number": "1.3.0", "distribution": "opensearch"}, "OpenSearch 1.3.0 is older than 2.0.0"),
        ({"number": "eight"}, "neither Elasticsearch nor OpenSearch"),
    ],
)
def test_a_version_that_is_too_old_or_none_is_refused(version: dict[str, str], expected: str) -> None:
    with that_says({"version": version}) as client:
        assert expected in message(client)


def test_the_verb_ends_with_status_three_and_shows_no_secret(secured: Secured, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("c2VjcmV0OnNlY3JldA==\n")
    key_file.chmod(0o600)
    words = [
        f"elastic.hosts={secured.server.url}",
        f"elastic.ca_file={secured.ca_file}",
        f"elastic.api_key_file={key_file}",
    ]
    command = [str(GLASSFS), "elastic", "setup"] + [part for word in words for part in ("--set", word)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "does not accept this key" in done.stderr
    assert "c2VjcmV0" not in done.stdout + done.stderr
