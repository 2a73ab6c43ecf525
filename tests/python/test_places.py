"""How traces are named, and how they are thrown away."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from commands import Run
from tracewriter import START_NS, TraceWriter, event

from glassfs import places
from glassfs.errors import AmbiguousTrace, BadUsage, DamagedTrace, TraceInUse, TraceNotFound

DAY_NS = 86_400 * 10**9


@pytest.fixture
def three(traces: Path) -> list[TraceWriter]:
    """cat-1 is the oldest, cat-3 the newest; each has 1 event and has ended."""
    writers = []
    for number in (1, 2, 3):
        writer = TraceWriter(traces / f"cat-{number}", start_ns=START_NS + number * DAY_NS)
        writer.add([event(0)])
        writer.describe(end_ns=START_NS + number * DAY_NS + 10**9)
        writers.append(writer)
    return writers


@pytest.mark.parametrize(
    ("word", "name"),
    [("@last", "cat-3"), ("@1", "cat-3"), ("@2", "cat-2"), ("cat-1", "cat-1"), ("cat-2", "cat-2")],
)
def test_a_trace_is_found_by_number_and_name(three: list[TraceWriter], word: str, name: str):
    assert places.find(word).about.name == name


def test_a_trace_is_found_by_id_prefix_of_an_id_path_and_unique_prefix(three: list[TraceWriter], traces: Path):
    TraceWriter(traces / "dd-9").end()
    assert places.find(three[0].about["id"]).about.name == "cat-1"
    assert places.find(three[0].about["id"][:6]).about.name == "cat-1"
    assert places.find(str(traces / "cat-2")).about.name == "cat-2"
    assert places.find("d").about.name == "dd-9"


def test_a_path_without_a_slash_is_found_where_no_trace_has_that_name(
    three: list[TraceWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    TraceWriter(tmp_path / "here").end()
    monkeypatch.chdir(tmp_path)
    assert places.find("here").path == Path("here")


def test_an_exact_name_wins_over_longer_ones(three: list[TraceWriter], traces: Path):
    TraceWriter(traces / "cat-11").end()
    assert places.find("cat-1").about.name == "cat-1"


def test_an_ambiguous_prefix_lists_what_it_may_mean(three: list[TraceWriter]):
    with pytest.raises(AmbiguousTrace) as caught:
        places.find("cat")
    assert all(writer.about["id"] in str(caught.value) for writer in three)


def test_an_unknown_name_lists_near_ones(three: list[TraceWriter]):
    with pytest.raises(TraceNotFound, match="Did you mean cat-"):
        places.find("cta-1")
    with pytest.raises(TraceNotFound, match="cat-3, cat-2, cat-1"):
        places.find("postgres")


def test_without_any_trace_the_error_says_how_to_record_one(traces: Path):
    with pytest.raises(TraceNotFound, match="glassfs run"):
        places.find("@last")
    with pytest.raises(TraceNotFound, match="glassfs run"):
        places.find("some")


@pytest.mark.parametrize("word", ["@0", "@4", "@-1", "@x", "@"])
def test_a_number_that_names_no_trace_is_refused(three: list[TraceWriter], word: str):
    with pytest.raises(BadUsage):
        places.find(word)


def test_the_newest_trace_is_not_a_damaged_one(three: list[TraceWriter], traces: Path):
    (traces / "cat-3/trace.json").write_text("{")
    assert places.find("@last").about.name == "cat-2"
    with pytest.raises(DamagedTrace):
        places.find("cat-3")


def test_traces_below_var_tmp_are_found_too(three: list[TraceWriter], tmp_path: Path, glassfs: Run):
    moved = tmp_path / f"var-tmp/glassfs-{os.geteuid()}/traces"
    TraceWriter(moved / "moved-1").end()
    assert places.find("moved-1").path == moved / "moved-1"
    listed = json.loads(glassfs("traces", "--json").stdout)
    assert sorted(entry["name"] for entry in listed["traces"]) == ["cat-1", "cat-2", "cat-3", "moved-1"]


def test_a_folder_that_another_user_put_into_var_tmp_is_not_believed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    shared = tmp_path / "shared"
    TraceWriter(shared / "evil").end()
    monkeypatch.setattr(places, "state_directories", lambda: [shared])
    assert [entry.name for entry in places.entries()] == ["evil"]
    if os.geteuid() == 0:
        os.chown(shared, 1234, 1234)
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    assert places.entries() == []


def test_removing_takes_the_folder_and_nothing_else(three: list[TraceWriter], traces: Path):
    places.remove(places.find_entry("cat-2"))
    assert sorted(each.name for each in traces.iterdir()) == ["cat-1", "cat-3"]


def test_removing_does_not_follow_a_symlink_out_of_the_folder(three: list[TraceWriter], traces: Path, tmp_path: Path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("x")
    (traces / "cat-2/link").symlink_to(tmp_path / "precious")
    places.remove(places.find_entry("cat-2"))
    assert (tmp_path / "precious/file").exists()


def test_a_live_trace_is_never_removed(three: list[TraceWriter], traces: Path):
    live = TraceWriter(traces / "live")
    live.live()
    with pytest.raises(TraceInUse):
        places.remove(places.find_entry("live"))
    assert not [entry for entry in places.beyond(places.entries(), now_ns=0, keep=0) if entry.name == "live"]


def test_a_removal_that_was_interrupted_is_finished_later(three: list[TraceWriter], traces: Path):
    (traces / "cat-2").rename(traces / ".removing-cat-2")
    assert [entry.name for entry in places.entries()] == ["cat-3", "cat-1"]
    places.sweep()
    assert not (traces / ".removing-cat-2").exists()


def beyond(**limits: int) -> list[str]:
    now_ns = START_NS + 4 * DAY_NS
    return [entry.name for entry in places.beyond(places.entries(), now_ns=now_ns, **limits)]


def test_prune_by_age_takes_what_ended_longer_ago(three: list[TraceWriter]):
    assert beyond(older_than_ns=2 * DAY_NS) == ["cat-1"]
    assert beyond(older_than_ns=10 * DAY_NS) == []


def test_prune_keeps_the_newest(three: list[TraceWriter]):
    assert beyond(keep=1) == ["cat-2", "cat-1"]
    assert beyond(keep=0) == ["cat-3", "cat-2", "cat-1"]


def test_prune_by_size_takes_the_oldest_until_the_rest_fits(three: list[TraceWriter]):
    sizes = [entry.size_bytes() for entry in places.entries()]
    assert beyond(max_bytes=sizes[0] + sizes[1]) == ["cat-1"]
    assert beyond(max_bytes=0) == ["cat-3", "cat-2", "cat-1"]
