"""Fixtures: `glassfs` as a subprocess, and the stored texts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cli_kit import DEADLINE_S, GLASSFS, Answer, Run, environment

TEXTS = Path(__file__).parent / "texts"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory outside what the tests trace."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def glassfs(home: Path, tmp_path: Path) -> Run:
    """Runs `glassfs ...` in a folder beside the home directory and gives what it said."""
    work = tmp_path / "work"
    work.mkdir()

    def run(
        *arguments: str | bytes | Path, env: Mapping[str, str | None] = {}, cwd: Path = work, stdin: str = ""
    ) -> Answer:
        done = subprocess.run(
            [GLASSFS, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            cwd=cwd,
            env=environment(home, env),
            timeout=DEADLINE_S,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def same_text() -> Callable[[str, str], None]:
    """Compares words with the stored ones; GLASSFS_UPDATE_TEXTS=1 stores them anew, to be read in the diff."""

    def compare(name: str, text: str) -> None:
        stored = TEXTS / f"{name}.txt"
        if os.environ.get("GLASSFS_UPDATE_TEXTS") == "1":
            stored.write_text(text)
        assert text == stored.read_text()

    return compare
