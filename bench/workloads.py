"""What is run in each cell: 4 KiB reads and writes, a metadata storm, RocksDB, PostgreSQL. Each gives a rate."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import ground
from bench.systems import Session
from support.people import person
from support.postgres import programs
from support.waiting import wait_until

CELL_S = 5
FILE_MEGABYTES = 256
STORM_FILES = 10_000
# create, write, close, stat, rename, unlink
STORM_CALLS = 6
DB_KEYS = 100_000


@dataclass(frozen=True)
class Workload:
    name: str
    run: Callable[[Path, Session, int], float]
    jobs: int = 1


def fio(direction: str, *more: str) -> Callable[[Path, Session, int], float]:
    """4 KiB at random places of a cached file. The file stays for all systems and rounds of a backing."""

    def cell(directory: Path, session: Session, jobs: int) -> float:
        file = directory / "fio.dat"
        words = [
            "fio",
            "--name=cell",
            f"--filename={file}",
            f"--rw=rand{direction}",
            "--bs=4k",
            "--ioengine=psync",
            f"--size={FILE_MEGABYTES}m",
            f"--numjobs={jobs}",
            "--time_based",
            f"--runtime={CELL_S}",
            "--norandommap",
            "--randrepeat=1",
            "--invalidate=0",
            "--fallocate=none",
            "--group_reporting",
            "--gtod_reduce=1",
            "--output-format=json",
            *more,
        ]
        # fio's job state lies in memory files of its own; its directory is where it stands.
        said = ground.run([*session.prefix, *words], cwd="/")
        report = json.loads(said[said.index("{") :])["jobs"][0][direction]
        session.did = direction, int(report["total_ios"])
        return float(report["iops"])

    return cell


def elsewhere(directory: Path, session: Session, _: int) -> float:
    """64-byte reads of a file that the traced directory does not hold: what everybody on the machine pays."""
    file = directory.parent / "elsewhere.dat"
    file.write_bytes(bytes(1 << 20))
    words = ["fio", "--name=cell", f"--filename={file}", "--rw=randread", "--bs=64", "--ioengine=psync", "--size=1m"]
    words += ["--time_based", f"--runtime={CELL_S}", "--norandommap", "--invalidate=0", "--fallocate=none"]
    said = ground.run([*session.prefix, *words, "--gtod_reduce=1", "--output-format=json"], cwd="/")
    return float(json.loads(said[said.index("{") :])["jobs"][0]["read"]["iops"])


def lay_out(directory: Path) -> None:
    """fio's file, written once and natively."""
    block = os.urandom(1 << 20)
    with open(directory / "fio.dat", "wb") as stream:
        for _ in range(FILE_MEGABYTES):
            stream.write(block)
        os.fsync(stream.fileno())


def storm(directory: Path, session: Session, _: int) -> float:
    place = directory / "storm"
    place.mkdir(exist_ok=True)
    said = ground.run([*session.prefix, ground.storm_program(), place, STORM_FILES], cwd="/")
    return STORM_FILES * STORM_CALLS / float(said.split()[-1])


def db_bench(benchmark: str) -> Callable[[Path, Session, int], float]:
    def cell(directory: Path, session: Session, _: int) -> float:
        # Behind LoggedFS a database made through it would differ in nothing but take long: reads use one made natively.
        database = directory / ("db-read" if benchmark == "readrandom" else "db-fill")
        words: list[object] = [
            "db_bench",
            f"--db={database}",
            f"--benchmarks={benchmark}",
            f"--num={DB_KEYS}",
            "--value_size=100",
            "--compression_type=none",
        ]
        if benchmark == "readrandom":
            words += ["--use_existing_db", f"--duration={CELL_S}", "--cache_size=1048576"]
        else:
            words += ["--write_buffer_size=4194304"]
        said = ground.run([*session.prefix, *words], cwd="/")
        if benchmark != "readrandom":
            shutil.rmtree(database)
        found = re.search(rf"{benchmark}\s*:.*?(\d+) ops/sec", said)
        if found is None:
            raise RuntimeError(f"db_bench said no rate: {said[-500:]}")
        return float(found.group(1))

    return cell


def fill_database(directory: Path) -> None:
    ground.run(
        [
            "db_bench",
            f"--db={directory}/db-read",
            "--benchmarks=fillrandom,compact",
            f"--num={DB_KEYS}",
            "--value_size=100",
            "--compression_type=none",
        ],
        cwd="/",
    )


class Postgres:
    """One cluster for all cells; each cell starts the server through the system, and pgbench beside it."""

    def __init__(self, directory: Path) -> None:
        self.data, self.sockets, self.owner, self.bin = (
            directory / "pg",
            directory.parent / "pg-sockets",
            person("postgres"),
            programs(),
        )
        for place in (self.data, self.sockets):
            place.mkdir(mode=0o700)
            os.chown(place, self.owner.uid, self.owner.gid)
        self._run(["initdb", "-D", self.data / "data", "--auth=trust"])

    def _as_owner(self, words: list[object]) -> list[object]:
        return [
            "setpriv",
            f"--reuid={self.owner.uid}",
            f"--regid={self.owner.gid}",
            "--clear-groups",
            self.bin / str(words[0]),
            *words[1:],
        ]

    def _run(self, words: list[object]) -> str:
        return ground.run(
            self._as_owner(words),
            cwd="/",
            env={
                "PATH": os.environ["PATH"],
                "LC_ALL": "C",
                "PGHOST": str(self.sockets),
                "PGUSER": "postgres",
                "PGDATABASE": "postgres",
            },
        )

    def fill(self) -> None:
        with _Server(self, Session()):
            self._run(["pgbench", "-i", "-s", "5", "-q"])

    def cell(self, _: Path, session: Session, jobs: int) -> float:
        with _Server(self, session):
            said = self._run(["pgbench", "-n", "-c", str(jobs), "-T", str(CELL_S)])
        found = re.search(r"tps = ([\d.]+)", said)
        if found is None:
            raise RuntimeError(f"pgbench said no rate: {said[-500:]}")
        return float(found.group(1))


class _Server:
    def __init__(self, postgres: Postgres, session: Session) -> None:
        self.postgres, self.session = postgres, session

    def __enter__(self) -> None:
        cluster = self.postgres
        words = cluster._as_owner(
            [
                "postgres",
                "-D",
                cluster.data / "data",
                "-c",
                "listen_addresses=",
                "-c",
                f"unix_socket_directories={cluster.sockets}",
            ]
        )
        self.process = subprocess.Popen(
            [str(word) for word in [*self.session.prefix, *words]],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until(lambda: _answers(cluster), "the PostgreSQL server", 30)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        lock = next(self.postgres.sockets.glob(".s.PGSQL.*.lock"), None)
        if lock is not None:
            os.kill(int(lock.read_text().split()[0]), 2)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def _answers(cluster: Postgres) -> bool:
    words = [str(word) for word in cluster._as_owner(["pg_isready", "-q", "-h", cluster.sockets])]
    return subprocess.run(words, capture_output=True, timeout=10, check=False).returncode == 0
