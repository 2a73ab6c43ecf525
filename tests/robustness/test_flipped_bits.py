"""A bit that flips in what the recorder wrote is found, wherever it is: each segment's checksum is in the manifest."""

import json
import random
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from glassfs.query.listing import checked
from glassfs.trace import Trace
from support import recorder
from support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.mount]
FLIPS_A_SEGMENT = 60


def lines(trace: Path) -> Iterator[dict]:
    for line in (trace / "manifest").read_text().splitlines():
        yield json.loads(line)


def checksums(trace: Path, table: str = "") -> dict[str, int]:
    told = {line.get("add") or line["merge"]: line["crc32"] for line in lines(trace)}
    return {name: crc32 for name, crc32 in told.items() if name.startswith(table)}


@pytest.fixture
def recorded(public: Path, mount_point: Path) -> Path:
    """A recorded trace with merged and unmerged segments; the checksums of all were compared while it was written."""
    trace = public / "trace"
    (public / "source").mkdir()
    with recorder.mounted(public / "source", mount_point, trace):
        for turn in range(1, 4):
            subprocess.run(["cp", "-r", "/etc/default", mount_point / f"copy-{turn}"], check=True, timeout=60)
            wait_until(lambda least=turn: len(checksums(trace, "events")) >= least, f"{turn} segments of events")
        told = checksums(trace)
        assert {name.partition("/")[0] for name in told} == {"events", "totals", "ledger", "processes"}
        assert told == {name: zlib.crc32((trace / name).read_bytes()) for name in told}
    assert any("merge" in line for line in lines(trace)), "what is left is merged at the end"
    return trace


def test_a_flipped_bit_anywhere_in_a_recorded_segment_is_found(recorded: Path) -> None:
    trace = Trace(recorded)
    assert checked(trace).problems == ()
    rng = random.Random(7)
    live = list(trace.manifest().live.values())
    assert {segment.table for segment in live} == {"events", "totals", "ledger", "processes"}
    for segment in live:
        file = trace.segment_path(segment)
        good = file.read_bytes()
        for place in rng.sample(range(len(good)), FLIPS_A_SEGMENT):
            file.write_bytes(good[:place] + bytes([good[place] ^ 1 << rng.randrange(8)]) + good[place + 1 :])
            _, damaged = trace.check(live, thorough=True)
            assert [each.segment for each in damaged] == [segment], f"byte {place} of {segment.file}"
        file.write_bytes(good)
    assert trace.check(live, thorough=True)[1] == []
