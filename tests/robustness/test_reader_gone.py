"""The kernel plane when nobody reads what the kernel noted: the recorder stands still, or its collecting thread dies. Whoever has
a file open goes on; what nobody has seen is counted, or the trace says until when it is complete."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support import recorder
from support.needs import failpoints_binary
from support.traces import Trace
from support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.mount]
KERNEL = ("--plane", "kernel")
LINE_BYTES = 16
# Of reports, for each CPU: some milliseconds of a writer that does nothing else.
TINY_RING = {"GLASSFS_FAILPOINT_RING_REPORTS": "256"}
# Numbered lines into one open file until FILE.stop is there; says how many.
WRITER = textwrap.dedent("""
    import os, sys
    place, stop = sys.argv[1:]
    held = os.open(place, os.O_CREAT | os.O_WRONLY)
    number = 0
    while not os.path.exists(stop):
        for _ in range(100):
            assert os.write(held, b"%15d\\n" % number) == 16
            number += 1
    print(number)
    os.close(held)
""")


@pytest.fixture
def source(ext4: Path) -> Path:
    place = ext4 / "source"
    place.mkdir()
    return place


def lines_in(file: Path) -> int:
    return file.stat().st_size // LINE_BYTES if file.exists() else 0


def goes_on(file: Path, lines: int) -> None:
    before = lines_in(file)
    wait_until(lambda: lines_in(file) > before + lines, f"{lines} lines more")


def written(writer: subprocess.Popen[str], stop: Path, file: Path) -> int:
    """How many lines the writer says it wrote; all of them must be there."""
    stop.touch()
    said, _ = writer.communicate(timeout=60)
    assert writer.returncode == 0
    assert file.read_bytes() == b"".join(b"%15d\n" % number for number in range(int(said)))
    return int(said)


def starts(mount_point: Path, stop: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WRITER, mount_point / "file", stop]
    return subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, text=True)


def test_a_writer_goes_on_while_the_recorder_stands_still_and_all_it_did_is_counted(
    source: Path, mount_point: Path, public: Path
) -> None:
    file, stop, trace = source / "file", public / "stop", public / "trace"
    options = {"program": failpoints_binary(), "environment": TINY_RING}
    with recorder.mounted(source, mount_point, trace, extra=KERNEL, **options) as mount:
        writer = starts(mount_point, stop)
        wait_until(lambda: lines_in(file) > 1000, "a thousand lines")
        os.kill(mount.pid, signal.SIGSTOP)
        try:
            goes_on(file, 100_000)
        finally:
            os.kill(mount.pid, signal.SIGCONT)
        lines = written(writer, stop, file)
    recorded = Trace(trace)
    recorded.assert_balanced(lost=None)
    counted = "select sum(count)::bigint, sum(bytes)::bigint from totals where op = 'write' and kind = 'call'"
    assert recorded.rows(counted) == [(lines, lines * LINE_BYTES)], "each write, seen singly or not"
    stored = recorded.one("select count(*) from events where op = 'write' and kind = 'call'")
    assert recorded.ledger()["dropped"] == lines - stored > 90_000


def test_a_writer_goes_on_when_the_collecting_thread_dies_and_the_trace_says_until_when_it_is_complete(
    source: Path, mount_point: Path, public: Path
) -> None:
    file, stop, trace = source / "file", public / "stop", public / "trace"
    options = {"program": failpoints_binary(), "environment": {"GLASSFS_FAILPOINT_COLLECT_DIES": "500000"}}
    with recorder.mounted(source, mount_point, trace, extra=KERNEL, **options):
        writer = starts(mount_point, stop)
        wait_until(lambda: Trace(trace).about["end_ns"] is not None, "the end of the trace")
        goes_on(file, 100_000)
        (mount_point / "another").write_text("also served")
        lines = written(writer, stop, file)
    recorded = Trace(trace)
    assert recorded.about["end_reason"] == "recorder failed"
    recorded.assert_balanced()
    stored, last, latest_ns = recorded.rows(
        'select count(distinct "offset"), max("offset"), max(ts_ns) from events where op = \'write\''
    )[0]
    assert 0 < stored == last // LINE_BYTES + 1 < lines
    assert latest_ns < recorded.about["end_ns"]
