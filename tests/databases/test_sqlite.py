"""SQLite behind the mount, in WAL and rollback mode, from several processes: locks, shared maps, integrity."""

import os
import shutil
from pathlib import Path

import pytest
from planes import BOTH

from support import people, places, recorder
from support.people import Person
from support.traces import Trace

HERE = Path(__file__).parent
pytestmark = [pytest.mark.root, pytest.mark.mount]
WRITERS, ROWS = 4, 100
EXPECTED = f"0 {WRITERS * ROWS} {WRITERS * ROWS} ok"


@pytest.fixture
def program(public: Path) -> Path:
    return Path(shutil.copy(HERE / "sqlite_writers.py", public))


@BOTH
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_four_processes_write_one_database(
    journal: str, plane: str, program: Path, ext4: Path, mount_point: Path, public: Path
) -> None:
    source = ext4 / "source"
    source.mkdir()
    with recorder.mounted(source, mount_point, public / "trace", extra=("--plane", plane)):
        words = [people.PUBLIC_PYTHON, program, mount_point / "base.db", journal, str(WRITERS), str(ROWS)]
        assert places.run(*words, timeout=100).stdout.strip() == EXPECTED
    below = places.run("sqlite3", source / "base.db", "pragma integrity_check; select count(*) from t").stdout.split()
    assert below == ["ok", str(WRITERS * ROWS)]
    trace = Trace(public / "trace")
    assert trace.about["plane"] == plane
    trace.assert_balanced()


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_an_ordinary_user_runs_it_over_an_own_directory(
    journal: str, program: Path, ext4: Path, public: Path, ordinary: Person
) -> None:
    directory, traces = ext4 / "own", public / "traces"
    for place in (directory, traces):
        place.mkdir()
        os.chown(place, ordinary.uid, ordinary.gid)
    words = [people.PUBLIC_PYTHON, program, directory / "base.db", journal, str(WRITERS), str(ROWS)]
    done = recorder.run_traced(
        [directory],
        words,
        traces / "trace",
        user=ordinary,
        program=recorder.public_binary(public),
        timeout=100,
        cwd=directory,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == EXPECTED
    trace = Trace(traces / "trace")
    trace.assert_balanced()
    assert trace.rows("select distinct uid from events where origin = 'program'") == [(ordinary.uid,)]
