"""The command line as a person meets it: a subprocess, its words, its exit status."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

GLASSFS = Path(sys.executable).parent / "glassfs"

# Long enough for a loaded machine, short enough to see that something hangs.
DEADLINE_S = 60
# Between two looks at a condition.
LOOK_S = 0.005


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str


Run = Callable[..., Answer]

AWAY = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "XDG_STATE_HOME")


def environment(home: Path, extra: Mapping[str, str | None] = {}) -> dict[str, str]:
    """Ours, without what would change the words, and with a home of its own. None takes a variable away."""
    told = {name: value for name, value in os.environ.items() if name not in AWAY and not name.startswith("GLASSFS_")}
    told |= {"HOME": str(home), "COLUMNS": "100", "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    told |= {name: value for name, value in extra.items() if value is not None}
    return {name: value for name, value in told.items() if extra.get(name, "") is not None}


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(LOOK_S)
