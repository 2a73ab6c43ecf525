"""Where the databases of these tests lie, for those that strace looks at too."""

import os
from pathlib import Path

import pytest

from support.needs import require
from support.people import person


@pytest.fixture
def source(ext4: Path) -> Path:
    require("strace")
    place = ext4 / "source"
    place.mkdir(mode=0o700)
    owner = person("postgres")
    os.chown(place, owner.uid, owner.gid)
    return place
