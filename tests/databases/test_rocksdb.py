"""RocksDB behind the mount: filled, killed in the middle, consistent afterwards."""

import signal
import subprocess
from pathlib import Path

import pytest
from planes import BOTH, KERNEL_SLOW

from support import places, recorder
from support.needs import require
from support.traces import Trace
from support.waiting import wait_until

MEMORY_BYTES = 250 * 1000 * 1000
pytestmark = [pytest.mark.root, pytest.mark.mount, pytest.mark.deadline(200)]


@pytest.fixture
def source(ext4: Path) -> Path:
    require("db_bench", "ldb")
    place = ext4 / "source"
    place.mkdir()
    return place


def consistent(database: Path) -> str:
    return places.run("ldb", f"--db={database}", "checkconsistency").stdout


@KERNEL_SLOW
@pytest.mark.parametrize(
    "how",
    [[], ["--use_direct_reads", "--use_direct_io_for_flush_and_compaction"], ["--mmap_read"]],
    ids=["buffered", "direct", "mapped"],
)
def test_filled_and_read_back(how: list[str], plane: str, source: Path, mount_point: Path, public: Path) -> None:
    with recorder.mounted(source, mount_point, public / "trace", extra=("--plane", plane)) as mount:
        words = [
            f"--db={mount_point}/db",
            "--num=60000",
            "--value_size=200",
            "--write_buffer_size=2000000",
            "--threads=2",
            *how,
        ]
        said = places.run(
            "db_bench", "--benchmarks=fillrandom,overwrite,readrandom,verifychecksum", *words, timeout=120
        ).stdout
        assert "readrandom" in said
        assert "OK" in consistent(mount_point / "db")
        assert mount.memory_peak_bytes() < MEMORY_BYTES
    assert "OK" in consistent(source / "db")
    trace = Trace(public / "trace")
    trace.assert_balanced()
    assert trace.one("select count(*) from events where path like '%.sst' and op = 'write'") > 0


@BOTH
def test_killed_while_writing_with_sync(plane: str, source: Path, mount_point: Path, public: Path) -> None:
    with recorder.mounted(source, mount_point, public / "trace", extra=("--plane", plane)):
        words = [
            "db_bench",
            f"--db={mount_point}/db",
            "--num=10000000",
            "--value_size=100",
            "--sync=1",
            "--write_buffer_size=500000",
            "--benchmarks=fillrandom",
        ]
        filling = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: len(list((source / "db").glob("*.sst"))) >= 2, "the second table", 60)
        filling.send_signal(signal.SIGKILL)
        filling.wait(30)
        assert "OK" in consistent(mount_point / "db")
        said = places.run(
            "db_bench",
            f"--db={mount_point}/db",
            "--use_existing_db",
            "--num=1000",
            "--benchmarks=readrandom,verifychecksum",
        ).stdout
        assert "readrandom" in said
    assert "OK" in consistent(source / "db")
    trace = Trace(public / "trace")
    assert trace.about["plane"] == plane
    trace.assert_balanced()
