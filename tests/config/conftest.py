"""`glassfs config` as a subprocess in a folder of its own, with stored texts; and `load` on a text."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

# At the end: other tests import their own modules by these names.
sys.path.append(str(Path(__file__).parents[1] / "cli"))

from cli_kit import DEADLINE_S, GLASSFS, Answer, environment

TEXTS = Path(__file__).parent / "texts"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, where config.yml lies."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    place.mkdir()
    return place


@pytest.fixture
def glassfs(folder: Path, home: Path) -> Callable[..., Answer]:
    def run(*arguments: str, env: Mapping[str, str | None] = {}) -> Answer:
        done = subprocess.run(
            [GLASSFS, *arguments],
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment(home, {"XDG_CONFIG_HOME": None, **env}),
            timeout=DEADLINE_S,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def same_text(folder: Path, home: Path) -> Callable[[str, str], None]:
    """Compares words with the stored ones; GLASSFS_UPDATE_TEXTS=1 stores them anew, to be read in the diff."""

    def compare(name: str, text: str) -> None:
        stored = TEXTS / f"{name}.txt"
        text = text.replace(str(folder), "FOLDER").replace(str(home), "HOME")
        if os.environ.get("GLASSFS_UPDATE_TEXTS") == "1":
            stored.write_text(text)
        assert text == stored.read_text()

    return compare
