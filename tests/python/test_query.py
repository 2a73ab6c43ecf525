"""The fixed questions, against counts made in plain Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from samples import COMMAND, database_run
from tracewriter import OPS, START_NS, TraceWriter, event

from glassfs.filters import CLASSES, Filter
from glassfs.query import Reader, breakdown
from glassfs.trace import Trace

ALL_BY_EVENTS = Filter.parse(min_latency="0")


@pytest.fixture
def run(tmp_path: Path) -> Reader:
    return Reader(Trace(database_run(tmp_path / "run").path))


def test_classes_are_six_in_their_order_and_add_up(run: Reader):
    summary = run.summary()
    rows = list(run.events())
    assert tuple(row.name for row in summary.classes) == CLASSES
    for row in summary.classes:
        those = [each for each in rows if OPS[each.op] == row.name]
        assert row.count == len(those)
        assert row.time_ns == sum(each.duration_ns for each in those)
        assert row.errors == sum(each.errno != 0 for each in those)
    assert sum(row.count_share for row in summary.classes) == pytest.approx(1)
    assert sum(row.time_share for row in summary.classes) == pytest.approx(1)


def test_totals_and_events_give_the_same_answer(run: Reader):
    assert run.ops() == run.ops(ALL_BY_EVENTS)
    assert run.summary().classes == run.summary(ALL_BY_EVENTS).classes
    assert run.errors() == run.errors(ALL_BY_EVENTS)


def test_averages_and_extremes_are_exact(run: Reader):
    reads = [each.duration_ns for each in run.events(Filter.parse(op=["read"]))]
    row = next(row for row in run.ops() if row.name == "read")
    assert row.latency is not None
    assert row.latency.average_ns == round(sum(reads) / len(reads))
    assert (row.latency.min_ns, row.latency.max_ns) == (min(reads), max(reads))


@pytest.mark.parametrize("sort", ["count", "time", "read", "written", "errors"])
def test_files_come_in_the_order_asked_for(run: Reader, sort: str):
    measure: dict[str, Any] = {
        "count": lambda row: row.count,
        "time": lambda row: row.time_ns,
        "read": lambda row: row.read_bytes,
        "written": lambda row: row.written_bytes,
        "errors": lambda row: row.errors,
    }
    everything = run.files(sort=sort, limit=1000)
    assert [measure[sort](row) for row in everything] == sorted(map(measure[sort], everything), reverse=True)
    top = run.files(sort=sort, limit=3)
    assert [measure[sort](row) for row in top] == [measure[sort](row) for row in everything[:3]]
    rows = list(run.events())
    for row in everything:
        those = [each for each in rows if each.path == row.path]
        assert row.count == len(those)
        assert row.read_bytes == sum(each.result or 0 for each in those if each.op == "read" and not each.errno)
        assert row.written_bytes == sum(each.result or 0 for each in those if each.op == "write" and not each.errno)


def test_very_many_events_are_ranked_by_hash_and_give_the_same_files(run: Reader, monkeypatch: pytest.MonkeyPatch):
    by_name = run.files(limit=1000)
    monkeypatch.setattr(breakdown, "RANK_BY_NAME_EVENTS", 0)
    assert run.files(limit=1000) == by_name


def test_threads_bear_the_names_of_process_and_thread(run: Reader):
    first, second = run.threads()
    assert (first.pid, first.tid, first.process, first.thread) == (4711, 4711, "db_bench", "db_bench")
    assert (second.pid, second.tid, second.process, second.thread) == (4711, 4713, "db_bench", "rocksdb:low0")
    assert first.cmdline == "db_bench --db=./db --num=200000"


def test_errors_name_where_they_happened_most(tmp_path: Path):
    writer = TraceWriter(tmp_path / "one")
    paths = ["/a"] * 5 + ["/b"] * 3 + ["/c"] * 2 + ["/d"]
    writer.add(event(seq, op="lookup", errno=2, path=path) for seq, path in enumerate(paths))
    writer.end()
    (row,) = Reader(Trace(writer.path)).errors()
    assert (row.op, row.errno_name, row.count) == ("lookup", "ENOENT", 11)
    assert [(each.path, each.count) for each in row.examples] == [("/a", 5), ("/b", 3), ("/c", 2)]


def test_what_was_lost_is_counted_and_totals_hold_it_too(tmp_path: Path):
    writer = TraceWriter(tmp_path / "one")
    rows = [event(seq) for seq in range(50)]
    writer.add(rows[:40], totals=False)
    writer.totals_of(rows)
    writer.ledger(seen=50, stored=40, dropped=10, reason="trace disk full")
    writer.end()
    summary = Reader(Trace(writer.path)).summary()
    assert (summary.count, summary.stored_count) == (50, 40)
    assert (summary.losses.seen, summary.losses.stored, summary.losses.dropped) == (50, 40, 10)
    assert [(each.reason, each.count) for each in summary.losses.reasons] == [("trace disk full", 10)]
    assert summary.classes[0].count == 50


def coverage(tmp_path: Path, rows: list[dict[str, Any]], **command: Any) -> Any:
    writer = TraceWriter(tmp_path / "one")
    writer.add(rows)
    writer.end(command={**COMMAND, **command})
    return Reader(Trace(writer.path)).summary().coverage


def test_coverage_compares_what_was_seen_with_the_programs_own_counters(tmp_path: Path):
    rows = [event(0, result=300), event(1, op="write", result=80)]
    found = coverage(tmp_path, rows, read_bytes=300, written_bytes=100)
    assert (found.seen_bytes, found.program_bytes, found.share) == (380, 400, 0.95)
    assert found.open_elsewhere[0].directory == "/tmp"


def test_coverage_leaves_out_what_the_kernel_read_on_its_own(tmp_path: Path):
    rows = [event(0, result=300), event(1, result=4096, origin="kernel", pid=None, tid=None, comm=None)]
    assert coverage(tmp_path, rows, read_bytes=600, written_bytes=0).share == 0.5


def test_coverage_counts_a_copy_as_read_and_written(tmp_path: Path):
    rows = [event(0, op="copy_file_range", result=500)]
    assert coverage(tmp_path, rows, read_bytes=500, written_bytes=500).share == 1.0


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ({"io_uring": True}, "io_uring"),
        ({"read_bytes": None}, "counters"),
        ({"end_ns": None, "read_bytes": None}, "ended"),
    ],
)
def test_coverage_that_cannot_be_known_says_why(tmp_path: Path, command: dict[str, Any], why: str):
    found = coverage(tmp_path, [event(0)], **command)
    assert found.share is None
    assert why in found.unknown


def test_events_come_in_the_order_they_began_across_segments(tmp_path: Path):
    writer = TraceWriter(tmp_path / "one")
    # A long call is stored with what ended when it did, long after it began.
    writer.add([event(0, ts_ns=START_NS + 5), event(1, ts_ns=START_NS + 9)])
    writer.add([event(2, ts_ns=START_NS + 1, duration_ns=10**9), event(3, ts_ns=START_NS + 12)])
    writer.end()
    reader = Reader(Trace(writer.path))
    assert [each.seq for each in reader.events()] == [2, 0, 1, 3]
    assert [each.seq for each in reader.events(limit=2)] == [2, 0]


def test_many_events_are_read_in_slices_that_lose_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from glassfs.query import events

    monkeypatch.setattr(events, "SLICE_ROWS", 10)
    monkeypatch.setattr(events, "SLICE_PART_ROWS", 3)
    writer = TraceWriter(tmp_path / "one")
    rows = [event(seq, ts_ns=START_NS + (seq * 7919) % 500) for seq in range(120)]
    for start in range(0, 120, 40):
        writer.add(rows[start : start + 40])
    writer.end()
    reader = Reader(Trace(writer.path))
    assert [each.ts_ns for each in reader.events()] == sorted(row["ts_ns"] for row in rows)
    assert [each.ts_ns for each in reader.events(limit=33)] == sorted(row["ts_ns"] for row in rows)[:33]


def test_a_trace_without_a_segment_answers_with_nothing(tmp_path: Path):
    writer = TraceWriter(tmp_path / "one")
    reader = Reader(Trace(writer.path))
    summary = reader.summary()
    assert summary.count == 0
    assert [row.count for row in summary.classes] == [0] * 6
    assert list(reader.events()) == []
    assert reader.files() == reader.threads() == reader.errors() == ()


def test_a_live_trace_is_read_as_it_stands_at_each_question(tmp_path: Path):
    writer = TraceWriter(tmp_path / "one")
    writer.live()
    first = writer.add([event(0)])
    reader = Reader(Trace(writer.path))
    assert reader.summary().count == 1
    second = writer.add([event(1)])
    assert reader.summary().count == 2
    writer.merge([first, second], delete=True)
    assert len(list(reader.events())) == 2
    assert reader.summary().headline.state == "live"


def test_an_op_of_a_later_version_still_counts(tmp_path: Path):
    writer = TraceWriter(tmp_path / "one")
    writer.add([event(0, op="teleport"), event(1)])
    writer.end()
    summary = Reader(Trace(writer.path)).summary()
    assert [(row.name, row.count) for row in summary.classes if row.count] == [("read", 1), ("other", 1)]


def test_a_folder_whose_name_looks_like_a_glob_is_read(tmp_path: Path):
    writer = TraceWriter(tmp_path / "a=[b]*?'c")
    writer.add([event(0)])
    writer.end()
    assert Reader(Trace(writer.path)).summary().stored_count == 1
    assert len(list(Reader(Trace(writer.path)).events())) == 1
