"""The view `system` of a trace: the sampler's rows of its host and time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import DEADLINE_S, command_line
from tracewriter import START_NS, TraceWriter, event

from glassfs.query import Reader
from glassfs.query.machine import AFTER_END_NS
from glassfs.system.folder import Folder
from glassfs.system.writer import Sampled as Row
from glassfs.trace import Trace

S = 1_000_000_000
SECONDS = "select (ts_ns - {start}) // 1000000000 from system order by 1"


@pytest.fixture
def trace(tmp_path: Path) -> TraceWriter:
    """Ten seconds long."""
    writer = TraceWriter(tmp_path / "state/glassfs/traces/run-1", host={"name": os.uname().nodename})
    writer.add([event(seq) for seq in range(3)])
    writer.end(10)
    return writer


def sample(directory: Path, *seconds: float) -> Path:
    """A sampler's trace with a row at each of these seconds after the traced run's start."""
    with Folder(directory, {"period_s": 5.0}) as folder:
        for second in seconds:
            document = json.dumps({"system": {"cpu": {"total": {"pct": 1.5}}}})
            folder.append([Row("system.cpu", None, document)], START_NS + int(second * S))
        path = folder.trace.path
    # As if it had been written then.
    about = json.loads((path / "trace.json").read_text())
    times = {"start_ns": START_NS + int(min(seconds) * S), "end_ns": START_NS + int(max(seconds) * S)}
    (path / "trace.json").write_text(json.dumps(about | times))
    return path


def seconds(trace: TraceWriter) -> list[int]:
    with Reader(Trace(trace.path)) as reader:
        found = reader.sql(SECONDS.format(start=START_NS)).fetchall()
        assert reader.warnings == []
    return [second for (second,) in found]


def test_rows_of_the_traces_time_are_shown_and_no_others(trace: TraceWriter, directory: Path):
    sample(directory, -60, -1, 0, 4, 9)
    assert seconds(trace) == [0, 4, 9]


def test_the_sample_after_the_end_still_tells_of_the_trace(trace: TraceWriter, directory: Path):
    sample(directory, 8, 10 + AFTER_END_NS / S, 10 + AFTER_END_NS / S + 1)
    assert seconds(trace) == [8, 15]


def test_rows_of_several_of_the_samplers_traces_are_joined(trace: TraceWriter, directory: Path):
    sample(directory, -100, -50)
    sample(directory, 0, 3)
    sample(directory, 4, 60)
    assert seconds(trace) == [0, 3, 4]


def test_a_value_is_taken_out_of_a_document_in_sql(trace: TraceWriter, directory: Path):
    sample(directory, 1, 2)
    with Reader(Trace(trace.path)) as reader:
        query = "select avg((document->>'$.system.cpu.total.pct')::double) from system where dataset = 'system.cpu'"
        assert reader.sql(query).fetchall() == [(1.5,)]


def test_the_command_line_shows_them_with_a_traces_own_tables(trace: TraceWriter, directory: Path):
    sample(directory, 1, 2)
    query = "select (select count(*) from system) as samples, (select count(*) from events) as calls"
    asked = command_line("sql", "@last", query, "--format", "csv")
    shown = subprocess.run(asked, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert shown.stdout == "samples,calls\n2,3\n"


def test_another_machines_samples_are_not_the_traces(trace: TraceWriter, directory: Path):
    sample(directory, 1)
    trace.describe(host={"name": "elsewhere"})
    assert seconds(trace) == []


def test_a_trace_that_came_with_its_samplers_folder_has_them(trace: TraceWriter, tmp_path: Path):
    """A copied state directory of another machine."""
    path = sample(tmp_path / "copied/system", 1, 2)
    about = json.loads((path / "trace.json").read_text())
    (path / "trace.json").write_text(json.dumps(about | {"host": {"name": "elsewhere"}}))
    trace.describe(host={"name": "elsewhere"})
    (tmp_path / "copied/traces").mkdir()
    trace.path = trace.path.rename(tmp_path / "copied/traces/run-1")
    assert seconds(trace) == [1, 2]


def test_a_live_trace_has_the_samples_so_far(trace: TraceWriter, directory: Path):
    trace.describe(end_ns=None)
    trace.live()
    sample(directory, -1, 3, 1000)
    assert seconds(trace) == [3, 1000]


def test_a_trace_without_a_goodbye_has_those_until_its_last_event(trace: TraceWriter, directory: Path):
    trace.describe(end_ns=None)
    sample(directory, 0, 3, 1000)
    assert seconds(trace) == [0, 3]


def test_the_samplers_own_trace_shows_all_of_its_rows(trace: TraceWriter, directory: Path):
    path = sample(directory, -60, 3)
    with Reader(Trace(path)) as reader:
        assert reader.sql("select count(*) from system").fetchall() == [(2,)]


@pytest.fixture
def damaged(directory: Path) -> Iterator[Path]:
    path = sample(directory, 1, 2)
    (file,) = (path / "system").iterdir()
    yield file


def test_a_damaged_segment_is_left_out_and_said(trace: TraceWriter, directory: Path, damaged: Path):
    sample(directory, 3)
    data = bytearray(damaged.read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    damaged.write_bytes(data)
    with Reader(Trace(trace.path)) as reader:
        reader.leave_out_damaged()
        assert reader.sql("select count(*) from system where length(document) > 0").fetchall() == [(1,)]
        assert "is damaged" in reader.warnings[0]
        assert reader.sql("select count(*) from events").fetchall() == [(3,)]


def test_a_segment_that_is_cut_off_is_left_out_and_said(trace: TraceWriter, damaged: Path):
    os.truncate(damaged, 100)
    with Reader(Trace(trace.path)) as reader:
        assert reader.sql("select count(*) from system").fetchall() == [(0,)]
        assert "is cut off" in reader.warnings[0]


def test_a_segment_that_was_thrown_away_under_the_reader_is_not_missed(
    trace: TraceWriter, directory: Path, damaged: Path
):
    with Reader(Trace(trace.path)) as reader:
        assert reader.sql("select count(*) from system").fetchall() == [(2,)]
        damaged.parent.parent.rename(directory / ".removing-x")
        assert reader.sql("select count(document) from system").fetchall() == [(0,)]
        assert reader.warnings == []


def test_the_host_is_the_kernels_name_for_it():
    assert os.uname().nodename == socket.gethostname()
