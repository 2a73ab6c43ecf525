"""A machine that is unfit for one command alone: in a mount namespace of its own, by what a shell script does there first."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from support import recorder

GLASSFS = recorder.REPOSITORY / ".venv/bin/glassfs"
# What the command line answers for `run`, and for `mount`.
RUN_FAILED, ENVIRONMENT = 125, 3
COMMAND_S = 60


def answer(
    script: str, cwd: Path, folder: Path, refused: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Of a shell script there; `folder` holds its traces. `refused`: what is done in the process before it becomes sh."""
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script],
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        cwd=cwd,
        env=os.environ | {"XDG_STATE_HOME": str(folder / "state"), "LC_ALL": "C.UTF-8"},
        preexec_fn=refused,
    )


def lines_of(text: str) -> list[str]:
    """However wide its columns are."""
    return [" ".join(line.split()) for line in text.splitlines()]
