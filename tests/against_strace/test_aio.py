"""Reads and writes by libaio in the kernel plane. strace sees no single one: a program that says what it was told of each,
and fio's own account, are the oracles."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from support import recorder
from support.needs import require
from support.traces import Trace

HERE = Path(__file__).parent
pytestmark = [pytest.mark.root, pytest.mark.mount]
KERNEL = ("--plane", "kernel")


@pytest.fixture
def program(scratch: Path) -> Path:
    require("gcc")
    built = scratch / "aio"
    subprocess.run(["gcc", "-O1", "-pthread", "-o", built, HERE / "aio.c"], check=True)
    return built


@pytest.mark.parametrize("way", ["io_getevents", "ring"])
def test_each_is_an_event_with_the_result_that_the_program_got(
    way: str, program: Path, directory: Path, scratch: Path
) -> None:
    done = recorder.run_traced([directory], [program, directory / "f", way], scratch / "traces/trace", extra=KERNEL)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    told = Counter((op, int(offset), int(result)) for op, offset, result in lines if op in ("read", "write"))
    assert len(lines) - told.total() == 3, "an fsync and two that were refused"
    trace = Trace(scratch / "traces/trace")
    rows = trace.rows(
        """select op, "offset", case when errno = 0 then result else -errno end, tid, path, origin from events
           where kind = 'aio' order by ts_ns"""
    )
    assert Counter(row[:3] for row in rows) == told
    assert {row[4] for row in rows} == {f"{directory}/f"} and {row[5] for row in rows} == {"program"}
    assert len({row[3] for row in rows}) == 3
    assert trace.one("select count(*) from events where op in ('read', 'write') and kind <> 'aio'") == 0
    assert trace.counts("kind = 'request'")["fsync"] == 1
    assert not [note for note in trace.about["notes"] if note["kind"] == "lost"]
    trace.assert_balanced()


@pytest.mark.parametrize("more", [[], ["--direct=1"], ["--numjobs=2"], ["--userspace_reap=1", "--iodepth_batch=4"]])
def test_they_are_those_that_fio_counts(more: list[str], directory: Path, scratch: Path) -> None:
    require("fio")
    words = ["fio", "--name=j", "--ioengine=libaio", "--iodepth=8", "--rw=randrw", "--bs=4k", "--size=4m"]
    words += [f"--filename={directory}/f", "--group_reporting", "--output-format=json", *more]
    done = recorder.run_traced([directory], words, scratch / "traces/trace", extra=KERNEL, timeout=100)
    assert done.returncode == 0, done.stderr
    (job,) = json.loads(done.stdout[done.stdout.index("{") :])["jobs"]
    trace = Trace(scratch / "traces/trace")
    rows = trace.rows(
        """select op, count(*), sum(result)::bigint, count(distinct "offset"), min(size), max(path)
           from events where kind = 'aio' and origin = 'program' group by op order by op"""
    )
    expected = [(side, job[side]["total_ios"], job[side]["io_bytes"]) for side in ("read", "write")]
    assert [row[:3] for row in rows] == expected
    assert {row[4:] for row in rows} == {(4096, f"{directory}/f")}
    assert not [note for note in trace.about["notes"] if note["kind"] == "lost"]
    trace.assert_balanced()
