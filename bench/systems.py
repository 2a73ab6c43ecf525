"""The ways to run a program that are compared: native, glassfs, strace, LoggedFS; and those that cannot run here."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.ground import places, recorder
from support.traces import Trace
from support.waiting import wait_until

ENDS_IN_S = 30


@dataclass
class Session:
    """How to run one cell: words to put in front of the command; what was lost is known when it is over."""

    prefix: list[str] = field(default_factory=list)
    trace: Path | None = None
    events: int | None = None
    lost: int | None = None


@dataclass(frozen=True)
class System:
    name: str
    mode: str | None = None

    def missing(self) -> str | None:
        """Why it cannot run here, in words."""
        program = {"strace": "strace", "loggedfs": "loggedfs"}.get(self.name)
        if program and shutil.which(program) is None:
            return f"not installed: {program}"
        return None

    @contextmanager
    def over(self, directory: Path) -> Iterator[Session]:
        """A session for commands that work in the directory."""
        with tempfile.TemporaryDirectory(prefix="glassfs-bench-", dir="/var/tmp") as scratch:
            opened = {"native": _native, "daemon": _daemon, "strace": _strace, "loggedfs": _loggedfs}[self.name]
            with opened(self, directory, Path(scratch)) as session:
                yield session


@contextmanager
def _native(_: System, __: Path, ___: Path) -> Iterator[Session]:
    yield Session()


@contextmanager
def _daemon(system: System, directory: Path, scratch: Path) -> Iterator[Session]:
    """`run` over the directory, as a person would; every request is recorded, and the loss is the ledger's."""
    session = Session(
        [
            str(recorder.binary()),
            "run",
            "--trace",
            str(scratch / "trace"),
            *(["--exact"] if system.mode == "exact" else []),
            "-d",
            str(directory),
            "--",
        ],
        scratch / "trace",
    )
    yield session
    if session.trace and session.trace.exists():
        wait_until(lambda: Trace(scratch / "trace").about["end_ns"], "the trace's end", ENDS_IN_S)
        ledger = Trace(scratch / "trace").ledger()
        session.lost, session.events = ledger["dropped"], ledger["seen"]


@contextmanager
def _strace(_: System, __: Path, scratch: Path) -> Iterator[Session]:
    yield Session(["strace", "-f", "-o", str(scratch / "strace.out")])


@contextmanager
def _loggedfs(_: System, directory: Path, scratch: Path) -> Iterator[Session]:
    words = ["loggedfs", "-p", "-f", "-l", str(scratch / "loggedfs.log"), str(directory)]
    logging = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: places.mounted_at(directory), "LoggedFS", 10)
        yield Session()
    finally:
        places.force_unmount(directory)
        logging.wait(ENDS_IN_S)


NATIVE, STRACE, LOGGEDFS = System("native"), System("strace"), System("loggedfs")
DAEMON, EXACT = System("daemon", "default"), System("daemon", "exact")
# Rows that say why they hold no number.
NOT_HERE = {
    "passthrough": "the recorder always records: it has no mount without a trace",
    "daemon-uring": "FUSE over io_uring is not built yet",
    "kernel": "the kernel plane is not built yet",
    "perf-trace": "perf is not among what the bench installs (package linux-perf)",
}
