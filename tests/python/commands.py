"""The command line as a subprocess."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

# A command that takes longer than this hangs.
DEADLINE_S = 60

Run = Callable[..., subprocess.CompletedProcess[str]]


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from glassfs.cli import main; main()", *arguments]
