"""A real PostgreSQL cluster in a directory, as an unprivileged user: server, pgbench, the hard end, checks."""

import glob
import os
import signal
import subprocess
from pathlib import Path

import pytest

from support.people import Person, person
from support.waiting import wait_until

COMMAND_S = 120


def programs() -> Path:
    """The newest installed version's folder of programs."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    if not found:
        pytest.skip("not installed: postgresql")
    return Path(found[-1]).parent


class Cluster:
    """`data` may lie behind a mount; sockets and the log lie in `scratch`, outside it."""

    def __init__(self, data: Path, scratch: Path, owner: Person | None = None) -> None:
        self.data, self.scratch, self.owner = data, scratch, owner or person("postgres")
        self._programs = programs()

    def run(
        self,
        program: str,
        *words: str | Path,
        check: bool = True,
        under: tuple[str, ...] = (),
        timeout: float = COMMAND_S,
    ) -> str:
        command = [*under, str(self._programs / program), *map(str, words)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=self.scratch,
            env=self.environment(),
            **self.owner.subprocess_options(),  # type: ignore[call-overload]
        )
        assert not check or done.returncode == 0, (
            f"{program}: exit {done.returncode}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        )
        return done.stdout + done.stderr

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PGHOST": str(self.scratch),
            "PGUSER": self.owner.name,
            "PGDATABASE": "postgres",
            "LC_ALL": "C",
            "HOME": str(self.scratch),
        }

    def initialise(self, under: tuple[str, ...] = ()) -> None:
        self.run(
            "initdb",
            "-D",
            self.data,
            "--data-checksums",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-instructions",
            under=under,
        )

    def start(self) -> None:
        settings = f"-c listen_addresses= -c unix_socket_directories={self.scratch} -c max_wal_size=64MB"
        log = self.scratch / "server.log"
        said = self.run("pg_ctl", "-D", self.data, "-l", log, "-w", "-t", "60", "-o", settings, "start", check=False)
        assert "server started" in said, f"{said}\n{log.read_text()[-2000:]}"

    def stop(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-w", "-m", "fast", "stop")

    def postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def kill_all(self) -> None:
        """kill -9 to the postmaster and all its children, as a crash would."""
        postmaster = self.postmaster()
        # Stopped first, so that it starts no child that nobody has listed.
        os.kill(postmaster, signal.SIGSTOP)
        family = [postmaster, *_children(postmaster)]
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        # Reaped too: a new server takes a zombie for a living one.
        wait_until(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "the end of all server processes", 30
        )

    def bench(self, *words: str) -> str:
        return self.run("pgbench", "-n", *words, check=False)

    def value(self, query: str) -> str:
        return self.run("psql", "-XAtc", query).strip()

    def check_everything(self) -> None:
        """Heaps and indexes of a running server, then the checksums of a stopped one."""
        self.run("pg_amcheck", "--all", "--install-missing", "--heapallindexed")
        self.stop()
        said = self.run("pg_checksums", "--check", "-D", self.data)
        assert "Bad checksums:  0" in said, said


def _children(pid: int) -> list[int]:
    found = []
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = Path(stat).read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.split("/")[2]))
    return found
