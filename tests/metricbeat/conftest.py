"""What the comparisons with the real Metricbeat share: the program, built when it is first wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))

BUILD_DEADLINE_S = 1200


@pytest.fixture(scope="session")
def binary() -> Path:
    built = subprocess.run([HERE / "build.sh"], capture_output=True, text=True, timeout=BUILD_DEADLINE_S, check=False)
    if built.returncode == 3:
        pytest.skip(built.stderr.strip())
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


@pytest.fixture(autouse=True)
def state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampler looks for live traces: not for those of who runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
