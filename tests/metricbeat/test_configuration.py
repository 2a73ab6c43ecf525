"""deploy/metricbeat.yml, with the real Metricbeat: it is right, it runs, and what it writes joins with what glassfs writes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from expected import DATASETS, Document, flat
from machine import metricbeat_documents

from support.waiting import wait_until

pytestmark = [pytest.mark.metricbeat, pytest.mark.deadline(1500)]

SHIPPED = Path(__file__).parents[2] / "deploy/metricbeat.yml"

DEADLINE_S = 60

Run = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """A copy that only its owner can write: Metricbeat asks for that."""
    copy = tmp_path / "metricbeat.yml"
    copy.write_bytes(SHIPPED.read_bytes())
    copy.chmod(0o600)
    return copy


def settings(folder: Path, *more: str) -> list[str]:
    options = (f"path.home={folder}/home", "logging.level=error", *more)
    return [word for option in options for word in ("-E", option)]


@pytest.fixture
def run(binary: Path, configuration: Path, tmp_path: Path) -> Iterator[Run]:
    started = []

    def start(*more: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [binary, "-e", "-c", configuration, *settings(tmp_path, *more)]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=log, cwd=tmp_path
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.wait(DEADLINE_S)


def test_metricbeat_says_that_it_is_right(binary: Path, configuration: Path, tmp_path: Path):
    command = [binary, "test", "config", "-c", configuration, *settings(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (said.returncode, said.stdout) == (0, "Config OK\n"), said.stderr


def test_what_it_writes_bears_the_host_and_the_label_that_glassfs_writes(run: Run, tmp_path: Path):
    output = (
        "output.elasticsearch.enabled=false",
        f"output.file.path={tmp_path}/out",
        "output.file.filename=documents",
    )
    process = run(*output, GLASSFS_SESSION="session-7", GLASSFS_PERIOD="1s")

    def seen() -> list[Document]:
        assert process.poll() is None, (tmp_path / "log").read_text()
        return metricbeat_documents(tmp_path / "out")

    def is_complete() -> bool:
        return {each["event"]["dataset"] for each in seen()} >= set(DATASETS)

    wait_until(is_complete, "a document of each dataset", DEADLINE_S)
    documents = [dict(flat(each)) for each in seen()]
    assert {each["host.name"] for each in documents} == {os.uname().nodename}
    assert {each["labels.session"] for each in documents} == {"session-7"}
    types = {each["system.filesystem.type"] for each in documents if "system.filesystem.type" in each}
    assert types
    assert not {each for each in types if each.startswith("fuse")}
