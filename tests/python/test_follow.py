"""Following a live trace: each row once, whatever is added and merged and whenever the reader looks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tracewriter import TraceWriter, event

from glassfs.filters import Filter
from glassfs.follow import BATCH_ROWS, Follower
from glassfs.query.live import LiveEvents
from glassfs.trace import Trace

# What a recorder and a reader may do, in any order. The number says how much.
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "add", "merge", "merge_and_delete", "look", "start_looking"]), st.integers(1, 4)),
    max_size=14,
)


class Recorder:
    """Adds segments of two streams and merges neighbours, as the real one does."""

    def __init__(self, folder: Path) -> None:
        self.writer = TraceWriter(folder)
        self.writer.live()
        self.live: list[str] = []
        self.next = {0: 0, 1: 0}
        self.written: list[tuple[int, int]] = []

    def add(self, many: int) -> None:
        rows = []
        for stream in (0, 1):
            for _ in range(many + stream):
                # Calls are stored as they end, so starts lie across segments; a hole is a drop.
                seq = self.next[stream]
                rows.append(event(seq, stream=stream, ts_ns=self.writer.about["start_ns"] + (seq * 7919) % 1000))
                self.next[stream] = seq + 1 + (seq % 5 == 3)
        self.written += [(row["stream"], row["seq"]) for row in rows]
        self.live.append(self.writer.add(rows, totals=False))

    def merge(self, many: int, *, delete: bool) -> None:
        parts = self.live[:-1][-many:] if len(self.live) > many else self.live[:many]
        if len(parts) < 2:
            return
        place = self.live.index(parts[0])
        merged = self.writer.merge(parts, delete=delete)
        self.live[place : place + len(parts)] = [merged]


def looked(reader: LiveEvents) -> list[tuple[int, int]]:
    return [(each.stream, each.seq) for each in reader.news()]


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_no_row_comes_twice_and_none_is_missed_across_adds_and_merges(steps: list[tuple[str, int]]):
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder) / "trace")
        trace = Trace(recorder.writer.path)
        readers = [(LiveEvents(trace, Filter()), [])]
        for what, many in steps:
            if what == "add":
                recorder.add(many)
            elif what.startswith("merge"):
                recorder.merge(many, delete=what.endswith("delete"))
            elif what == "look":
                for reader, seen in readers:
                    seen.extend(looked(reader))
            else:
                readers.append((LiveEvents(trace, Filter()), []))
        for reader, seen in readers:
            seen.extend(looked(reader))
            assert sorted(seen) == sorted(recorder.written)
            assert reader.warnings == []


def test_a_merge_between_the_manifest_and_the_segments_is_read_anew(tmp_path: Path, monkeypatch: Any):
    recorder = Recorder(tmp_path / "trace")
    recorder.add(2)
    recorder.add(3)
    reader = LiveEvents(Trace(recorder.writer.path), Filter())
    real_poll = Follower.poll
    polled = []

    def poll_and_be_overtaken(self: Follower) -> Any:
        batch = real_poll(self)
        polled.append(batch)
        if len(polled) == 1:
            recorder.merge(2, delete=True)
        return batch

    monkeypatch.setattr(Follower, "poll", poll_and_be_overtaken)
    # The first look finds the files gone; the second, as a follower takes it, finds the merged one.
    assert sorted(looked(reader) + looked(reader)) == sorted(recorder.written)


def test_a_segment_that_is_missing_for_good_is_said_and_the_rest_comes(tmp_path: Path):
    recorder = Recorder(tmp_path / "trace")
    recorder.add(2)
    recorder.add(3)
    (recorder.writer.path / recorder.live[0]).unlink()
    reader = LiveEvents(Trace(recorder.writer.path), Filter())
    seen = looked(reader) + looked(reader)
    assert len(seen) == len(recorder.written) - 5
    assert [warning for warning in reader.warnings if "is missing: 5 rows left out" in warning]


def test_what_retention_took_before_it_was_had_is_counted(tmp_path: Path):
    recorder = Recorder(tmp_path / "trace")
    recorder.add(2)
    reader = LiveEvents(Trace(recorder.writer.path), Filter())
    assert len(looked(reader)) == 5
    recorder.add(3)
    recorder.writer.remove(recorder.live[0], 5)
    recorder.writer.remove(recorder.live[1], 7)
    assert looked(reader) == []
    assert reader.missed_rows == 7


def test_a_long_past_comes_in_parts(tmp_path: Path):
    recorder = Recorder(tmp_path / "trace")
    recorder.add(1)
    recorder.add(1)
    follower = Follower(Trace(recorder.writer.path))
    manifest = recorder.writer.path / "manifest"
    manifest.write_text(manifest.read_text().replace('"rows": 3', f'"rows": {BATCH_ROWS}'))
    first = follower.poll()
    assert [each.file for each in first.segments] == recorder.live[:1]
    follower.had(first)
    assert [each.file for each in follower.poll().segments] == recorder.live[1:]


def test_a_filter_holds_for_what_comes(tmp_path: Path):
    recorder = Recorder(tmp_path / "trace")
    reader = LiveEvents(Trace(recorder.writer.path), Filter.parse(errno=["any"]))
    recorder.add(3)
    assert looked(reader) == []
    recorder.writer.add([event(100, errno=2), event(101)], totals=False)
    assert looked(reader) == [(0, 100)]


def test_the_end_of_a_live_trace_is_seen(tmp_path: Path):
    recorder = Recorder(tmp_path / "trace")
    reader = LiveEvents(Trace(recorder.writer.path), Filter())
    assert not reader.ended()
    recorder.writer.end()
    assert reader.ended()
