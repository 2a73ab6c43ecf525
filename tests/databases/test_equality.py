"""RocksDB's and PostgreSQL's short runs under strace in a traced run: every call on the mount, thread by thread in its order,
with the same result, path, place and size."""

import os
from pathlib import Path

import pytest

from support import recorder
from support.differences import NO_FOLDER
from support.equality import Both, strace
from support.needs import require
from support.people import person
from support.postgres import programs

pytestmark = [pytest.mark.root, pytest.mark.mount, pytest.mark.slow, pytest.mark.deadline(600)]


@pytest.fixture
def scratch(public: Path) -> Path:
    """For sockets, logs and strace's files, of whoever runs a server."""
    place = public / "scratch"
    place.mkdir()
    owner = person("postgres")
    os.chown(place, owner.uid, owner.gid)
    return place


def traced(source: Path, words: list[str | Path], public: Path, scratch: Path, **named: object) -> None:
    extra = ("--plane", "kernel", "--exact")
    done = recorder.run_traced([source], words, public / "trace", extra=extra, timeout=500, cwd=scratch, **named)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_every_call_of_rocksdb(source: Path, public: Path, scratch: Path) -> None:
    require("db_bench")
    words = ["db_bench", f"--db={source}/db", "--benchmarks=fillrandom,overwrite,readrandom,readseq,deleterandom"]
    words += ["--num=3000", "--value_size=200", "--write_buffer_size=300000", "--threads=2", "--sync=0"]
    traced(source, strace(scratch / "out", *words), public, scratch)
    both = Both(source, scratch / "out", public / "trace", cwd=str(scratch))
    both.assert_equal()
    assert both.calls() > 10_000


def test_every_call_of_postgresql(source: Path, public: Path, scratch: Path) -> None:
    binary, owner = programs(), person("postgres")
    script = scratch / "session.sh"
    settings = f"-c listen_addresses= -c unix_socket_directories={scratch}"
    script.write_text(
        f"set -e\nexport PGHOST={scratch} PGUSER=postgres PGDATABASE=postgres LC_ALL=C\n"
        f"{binary}/initdb -D {source}/data --data-checksums --auth=trust --no-instructions\n"
        f"{binary}/pg_ctl -D {source}/data -l {scratch}/server.log -w -o '{settings}' start\n"
        f"{binary}/pgbench -q -i -s 1\n"
        f"{binary}/pgbench -n -c 2 -t 20\n"
        f"{binary}/pg_ctl -D {source}/data -w -m fast stop\n"
    )
    as_owner = ["setpriv", f"--reuid={owner.uid}", f"--regid={owner.gid}", "--clear-groups"]
    traced(source, [*as_owner, *strace(scratch / "out", "sh", script)], public, scratch)
    both = Both(source, scratch / "out", public / "trace", cwd=str(scratch))
    both.assert_equal([NO_FOLDER])
    assert both.calls() > 10_000
