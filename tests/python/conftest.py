"""What the readers' tests share: a state directory of their own, a known time zone, the command as a subprocess."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# At the end: other tests import their own `conftest` by that name.
sys.path.append(str(Path(__file__).parent))

from commands import DEADLINE_S, VAR_TMP_VARIABLE, Run, command_line

from glassfs import places

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def known_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """State directories, time zone and colours do not depend on who runs the tests, nor do tests reach their traces."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv(VAR_TMP_VARIABLE, str(tmp_path / "var-tmp"))
    monkeypatch.setattr(places, "VAR_TMP", tmp_path / "var-tmp")
    monkeypatch.setenv("TZ", "UTC")
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "GLASSFS_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Where traces of the tested user lie."""
    place = tmp_path / "state/glassfs/traces"
    place.mkdir(parents=True)
    return place


@pytest.fixture
def glassfs() -> Run:
    def run(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_line(*arguments), capture_output=True, text=True, timeout=DEADLINE_S, check=False, **more
        )

    return run


@pytest.fixture
def same_as_stored() -> Callable[[str, str], None]:
    """Compares a text with the stored one of that name; GLASSFS_STORE=1 stores it instead."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / f"{name}.txt"
        # What DuckDB's writer makes of a segment is not ours to fix.
        text = re.sub(r"(trace \S+(?: \(\S+\))?), [\d.]+ [kM]?B", r"\1, SIZE", text) + "\n"
        if os.environ.get("GLASSFS_STORE"):
            file.write_text(text)
        assert text == file.read_text()

    return compare
