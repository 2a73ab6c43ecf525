"""Which server is it? Asked of real ones."""

from glassfs.config.model import Elastic
from glassfs.config.secrets import Credentials
from glassfs.elastic.client import Client
from glassfs.elastic.server import detect
from support.servers import RealServer


def test_distribution_and_version_are_found(server: RealServer) -> None:
    with Client(Elastic(hosts=[server.url]), Credentials()) as client:
        found = detect(client)
    distribution, _, number = server.version.partition("-")
    assert (found.distribution, ".".join(map(str, found.version))) == (distribution, number)
    assert found.warning is None
