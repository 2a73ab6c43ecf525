"""Where the compared programs work, and where their traces go."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def scratch(public: Path) -> Path:
    (public / "traces").mkdir()
    return public


@pytest.fixture
def directory(ext4: Path) -> Path:
    place = ext4 / "traced"
    place.mkdir()
    return place
