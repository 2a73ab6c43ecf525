"""A trace on disk: what the manifest says is there, what state it is in, what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tracewriter import START_NS, TraceWriter, event

from glassfs.errors import DamagedTrace, EnvironmentProblem, NewerSchema, TraceNotFound
from glassfs.trace import Manifest, State, Trace


def line(**entry: object) -> bytes:
    return json.dumps({"rows": 1, "bytes": 1, "streams": [], "from_ns": 0, "to_ns": 0, **entry}).encode() + b"\n"


def test_the_live_set_is_adds_and_merges_less_what_they_replaced_or_a_remove_took():
    manifest = Manifest()
    for number in range(4):
        manifest.feed(line(add=f"events/{number:06}.parquet"))
    manifest.feed(line(merge="events/000004.parquet", **{"from": ["events/000001.parquet", "events/000002.parquet"]}))
    manifest.feed(line(remove="events/000000.parquet"))
    assert [each.file for each in manifest.segments("events")] == ["events/000004.parquet", "events/000003.parquet"]
    assert [each.file for each in manifest.removed] == ["events/000000.parquet"]


def test_a_torn_last_line_is_not_there_yet_and_is_read_when_it_is_whole():
    manifest = Manifest()
    whole = line(add="events/000001.parquet")
    manifest.feed(whole[:20])
    assert manifest.offset == 0
    assert not manifest.live
    manifest.feed(whole)
    assert list(manifest.live) == ["events/000001.parquet"]


def test_a_damaged_line_is_named_by_its_number_and_the_rest_is_read():
    manifest = Manifest()
    manifest.feed(
        line(add="events/000001.parquet") + b'{"add": "events/0000\xff\n' + line(add="events/000003.parquet") + b"{}\n"
    )
    assert list(manifest.live) == ["events/000001.parquet", "events/000003.parquet"]
    assert len(manifest.warnings) == 1
    assert "line 2" in manifest.warnings[0]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../other/events/1.parquet", "events/../../x.parquet", "notes/1.parquet"]
)
def test_a_manifest_cannot_lead_out_of_its_folder(name: str):
    manifest = Manifest()
    manifest.feed(line(add=name))
    assert not manifest.live
    assert manifest.warnings


def test_a_finished_trace_whose_manifest_is_cut_off_says_so(traces: Path):
    writer = TraceWriter(traces / "cut")
    writer.add([event(0)])
    writer.end()
    manifest = traces / "cut/manifest"
    manifest.write_bytes(manifest.read_bytes()[:-10])
    assert any("cut off" in warning for warning in Trace(traces / "cut").manifest().warnings)


def test_a_trace_with_an_end_has_ended(traces: Path):
    writer = TraceWriter(traces / "one")
    writer.end()
    assert Trace(traces / "one").state() is State.ENDED


def test_a_trace_whose_recorder_runs_is_live(traces: Path):
    writer = TraceWriter(traces / "one")
    writer.live()
    assert Trace(traces / "one").state() is State.LIVE


def test_a_trace_whose_recorder_is_gone_ended_without_a_goodbye(traces: Path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    writer = TraceWriter(traces / "one")
    writer.live()
    writer.describe(recorder={"pid": child.pid})
    assert Trace(traces / "one").state() is State.NO_GOODBYE


def test_a_pid_that_another_process_got_later_is_not_the_recorder(traces: Path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        writer = TraceWriter(traces / "one")
        writer.live()
        # As if the trace had begun an hour before the process that bears its recorder's pid.
        writer.describe(recorder={"pid": child.pid}, start_ns=START_NS - 3600 * 10**9)
        assert Trace(traces / "one").state() is State.NO_GOODBYE
    finally:
        child.communicate(b"\n")


def test_the_recorders_start_is_compared_to_the_tick_where_the_trace_says_it(traces: Path):
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    writer = TraceWriter(traces / "one")
    writer.live()
    writer.describe(recorder={"pid": os.getpid(), "start_ticks": int(fields[19])}, clock={})
    assert Trace(traces / "one").state() is State.LIVE
    writer.describe(recorder={"pid": os.getpid(), "start_ticks": int(fields[19]) - 1})
    assert Trace(traces / "one").state() is State.NO_GOODBYE


def test_a_recorder_of_an_earlier_boot_is_gone(traces: Path):
    writer = TraceWriter(traces / "one")
    writer.live()
    writer.describe(host={**writer.about["host"], "boot_id": "0" * 32})
    assert Trace(traces / "one").state() is State.NO_GOODBYE


def test_a_newer_major_is_refused_and_a_newer_minor_is_read(traces: Path):
    writer = TraceWriter(traces / "one", schema={"major": 1, "minor": 99}, novelty={"x": 1})
    Trace(traces / "one")
    writer.describe(schema={"major": 2, "minor": 0})
    with pytest.raises(NewerSchema, match="schema 2"):
        Trace(traces / "one")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": "glassfs-trace", "schema": {"major": 1}}', "{}", "\x00"]
)
def test_a_damaged_trace_json_is_one_clear_error(traces: Path, text: str):
    TraceWriter(traces / "one").add([event(0)])
    (traces / "one/trace.json").write_text(text)
    with pytest.raises(DamagedTrace, match=r"trace\.json"):
        Trace(traces / "one")


def test_a_damaged_trace_json_tells_what_can_still_be_read(traces: Path):
    TraceWriter(traces / "one").add([event(0), event(1)])
    (traces / "one/trace.json").write_text('{"format": "glassfs-')
    with pytest.raises(DamagedTrace) as caught:
        Trace(traces / "one")
    assert "1 event segments (2 rows)" in str(caught.value)


def test_a_folder_without_a_trace_and_a_file_are_no_traces(tmp_path: Path):
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(TraceNotFound):
            Trace(place)
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceNotFound):
        Trace(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_trace_of_another_user_is_a_clear_error(traces: Path):
    TraceWriter(traces / "one")
    (traces / "one").chmod(0)
    try:
        with pytest.raises(EnvironmentProblem, match="cannot read"):
            Trace(traces / "one")
    finally:
        (traces / "one").chmod(0o700)
