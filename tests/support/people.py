"""Ordinary users for tests that root starts, and /dev/fuse as distributions have it."""

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEVICE = Path("/dev/fuse")
# System accounts that every Debian and Ubuntu has; `nobody` is left out, since its id is what unmapped ids show as.
ORDINARY = "games"
# Root's Python may lie in a home directory that others cannot enter; the distribution's is for everybody.
PUBLIC_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Person:
    name: str
    uid: int
    gid: int

    def subprocess_options(self) -> dict[str, object]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def person(name: str = ORDINARY) -> Person:
    entry = pwd.getpwnam(name)
    return Person(name, entry.pw_uid, entry.pw_gid)


@contextmanager
def device_for_everybody() -> Iterator[None]:
    """Opens /dev/fuse to 0666, as udev does on real installations, and puts its mode back."""
    before = stat.S_IMODE(os.stat(DEVICE).st_mode)
    os.chmod(DEVICE, 0o666)
    try:
        yield
    finally:
        os.chmod(DEVICE, before)
