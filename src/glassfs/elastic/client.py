"""The thin HTTP client: the only file that knows httpx. Judges no status: every HTTP answer goes back to the caller.

Plain media types, which Elasticsearch 7.17 to 9 and OpenSearch 2 and 3 all take; the vendor types they do not share.
"""

from __future__ import annotations

import gzip as gzip_format
import ipaddress
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx
import orjson

from glassfs import __version__
from glassfs.errors import BadUsage, EnvironmentProblem, GlassfsError, ServerUnreachable

if TYPE_CHECKING:
    from glassfs.config.model import Elastic
    from glassfs.config.secrets import Credentials

# A server that takes longer to accept a connection is not one that can be shipped to.
CONNECT_S = 5.0
# A bulk request waits for the cluster's slowest shard: Elasticsearch's own limit for that is a minute.
ANSWER_S = 70.0
# What `close` waits for requests under way, whose sockets it has shut down, to notice.
CLOSE_S = 1.0
# Level 1 is three times as fast as 6 and nearly as small on our documents (13.5 against 17 times smaller).
GZIP_LEVEL = 1
# More requests at a time than any shipper of ours has in flight.
CONNECTIONS = 16
# Of an answer that is not JSON, enough to see what it is.
TEXT_CHARS = 400


@dataclass(frozen=True)
class Answer:
    """What a server said: `document` is its JSON, or the beginning of its text where it was none."""

    status: int
    document: Any
    host: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Client:
    """Talks to one cluster by the addresses given, the next when one fails. For any number of threads."""

    def __init__(self, elastic: Elastic, credentials: Credentials) -> None:
        self.hosts = [_checked(host, elastic.allow_insecure_http) for host in elastic.hosts]
        self._first = 0
        self._closed = False
        self._under_way = 0
        self._changed = threading.Condition()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._http = httpx.Client(
            headers={"User-Agent": f"glassfs/{__version__}", **_authorization(credentials)},
            verify=_tls(elastic.ca_file) if any(host.startswith("https:") for host in self.hosts) else False,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            # A proxy of the environment is for the way out, not for a cluster; and .netrc holds other keys.
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"Client({', '.join(self.hosts)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Requests under way in other threads end at once with ServerUnreachable."""
        with self._changed:
            self._closed = True
            for one in self._sockets:
                _shut_down(one)
            # A socket that a thread still waits on must not be closed: its number may be another file's by then.
            self._changed.wait_for(lambda: self._under_way == 0, CLOSE_S)
        self._http.close()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            if self._closed:
                raise ServerUnreachable("the connection was closed", where=self.hosts[0])
            self._under_way += 1
        try:
            yield
        except httpx.HTTPError:
            if self._closed:
                raise ServerUnreachable("the connection was closed", where=self.hosts[0]) from None
            raise
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _remember(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's trace of a request: keeps the sockets that `close` shuts down."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            one = info["return_value"].get_extra_info("socket")
            with self._changed:
                self._sockets.add(one)
                if self._closed:
                    _shut_down(one)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        gzip: bool = False,
    ) -> Answer:
        """One request: `json` as application/json, or a `body` of JSON lines. ServerUnreachable if no host answers."""
        content, headers = _content(json, body, gzip)
        failures: list[tuple[str, httpx.HTTPError]] = []
        for turn in range(len(self.hosts)):
            index = (self._first + turn) % len(self.hosts)
            host = self.hosts[index]
            try:
                with self._counted():
                    said = self._http.request(
                        method,
                        f"{host}{path}",
                        params=params,
                        content=content,
                        headers=headers,
                        extensions={"trace": self._remember},
                    )
            except httpx.HTTPError as error:
                failures.append((host, error))
                continue
            self._first = index
            return Answer(said.status_code, _document(said), host)
        raise _unreachable(failures)


def _shut_down(one: socket.socket) -> None:
    """Wakes a thread that waits on it; ssl's own shutdown would take its state away under that thread."""
    with suppress(OSError):
        socket.socket.shutdown(one, socket.SHUT_RDWR)


def _content(json: Any, body: bytes | None, gzip: bool) -> tuple[bytes | None, dict[str, str]]:
    content = orjson.dumps(json) if json is not None else body
    if content is None:
        return None, {}
    headers = {"Content-Type": "application/json" if json is not None else "application/x-ndjson"}
    if gzip:
        headers["Content-Encoding"] = "gzip"
        content = gzip_format.compress(content, GZIP_LEVEL, mtime=0)
    return content, headers


def _document(said: httpx.Response) -> Any:
    try:
        return orjson.loads(said.content) if said.content else None
    except orjson.JSONDecodeError:
        return said.text[:TEXT_CHARS]


def _checked(host: str, allow_insecure_http: bool) -> str:
    """The address without a trailing slash; BadUsage if it is none, or would tell secrets."""
    try:
        url = httpx.URL(host)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.userinfo:
        where = f"{url.scheme}://...@{url.netloc.decode()}"
        what = "elastic.hosts: an address must not hold a password"
        raise BadUsage(what, where=where, next_step="Set elastic.user and elastic.password_file, or api_key_file.")
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise BadUsage("elastic.hosts: this is no address", where=host, next_step="Such as https://127.0.0.1:9200")
    if url.scheme == "http" and not allow_insecure_http and not _is_loopback(url.host):
        raise BadUsage(
            "elastic.hosts: http to another machine would send names and keys in the clear",
            where=host,
            next_step="Use https:// with elastic.ca_file, or set elastic.allow_insecure_http: true.",
        )
    return str(url).rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        what = "elastic.ca_file: this is no certificate in PEM form"
    except OSError as error:
        what = f"elastic.ca_file: {(error.strerror or str(error)).lower()}"
    raise EnvironmentProblem(
        what, where=ca_file, next_step="Elasticsearch's own is /etc/elasticsearch/certs/http_ca.crt: copy it."
    )


def _authorization(credentials: Credentials) -> dict[str, str]:
    word = credentials.authorization()
    if word is None:
        return {}
    if not word.isascii() or not word.isprintable():
        raise BadUsage("the API key holds characters that no API key has", next_step="Give it as id:key or base64.")
    return {"Authorization": word}


def _unreachable(failures: list[tuple[str, httpx.HTTPError]]) -> GlassfsError:
    host, error = failures[-1]
    what, next_step = _why(error, host)
    if len(failures) > 1:
        others = ", ".join(f"{one} ({_why(why, one)[0]})" for one, why in failures)
        return ServerUnreachable(f"none of the {len(failures)} servers can be reached", where=others)
    return ServerUnreachable(what, where=host, next_step=next_step)


def _why(error: httpx.HTTPError, host: str) -> tuple[str, str]:
    """What went wrong below, and the next step."""
    cause = _root(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate(cause)
    if isinstance(cause, ssl.SSLError):
        return "the server does not speak TLS there", f"Is it http://{host.partition('://')[2]} ?"
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {CONNECT_S:.0f} s", "Check the address and the firewall between."
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {ANSWER_S:.0f} s", "The server is overloaded or stuck: look into its log."
    if isinstance(error, httpx.ConnectError):
        reason = (getattr(cause, "strerror", None) or str(cause) or "no connection").lower()
        return (
            f"cannot connect: {reason}",
            "Is the server running, and elastic.hosts right? (make elastic-up starts one)",
        )
    if isinstance(error, httpx.RemoteProtocolError):
        hint = f"Is it https://{host.partition('://')[2]} ?" if host.startswith("http:") else "Check elastic.hosts."
        return "what listens there does not answer in HTTP", hint
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return f"the connection broke: {reason.lower()}", "Is the server still running?"


def _certificate(cause: ssl.SSLCertVerificationError) -> tuple[str, str]:
    reason = cause.verify_message or "unknown"
    what = f"the server's certificate is not trusted: {reason.lower()}"
    if "hostname" in reason.lower() or "ip address" in reason.lower():
        return what, "Use the name that the certificate was made for, in elastic.hosts."
    return what, "Set elastic.ca_file to the server's authority, such as a copy of http_ca.crt."


def _root(error: BaseException) -> BaseException:
    """The first cause: httpx wraps httpcore, which wraps the socket's error."""
    seen = error
    while (below := seen.__cause__ or seen.__context__) is not None:
        seen = below
    return seen
