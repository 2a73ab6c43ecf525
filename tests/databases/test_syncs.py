"""Every fsync and fdatasync of a program reaches the directory below once, as what it was. strace counts both."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from planes import BOTH, KERNEL_SLOW

from support import places, recorder, straces
from support.needs import require
from support.people import person
from support.postgres import Cluster
from support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.mount]
SYNCS = ["-e", "trace=fsync,fdatasync"]


@contextmanager
def watched(pid: int, prefix: Path) -> Iterator[None]:
    """strace on all threads of a running process."""
    watcher = subprocess.Popen(
        ["strace", *straces.OPTIONS, *SYNCS, "-o", str(prefix), "-p", str(pid)], stderr=subprocess.DEVNULL
    )
    try:
        wait_until(
            lambda: all(
                "TracerPid:\t0" not in (task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()
            ),
            "strace to hold all threads",
        )
        yield
    finally:
        watcher.send_signal(signal.SIGINT)
        watcher.wait(20)


def counted(prefix: Path, outside: Path) -> Counter[str]:
    """Successful syncs by name, less those of files below `outside` (the recorder's own trace)."""
    called = (call for call in straces.calls(prefix) if call.name in ("fsync", "fdatasync") and call.result == 0)
    return Counter(call.name for call in called if not straces.within(call.file(), str(outside)))


def compare(plane: str, source: Path, mount_point: Path, public: Path, work: object) -> Counter[str]:
    (public / "recorder").mkdir()
    with recorder.mounted(source, mount_point, public / "trace", extra=("--plane", plane)) as mount:
        with watched(mount.pid, public / "recorder/out"):
            work()  # type: ignore[operator]
        called = counted(public / "program/out", Path("/nowhere"))
        reached = counted(public / "recorder/out", public / "trace")
    assert reached == called
    return called


@KERNEL_SLOW
def test_those_of_initdb(plane: str, source: Path, mount_point: Path, public: Path) -> None:
    owner = person("postgres")
    for name in ("scratch", "program"):
        (public / name).mkdir()
        os.chown(public / name, owner.uid, owner.gid)
    cluster = Cluster(mount_point / "data", public / "scratch")
    under = ("strace", *straces.OPTIONS, *SYNCS, "-o", str(public / "program/out"))
    called = compare(plane, source, mount_point, public, lambda: cluster.initialise(under))
    assert called["fsync"] > 500


@KERNEL_SLOW
def test_those_of_rocksdb(plane: str, source: Path, mount_point: Path, public: Path) -> None:
    require("db_bench")
    (public / "program").mkdir()
    words = [
        "db_bench",
        f"--db={mount_point}/db",
        "--benchmarks=fillrandom",
        "--num=500",
        "--sync=1",
        "--write_buffer_size=100000",
    ]
    called = compare(
        plane,
        source,
        mount_point,
        public,
        lambda: places.run("strace", *straces.OPTIONS, *SYNCS, "-o", public / "program/out", *words, timeout=100),
    )
    assert called["fdatasync"] >= 500


@BOTH
def test_those_of_sqlite(plane: str, source: Path, mount_point: Path, public: Path) -> None:
    require("sqlite3")
    (public / "program").mkdir()
    script = "create table t(a); " + "insert into t values (1); " * 50
    called = compare(
        plane,
        source,
        mount_point,
        public,
        lambda: places.run(
            "strace", *straces.OPTIONS, *SYNCS, "-o", public / "program/out", "sqlite3", mount_point / "b.db", script
        ),
    )
    assert called["fdatasync"] + called["fsync"] > 100
