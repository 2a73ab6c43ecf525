"""PostgreSQL behind the mount: initdb, load, kill -9 of everything, recovery, and nothing wrong afterwards."""

import os
import subprocess
import threading
from pathlib import Path

import pytest
from planes import BOTH, KERNEL_SLOW

from support import recorder
from support.people import Person, person
from support.postgres import Cluster, programs
from support.traces import Trace
from support.waiting import wait_until

MEMORY_BYTES = 250 * 1000 * 1000
pytestmark = [pytest.mark.root, pytest.mark.mount, pytest.mark.deadline(300)]


@pytest.fixture
def scratch(public: Path) -> Path:
    """For sockets, logs and traces of the user postgres."""
    programs()
    place = public / "scratch"
    place.mkdir()
    owner = person("postgres")
    os.chown(place, owner.uid, owner.gid)
    return place


@pytest.fixture
def source(ext4: Path, scratch: Path) -> Path:
    place = ext4 / "source"
    place.mkdir(mode=0o700)
    owner = person("postgres")
    os.chown(place, owner.uid, owner.gid)
    return place


def crash_and_recover(cluster: Cluster) -> None:
    """Kills the server in the middle of pgbench; every commit that pgbench was told of must be there again."""
    log = cluster.scratch / "transactions"
    load = threading.Thread(target=cluster.bench, args=("-c", "4", "-T", "60", "-l", f"--log-prefix={log}"))
    load.start()
    wait_until(lambda: int(cluster.value("select count(*) from pgbench_history")) > 200, "200 transactions", 60)
    cluster.kill_all()
    load.join(60)
    acknowledged = sum(len(file.read_text().splitlines()) for file in cluster.scratch.glob("transactions*"))
    cluster.start()
    kept = int(cluster.value("select count(*) from pgbench_history"))
    assert kept >= acknowledged > 100
    sums = cluster.value(
        "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)"
    )
    assert sums == "t"


@BOTH
def test_a_killed_server_recovers_behind_the_mount(
    plane: str, source: Path, mount_point: Path, scratch: Path, public: Path
) -> None:
    with recorder.mounted(source, mount_point, public / "trace", extra=("--plane", plane)) as mount:
        cluster = Cluster(mount_point / "data", scratch)
        cluster.initialise()
        cluster.start()
        cluster.bench("-i", "-s", "2", "-q")
        crash_and_recover(cluster)
        cluster.check_everything()
        assert mount.memory_peak_bytes() < MEMORY_BYTES
    trace = Trace(public / "trace")
    assert trace.about["plane"] == plane
    trace.assert_balanced()
    assert trace.one("select count(*) from events where op = 'fdatasync' and path like '%/pg_wal/%'") > 50
    assert trace.one("select count(*) from events where uid <> ?", person("postgres").uid) <= 20, (
        "root only looks in from outside"
    )


def test_an_ordinary_user_runs_a_server_on_an_own_mount(
    source: Path, mount_point: Path, scratch: Path, public: Path, ordinary: Person
) -> None:
    owner = person("postgres")
    os.chown(mount_point, owner.uid, owner.gid)
    with recorder.mounted(source, mount_point, scratch / "trace", user=owner, program=recorder.public_binary(public)):
        cluster = Cluster(mount_point / "data", scratch)
        cluster.initialise()
        cluster.start()
        cluster.bench("-i", "-s", "1", "-q")
        said = cluster.bench("-c", "4", "-t", "100")
        assert "400/400" in said, said
        cluster.stop()
        cluster.run("pg_checksums", "--check", "-D", cluster.data)
    Trace(scratch / "trace").assert_balanced()


@KERNEL_SLOW
def test_a_server_that_a_run_leaves_behind_stays_traced_until_it_ends(
    plane: str, source: Path, scratch: Path, public: Path
) -> None:
    """`pg_ctl start` returns with the server running: the recorder lives on for it and closes the trace at its end."""
    cluster = Cluster(source / "data", scratch)
    start = scratch / "start.sh"
    binary = programs()
    start.write_text(
        f"set -e\n{binary}/initdb -D {source}/data --data-checksums --auth=trust >/dev/null\n"
        f"{binary}/pg_ctl -D {source}/data -l {scratch}/server.log -w "
        f"-o '-c listen_addresses= -c unix_socket_directories={scratch}' start\n"
    )
    trace = public / "trace"
    words = ["setpriv", f"--reuid={cluster.owner.uid}", f"--regid={cluster.owner.gid}", "--clear-groups", "sh", start]
    # Not through run_traced: the server keeps the pipes of its output open, as it does for everybody.
    with open(scratch / "said", "wb") as said:
        options = ["--trace", str(trace), "--plane", plane, "-d", str(source)]
        command = [str(recorder.binary()), "run", *options, "--", *map(str, words)]
        status = subprocess.run(
            command, stdout=said, stderr=said, timeout=120, cwd=scratch, env=cluster.environment()
        ).returncode
    text = (scratch / "said").read_text()
    assert status == 0, text
    assert "postgres" in text, "who remains is named"
    assert Trace(trace).about["end_ns"] is None
    cluster.bench("-i", "-s", "1", "-q")
    cluster.bench("-c", "2", "-t", "50")
    cluster.run("psql", "-XAtc", "checkpoint")
    os.kill(postmaster_of(scratch), 2)
    wait_until(lambda: Trace(trace).about["end_ns"] is not None, "the trace's end", 60)
    finished = Trace(trace)
    finished.assert_balanced()
    assert finished.one("select count(*) from events where path like '%/base/%' and op = 'write'") > 100
    said_by_checks = cluster.run("pg_checksums", "--check", "-D", cluster.data)
    assert "Bad checksums:  0" in said_by_checks


def postmaster_of(scratch: Path) -> int:
    """Its pid file lies in the private view of the directory; its socket's lock file does not."""
    lock = next(scratch.glob(".s.PGSQL.*.lock"))
    return int(lock.read_text().split()[0])
