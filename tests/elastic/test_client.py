"""The client with real servers: many threads, compressed bodies, and an end while requests are under way."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from secured import Secured

from glassfs.config.secrets import Credentials
from glassfs.elastic.client import Client
from glassfs.errors import ServerUnreachable
from support.servers import RealServer
from support.waiting import wait_until

# A question that the server answers after a minute, or never.
SLOW = {"wait_for_nodes": "9", "timeout": "60s"}
FAR_BELOW_THE_ANSWER_S = 20


def test_many_threads_share_one_client(server: RealServer, client: Client) -> None:
    def put(number: int) -> int:
        return client.request("PUT", f"/threads/_doc/{number}", json={"n": number}).status

    with ThreadPoolExecutor(24) as threads:
        assert set(threads.map(put, range(200))) <= {200, 201}
    server.ask("POST", "/threads/_refresh")
    assert server.ask("GET", "/threads/_count")["count"] == 200


def test_a_compressed_body_arrives_as_it_was(server: RealServer, client: Client) -> None:
    body = b"".join(b'{"create":{"_index":"packed","_id":"%d"}}\n{"path":"/data/%d"}\n' % (n, n) for n in range(2000))
    answer = client.request("POST", "/_bulk", body=body, gzip=True, params={"refresh": "true"})
    assert answer.ok and not answer.document["errors"]
    assert server.ask("GET", "/packed/_doc/1999")["_source"] == {"path": "/data/1999"}


def under_way(client: Client) -> tuple[threading.Thread, list[BaseException]]:
    """A request that waits for its answer."""
    problems: list[BaseException] = []

    def ask() -> None:
        try:
            client.request("GET", "/_cluster/health", params=SLOW)
        except ServerUnreachable as problem:
            problems.append(problem)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: client._under_way == 1 and client._sockets, "the request")
    return thread, problems


def test_closing_ends_what_is_under_way_at_once(client: Client) -> None:
    closed_while_waiting(client)


def test_closing_ends_what_is_under_way_over_tls_too(secured: Secured) -> None:
    closed_while_waiting(Client(secured.elastic(), Credentials(user="admin", password="only-for-this-test")))


def closed_while_waiting(client: Client) -> None:
    thread, problems = under_way(client)
    begin = time.monotonic()
    client.close()
    thread.join(FAR_BELOW_THE_ANSWER_S)
    assert not thread.is_alive() and time.monotonic() - begin < FAR_BELOW_THE_ANSWER_S
    assert "the connection was closed" in str(problems[0])
    with pytest.raises(ServerUnreachable, match="the connection was closed"):
        client.request("GET", "/")
