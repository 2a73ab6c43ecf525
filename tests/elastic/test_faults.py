"""Whatever breaks between the shipper and a real server: at the end each event is there exactly once."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from shipping import held, ids, set_up, settings, ship, written

from glassfs.config.secrets import Credentials
from glassfs.elastic.shipper import Shipper
from glassfs.trace import Trace
from support.fault_proxy import FAULTS, fault_proxy
from support.servers import RealServer
from support.waiting import wait_until

GLASSFS = Path(sys.executable).parent / "glassfs"
BUSY_S = 120


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many requests of a small trace."""
    monkeypatch.setattr("glassfs.elastic.lane.BATCH_DOCUMENTS", 200)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_comes_again_and_again(server: RealServer, tmp_path: Path, fault: str):
    set_up(server)
    writer = written(tmp_path / "trace", 3_000)
    with fault_proxy(server.port, [fault] * 6) as proxy:
        ship(settings(proxy.url), writer.path, tmp_path / "shipping")
        assert proxy.left == 0 and proxy.bulks > 15
    assert held(server) == dict.fromkeys(ids(writer, 3_000), 1)


def test_all_faults_mixed(server: RealServer, tmp_path: Path):
    set_up(server)
    writer = written(tmp_path / "trace", 6_000)
    with fault_proxy(server.port, [*itertools.chain(FAULTS, reversed(FAULTS)), *FAULTS]) as proxy:
        ship(settings(proxy.url), writer.path, tmp_path / "shipping")
        assert proxy.left == 0
    assert held(server) == dict.fromkeys(ids(writer, 6_000), 1)


@pytest.mark.deadline(300)
def test_the_server_is_killed_and_comes_back_in_the_middle(server: RealServer, tmp_path: Path):
    set_up(server)
    writer = written(tmp_path / "trace", 6_000)
    from shipping import running

    with fault_proxy(server.port, ["slow"] * 8) as proxy:
        shipper = Shipper(
            settings(proxy.url), Credentials(), traces=[Trace(writer.path)], directory=tmp_path / "shipping"
        )
        with running(shipper) as ended:
            wait_until(lambda: proxy.bulks >= 4, "some batches")
            server.kill()
            server.up()
            assert ended.wait(BUSY_S), dict(shipper.status())
    assert held(server) == dict.fromkeys(ids(writer, 6_000), 1)


@pytest.mark.deadline(300)
def test_serve_is_killed_again_and_again(server: RealServer, tmp_path: Path):
    set_up(server)
    state = tmp_path / "state"
    (state / "glassfs/traces").mkdir(parents=True)
    writer = written(state / "glassfs/traces/one", 60_000, a_segment=20_000)
    with fault_proxy(server.port, []) as proxy:
        command = [str(GLASSFS), "serve", "--set", "elastic.enabled=true", "--set", f"elastic.hosts={proxy.url}"]
        command += ["--set", "sampler.enabled=false"]
        environment = {**os.environ, "XDG_STATE_HOME": str(state), "HOME": str(tmp_path)}
        for _ in range(3):
            begun = proxy.bulks
            process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            try:
                wait_until(lambda begun=begun: proxy.bulks >= begun + 2, "two batches", 60)
            finally:
                process.kill()
                process.wait()
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        shipping = state / "glassfs/shipping"
        try:
            wait_until(
                lambda: any('"complete":true' in file.read_text() for file in shipping.glob("*/*/[0-9a-f]*.json")),
                "all of it",
                BUSY_S,
            )
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()
    assert held(server) == dict.fromkeys(ids(writer, 60_000), 1)
