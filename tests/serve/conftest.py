"""`glassfs serve` with parts of ours, as a process with a state directory of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

# At the end: other tests import their own modules by these names.
sys.path.append(str(Path(__file__).parents[1] / "cli"))

from cli_kit import GLASSFS, environment

PARTS = Path(__file__).parent / "run_parts.py"
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    place.mkdir()
    return place


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts `glassfs ...`, or with `parts=` the service with parts of run_parts.py; ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, parts: str = "", env: Mapping[str, str] = {}, **more: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(PARTS), parts] if parts else [str(GLASSFS), *arguments]
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
        process = subprocess.Popen(command, env=environment(home, env), cwd=tmp_path, **more)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)
