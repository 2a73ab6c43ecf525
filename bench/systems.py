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
    """How to run one cell: words to put in front of the command; what was seen and lost is known when it is over."""

    prefix: list[str] = field(default_factory=list)
    trace: Path | None = None
    # The workload says what it did, ("read", 1000), where it can count it; the system then says how many it saw.
    did: tuple[str, int] | None = None
    seen: int | None = None
    events: int | None = None
    lost: int | None = None


@dataclass(frozen=True)
class System:
    name: str
    mode: str | None = None
    # What its figures hide.
    note: str | None = None

    def missing(self) -> str | None:
        """Why it cannot run here, in words."""
        programs = {"strace": "strace", "perf-trace": "perf", "loggedfs": "loggedfs", "loggedfs-cached": "loggedfs"}
        program = programs.get(self.name)
        if program and shutil.which(program) is None:
            return f"not installed: {program}"
        return None

    @contextmanager
    def over(self, directory: Path) -> Iterator[Session]:
        """A session for commands that work in the directory."""
        with tempfile.TemporaryDirectory(prefix="glassfs-bench-", dir="/var/tmp") as scratch:
            opened = _WAYS.get(self.name, _loggedfs)
            with opened(self, directory, Path(scratch)) as session:
                yield session


@contextmanager
def _native(_: System, __: Path, ___: Path) -> Iterator[Session]:
    yield Session()


@contextmanager
def _glassfs(system: System, directory: Path, scratch: Path) -> Iterator[Session]:
    """`run` over the directory, as a person would; everything is recorded, and the loss is the ledger's."""
    session = Session(
        [
            str(recorder.binary()),
            "run",
            "--trace",
            str(scratch / "trace"),
            "--plane",
            system.name,
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
        trace = Trace(scratch / "trace")
        ledger = trace.ledger()
        session.lost, session.events = ledger["dropped"], ledger["seen"]
        if session.did:
            session.seen = int(
                str(trace.one("select count(*) from events where op = ? and result = 4096", session.did[0]))
            )


@contextmanager
def _strace(_: System, __: Path, scratch: Path) -> Iterator[Session]:
    session = Session(["strace", "-f", "-o", str(scratch / "strace.out")])
    yield session
    if session.did:
        session.seen = _lines_with(scratch / "strace.out", f" p{session.did[0]}64(")


@contextmanager
def _perf_trace(_: System, __: Path, scratch: Path) -> Iterator[Session]:
    session = Session(["perf", "trace", "-o", str(scratch / "perf.out"), "--"])
    yield session
    if session.did:
        session.seen = _lines_with(scratch / "perf.out", f" p{session.did[0]}64(")


@contextmanager
def _loggedfs(system: System, directory: Path, scratch: Path) -> Iterator[Session]:
    log = scratch / "loggedfs.log"
    words = ["loggedfs", "-p", "-f", "-l", str(log), "--", str(directory)]
    if system is LOGGEDFS:
        words += ["-o", "direct_io"]
    logging = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: places.mounted_at(directory), "LoggedFS", 10)
        session = Session()
        yield session
    finally:
        places.force_unmount(directory)
        logging.wait(ENDS_IN_S)
    if session.did:
        # Each call leaves two lines: what is asked and what came of it.
        session.seen = _lines_with(log, " bytes read from " if session.did[0] == "read" else " bytes written to ")


def _lines_with(file: Path, text: str) -> int:
    with open(file, errors="replace") as stream:
        return sum(text in line for line in stream)


_WAYS = {
    "native": _native,
    "daemon": _glassfs,
    "kernel": _glassfs,
    "strace": _strace,
    "perf-trace": _perf_trace,
}

NATIVE, STRACE, PERF_TRACE = System("native"), System("strace"), System("perf-trace")
# Systems are compared while they see every call. LoggedFS does so with `direct_io`; without, the kernel answers reads
# from its cache and LoggedFS never hears of them: that has a row of its own, with the share it saw.
LOGGEDFS = System("loggedfs", "every call", "with -o direct_io, to see every read; it answers fsync without doing it")
LOGGEDFS_CACHED = System("loggedfs-cached", "default", "as it comes: reads from the kernel's cache go unseen")
DAEMON, EXACT = System("daemon", "default"), System("daemon", "exact")
KERNEL, KERNEL_EXACT = System("kernel", "default"), System("kernel", "exact")
# Rows that say why they hold no number.
NOT_HERE = {
    "passthrough": "the recorder always records: it has no mount without a trace",
    "daemon-uring": "FUSE over io_uring is not built yet",
}
