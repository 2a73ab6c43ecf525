"""What tests of robustness share."""

from pathlib import Path

import pytest


@pytest.fixture
def tree(public: Path) -> Path:
    """A directory with one file, for everybody."""
    place = public / "tree"
    place.mkdir()
    (place / "hello").write_text("hello\n")
    return place
