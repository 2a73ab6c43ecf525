"""What `doctor` looks at: each check has a stable id, a status, what was found, and a fix of one line."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassfs import __version__, recorder
from glassfs.cli.screen import shown
from glassfs.errors import EnvironmentProblem, GlassfsError
from glassfs.places import state_directories

OLDEST_PYTHON = (3, 11)

# A trace is kept to what leaves this free on its disk (the recorder's min_free_percent), and a run of some minutes
# writes a few hundred megabytes.
ENOUGH_FREE_PERCENT = 10
ENOUGH_FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class Check:
    """One answer. `status`: pass, warn (works with a loss, or could not be found out), fail."""

    id: str
    status: str
    what: str
    fix: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def all_of_them() -> list[Check]:
    """In the order in which they matter: can it record, can it keep, can it show."""
    return recording() + [guarded(check) for check in (state_dir, state_space, python, duckdb, terminal)]


def guarded(check: Callable[[], Check]) -> Check:
    """A check that cannot be made is a warning, not a failure."""
    try:
        return check()
    except (OSError, GlassfsError) as problem:
        return Check(check.__name__.replace("_", "-"), "warn", f"could not be found out: {problem}")


def recording() -> list[Check]:
    if not sys.platform.startswith("linux"):
        return [Check("platform", "warn", f"{sys.platform}: reading traces works; mounting needs Linux")]
    return [guarded(recorder_itself), *what_the_recorder_found()]


def recorder_itself() -> Check:
    try:
        binary, version = recorder.find(), recorder.version()
    except EnvironmentProblem as problem:
        return Check("recorder", "fail", problem.what, problem.next_step)
    if version != __version__:
        what = f"{shown(binary)} is version {version}, glassfs is {__version__}"
        return Check("recorder", "warn", what, "Install both from one wheel, or run `make compile`.")
    return Check("recorder", "pass", f"{shown(binary)}, version {version}")


def state_dir() -> Check:
    folder = state_directories()[0]
    there = nearest_existing(folder)
    if not os.access(there, os.W_OK | os.X_OK):
        what = f"{shown(there)} is not writable; traces go to {shown(state_directories()[1])}"
        return Check("state-dir", "warn", what, f"chmod u+rwx {shown(there)}, or set XDG_STATE_HOME")
    return Check("state-dir", "pass", f"traces go to {shown(folder)}")


def state_space() -> Check:
    folder = state_directories()[0]
    usage = shutil.disk_usage(nearest_existing(folder))
    percent = 100 * usage.free // max(usage.total, 1)
    what = f"{usage.free / 1e9:.1f} GB ({percent} %) free where traces go"
    if percent < ENOUGH_FREE_PERCENT:
        what += f"; below {ENOUGH_FREE_PERCENT} % only totals are kept"
    elif usage.free >= ENOUGH_FREE_BYTES:
        return Check("state-space", "pass", what)
    return Check("state-space", "warn", what, "glassfs traces prune, or -o PATH on another disk")


def python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "fail", f"{version} is too old", "Install Python 3.11 or newer.")
    return Check("python", "pass", version)


def duckdb() -> Check:
    try:
        engine = importlib.import_module("duckdb")
    except ImportError as problem:
        return Check("duckdb", "fail", f"cannot be imported ({problem}): traces cannot be read", "pip install duckdb")
    return Check("duckdb", "pass", str(engine.__version__))


def terminal() -> Check:
    encoding = (getattr(sys.stdout, "encoding", None) or "unknown").lower()
    if encoding.replace("-", "") != "utf8":
        what = f"output is {encoding}: other names are shown as escapes"
        return Check("terminal", "warn", what, "export LC_ALL=C.UTF-8")
    term = os.environ.get("TERM", "none")
    return Check("terminal", "pass", f"{term}, {shutil.get_terminal_size().columns} columns, {encoding}")


def nearest_existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())
