"""The sampler's folder: whole at every moment, never twice the same row, and never growing for ever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from kept import DEADLINE_S, Sampled, documents

from glassfs import places
from glassfs.errors import EnvironmentProblem
from glassfs.query import Reader
from glassfs.system import folder as folder_module
from glassfs.system.folder import Folder
from glassfs.system.writer import MERGE_PARTS
from glassfs.system.writer import Sampled as Row
from glassfs.trace import State, Trace
from support.waiting import wait_until

ROW = [Row("system.load", None, '{"system": {}}')]

RUNS_FOR_EVER = """
import threading
from glassfs.config.model import Sampler as SamplerSettings, Settings
from glassfs.system.sampler import Sampler
Sampler(Settings(sampler=SamplerSettings(period_s=0.05))).run(threading.Event())
"""


def the_trace(directory: Path) -> Trace:
    (only,) = directory.glob("*Z*")
    return Trace(only)


def rows(trace: Trace) -> list[tuple[int, int]]:
    with Reader(trace) as reader:
        found = reader.sql("select stream, seq from system order by 1, 2").fetchall()
        assert reader.warnings == []
    return found


def append(folder: Folder, samples: int) -> None:
    for _ in range(samples):
        folder.append(ROW, time.time_ns())


def test_a_running_samplers_trace_is_read_as_any_live_one(directory: Path):
    with Folder(directory, {"period_s": 5.0}) as folder:
        append(folder, 3)
        trace = the_trace(directory)
        assert trace.state() is State.LIVE
        assert (trace.about.plane, trace.about.host) == ("system", os.uname().nodename)
        assert rows(trace) == [(0, 0), (0, 1), (0, 2)]
    trace.refresh()
    assert (trace.state(), trace.about.end_reason) == (State.ENDED, "stopped")


def test_small_neighbours_are_merged_and_no_row_is_lost_or_doubled(directory: Path):
    samples = MERGE_PARTS * MERGE_PARTS + MERGE_PARTS + 3
    with Folder(directory, {}) as folder:
        append(folder, samples)
        trace = the_trace(directory)
        live = trace.manifest().segments("system")
        assert [segment.rows for segment in live] == [256, 16, 1, 1, 1]
        assert rows(trace) == [(0, seq) for seq in range(samples)]
        # Those that were merged away stay a minute for a reader that has read the manifest already.
        assert len(list((trace.path / "system").iterdir())) > len(live)
    assert rows(trace) == [(0, seq) for seq in range(samples)]
    # What has ended can be read by plain globs.
    plain = duckdb.sql(f"select count(*), count(distinct seq) from '{trace.path}/system/*.parquet'").fetchall()
    assert plain == [(samples, samples)]
    assert len(list((trace.path / "system").iterdir())) == 2


def test_the_manifest_says_what_is_in_a_segment(directory: Path):
    with Folder(directory, {}) as folder:
        folder.append(ROW * 3, 1_000)
        folder.append(ROW, 2_000)
        first, second = the_trace(directory).manifest().segments("system")
    assert (first.rows, first.streams, first.from_ns, first.to_ns) == (3, ((0, 0, 2),), 1_000, 1_000)
    assert (second.rows, second.streams, second.from_ns, second.to_ns) == (1, ((0, 3, 3),), 2_000, 2_000)


def test_a_follower_is_given_each_row_once_across_merges(directory: Path):
    seen = []
    with Folder(directory, {}) as folder:
        trace, had = the_trace(directory), -1
        for _ in range(MERGE_PARTS + 2):
            append(folder, 1)
            with Reader(trace) as reader:
                fresh = reader.sql(f"select seq from system where seq > {had} order by seq").fetchall()
            seen += fresh
            had = seen[-1][0]
    assert seen == [(seq,) for seq in range(MERGE_PARTS + 2)]


def test_the_files_say_which_trace_and_schema_they_are_of(directory: Path):
    with Folder(directory, {}) as folder:
        append(folder, 1)
        trace = the_trace(directory)
        found = duckdb.sql(f"select key, value from parquet_kv_metadata('{trace.path}/system/*.parquet')").fetchall()
        metadata = {key.decode(): value.decode() for key, value in found}
    assert (metadata["glassfs.schema"], metadata["glassfs.trace"]) == ("1.0", trace.about.id)
    assert json.loads(metadata["glassfs.clocks"]).keys() == {"mono_ns", "boot_ns", "wall_ns"}


def test_only_its_owner_can_read_it(directory: Path, sampled: Sampled):
    sampled(1)
    assert directory.stat().st_mode & 0o777 == the_trace(directory).path.stat().st_mode & 0o777 == 0o700


def test_a_restart_begins_a_new_trace(directory: Path, sampled: Sampled):
    sampled(2)
    sampled(2)
    ids = [trace.about.id for trace in places.system_traces()]
    assert len(set(ids)) == 2


def test_the_samplers_traces_are_not_listed_and_never_the_last_one(directory: Path, sampled: Sampled, tmp_path: Path):
    sampled(1)
    assert places.entries() == []
    assert len(places.system_traces()) == 1


@pytest.fixture
def killed(directory: Path) -> Trace:
    """What a sampler leaves that was killed without a chance to say goodbye."""
    with subprocess.Popen([sys.executable, "-c", RUNS_FOR_EVER]) as process:
        manifest = wait_until(lambda: next(directory.glob("*Z*/manifest"), None), "a manifest", DEADLINE_S)
        assert isinstance(manifest, Path)
        wait_until(lambda: manifest.read_bytes().count(b"\n") > MERGE_PARTS + 4, "a merge", DEADLINE_S)
        process.send_signal(signal.SIGKILL)
    return the_trace(directory)


def test_kill_9_leaves_what_was_named_readable(killed: Trace):
    assert killed.state() is State.NO_GOODBYE
    found = rows(killed)
    assert found == [(0, seq) for seq in range(len(found))]
    assert len(found) > MERGE_PARTS


def test_the_next_start_finishes_what_was_killed(killed: Trace, directory: Path, sampled: Sampled):
    before = rows(killed)
    with (killed.path / "manifest").open("a") as manifest:
        manifest.write('{"add": "system/0')
    (killed.path / "system/.tmp-000999").write_bytes(b"half")
    sampled(1)
    killed.refresh()
    live = killed.manifest()
    assert (killed.state(), killed.about.end_reason) == (State.ENDED, "killed")
    assert killed.about.end_ns == max(segment.to_ns for segment in live.segments("system"))
    assert rows(killed) == before
    assert {f"system/{file.name}" for file in (killed.path / "system").iterdir()} == live.live.keys()


def test_a_trace_is_continued_in_a_new_one_after_some_hours(directory: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(folder_module, "ROLL_AFTER_S", 1)
    with Folder(directory, {}) as folder:
        append(folder, 2)
        folder.append(ROW, time.time_ns() + 2_000_000_000)
        old, new = places.system_traces()
        assert (old.about.end_reason, new.state()) == ("continued in the next one", State.LIVE)
        assert (rows(old), rows(new)) == ([(0, 0), (0, 1)], [(0, 0)])


def test_a_trace_is_continued_in_a_new_one_at_a_size(directory: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(folder_module, "ROLL_BYTES", 1_000)
    with Folder(directory, {}) as folder:
        append(folder, 4)
    assert len(places.system_traces()) > 1


def finished(directory: Path, name: str, *, days_ago: float, size: int = 0) -> Path:
    with Folder(directory, {}) as folder:
        append(folder, 1)
        path = folder.trace.path
    about = json.loads((path / "trace.json").read_text())
    then = time.time_ns() - int(days_ago * 86400e9)
    (path / "trace.json").write_text(json.dumps(about | {"start_ns": then - 1, "end_ns": then}))
    os.truncate(path / "system/000000.parquet", size) if size else None
    return path.rename(directory / name)


def test_what_is_older_than_a_week_goes_at_the_next_start(directory: Path, sampled: Sampled):
    old = finished(directory, "20261101T000000Z", days_ago=7.1)
    kept = finished(directory, "20261102T000000Z", days_ago=6.9)
    sampled(1)
    assert (old.exists(), kept.exists()) == (False, True)


def test_the_oldest_go_when_all_together_are_too_much(
    directory: Path, sampled: Sampled, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(folder_module, "KEPT_BYTES", folder_module.ROLL_BYTES + 3_000_000)
    folders = [finished(directory, f"2026110{day}T000000Z", days_ago=7 - day, size=1_400_000) for day in (1, 2, 3)]
    sampled(1)
    assert [folder.exists() for folder in folders] == [False, True, True]


def test_a_folder_that_is_no_trace_is_left_alone(directory: Path, sampled: Sampled):
    (directory / "mine").mkdir(parents=True)
    (directory / "mine/notes").write_text("keep")
    sampled(1)
    assert (directory / "mine/notes").read_text() == "keep"


def test_a_damaged_trace_does_not_keep_the_sampler_from_starting(directory: Path, sampled: Sampled):
    damaged = finished(directory, "20261102T000000Z", days_ago=1)
    (damaged / "trace.json").write_text("{")
    sampled(1)
    assert damaged.exists()
    assert len(places.system_traces()) == 1


def test_a_full_disk_is_said_and_what_was_written_stays(directory: Path):
    with (
        pytest.raises(EnvironmentProblem, match="cannot write the machine's figures") as failed,
        Folder(directory, {}) as folder,
    ):
        append(folder, 2)
        # A file where the segments' folder was: no segment can be written from now on.
        (folder.trace.path / "system").rename(folder.trace.path / "away")
        append(folder, 1)
    assert failed.value.next_step


def test_documents_come_back_as_they_were_given(directory: Path):
    text = json.dumps({"a": "é 日本 \u0000 'quoted' \\x", "n": 2**63 - 1})
    with Folder(directory, {}) as folder:
        folder.append([Row("system.load", "it's", text)], time.time_ns())
    assert documents(directory) == [json.loads(text)]
