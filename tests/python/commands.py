"""The command line as a subprocess, with a /var/tmp of the test's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

# A command that takes longer than this hangs.
DEADLINE_S = 60

# Named here for both sides: what the fixture sets and the subprocess reads.
VAR_TMP_VARIABLE = "GLASSFS_TEST_VAR_TMP"
PROGRAM = f"""
import os, pathlib
from glassfs import places
places.VAR_TMP = pathlib.Path(os.environ["{VAR_TMP_VARIABLE}"])
from glassfs.cli import main
main()
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *arguments]
