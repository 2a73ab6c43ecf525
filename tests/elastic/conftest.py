"""Fixtures of the shipping tests: a client of the running server, and a server with security."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from secured import SECURED, Secured, make_admin, make_certificates

from glassfs.config.model import Elastic
from glassfs.config.secrets import Credentials
from glassfs.elastic.client import Client
from support.servers import RealServer, real_server


@pytest.fixture(scope="session")
def secured() -> Iterator[Secured]:
    certificates: list[Path] = []

    def prepare(server: RealServer) -> None:
        certificates.append(make_certificates(server.config / "certs"))
        make_admin(server)

    with real_server("elasticsearch-8.19.0", *SECURED, scheme="https", before=prepare) as server:
        yield Secured(server, certificates[0] / "http_ca.crt", certificates[0] / "other_ca.crt")


@pytest.fixture
def client(server: RealServer) -> Iterator[Client]:
    with Client(Elastic(hosts=[server.url]), Credentials()) as client:
        yield client
