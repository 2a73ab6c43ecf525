"""`glassfs elastic setup --kibana`, as a person types it: a real server, and a viewer that is as strict as one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dashboards.viewer import Viewer, running
from support.servers import RealServer

GLASSFS = Path(sys.executable).with_name("glassfs")


def setup(server: RealServer, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(GLASSFS), "elastic", "setup", "--set", f"elastic.hosts={server.url}", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_setup_prints_the_address_of_the_first_dashboard(server: RealServer) -> None:
    with running(Viewer()) as viewer:
        done = setup(server, "--kibana", viewer.url)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"{viewer.url}/app/dashboards#/view/glassfs-overview"
        assert ("dashboard", "glassfs-overview") in viewer.objects["default"]


def test_a_dry_run_sends_nothing_to_the_viewer(server: RealServer) -> None:
    with running(Viewer()) as viewer:
        assert setup(server, "--kibana", viewer.url, "--dry-run").returncode == 0
        assert viewer.imports == 0


def test_a_viewer_that_is_not_there_ends_with_status_three(server: RealServer) -> None:
    done = setup(server, "--kibana", "http://127.0.0.1:1")
    assert done.returncode == 3
    assert "5601" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_space_that_is_not_there_ends_with_status_three(server: RealServer) -> None:
    with running(Viewer()) as viewer:
        done = setup(server, "--kibana", viewer.url, "--space", "nowhere")
    assert done.returncode == 3
    assert "there is no space 'nowhere'" in done.stderr
