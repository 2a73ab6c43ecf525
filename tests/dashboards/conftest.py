"""Real servers for the dashboards' tests: all that GLASSFS_TEST_ELASTIC names; without it one, to be done in time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from support.servers import RealServer, real_server


def chosen() -> list[str]:
    return os.environ.get("GLASSFS_TEST_ELASTIC", "opensearch-2.19.1").split()


@pytest.fixture(scope="session", params=chosen())
def running_server(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    with real_server(request.param) as server:
        failed_before = request.session.testsfailed
        yield server
    if request.session.testsfailed == failed_before:
        shutil.rmtree(server.folder, ignore_errors=True)
