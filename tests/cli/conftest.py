"""The command line as a person meets it: a subprocess, its words, its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

GLASSFS = Path(sys.executable).parent / "glassfs"
TEXTS = Path(__file__).parent / "texts"

# Long enough for a loaded machine, short enough to see that something hangs.
DEADLINE_S = 60


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str


Run = Callable[..., Answer]


def environment(home: Path, extra: Mapping[str, str | None] = {}) -> dict[str, str]:
    """Ours, without what would change the words, and with a home of its own."""
    away = (
        "NO_COLOR",
        "FORCE_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "XDG_STATE_HOME",
        "GLASSFS_RECORDER",
        "GLASSFS_DEBUG",
    )
    told = {name: value for name, value in os.environ.items() if name not in away}
    told |= {"HOME": str(home), "COLUMNS": "100", "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    told |= {name: value for name, value in extra.items() if value is not None}
    return {name: value for name, value in told.items() if extra.get(name, "") is not None}


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
