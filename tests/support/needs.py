"""What a test needs that may not be installed: said in words when it is skipped."""

import os
import shutil
from pathlib import Path

import pytest

from support.recorder import REPOSITORY


def require(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def failpoints_binary() -> Path:
    """The recorder built with the feature `failpoints` (`make failpoints` puts it there)."""
    binary = Path(os.environ.get("GLASSFS_RECORDER_FAILPOINTS", REPOSITORY / ".venv/bin/glassfs-recorder-failpoints"))
    if not binary.exists():
        pytest.skip(f"the recorder with failpoints is not built: {binary} (make failpoints)")
    return binary
