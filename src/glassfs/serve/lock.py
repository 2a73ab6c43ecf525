"""One `serve` for each state directory: a lock that ends with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from glassfs.errors import EnvironmentProblem

LOCK_NAME = "serve.lock"


def take(directory: Path) -> IO[str]:
    """The lock, held as long as the file is open."""
    path = directory / LOCK_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # "a": the holder's pid must not be lost by one who only looks.
        file = path.open("a+", encoding="utf-8")
        return _locked(file, directory)
    except OSError as problem:
        raise EnvironmentProblem(
            f"cannot use the state directory ({problem.strerror})",
            where=str(path),
            next_step="serve keeps its place there. XDG_STATE_HOME chooses another one.",
        ) from problem


def _locked(file: IO[str], directory: Path) -> IO[str]:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        pid = file.read().strip()
        file.close()
        raise EnvironmentProblem(
            f"glassfs serve runs already{f' (pid {pid})' if pid else ''} for this state directory",
            where=str(directory),
            next_step="One is enough: it follows all traces there. Stop it first, or look at it.",
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
