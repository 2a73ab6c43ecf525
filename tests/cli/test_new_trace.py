"""Where a run's trace goes, and what is refused before anything is mounted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from glassfs.cli import new_trace
from glassfs.errors import BadUsage, EnvironmentProblem


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


def a_trace(folder: Path) -> Path:
    folder.mkdir(parents=True)
    about = {"format": "glassfs-trace", "schema": {"major": 1, "minor": 0}, "id": "0" * 32, "name": folder.name}
    about |= {"plane": "daemon", "mode": "default", "mounts": [], "ops": {}, "start_ns": 1, "end_ns": 2}
    (folder / "trace.json").write_text(json.dumps(about))
    (folder / "manifest").write_text("")
    return folder


def test_a_trace_goes_to_the_state_directory_which_only_its_owner_can_read(tmp_path):
    place = new_trace.choose(None, "ls-1", [tmp_path / "work"], replace=False)
    assert place == new_trace.Place(tmp_path / "home/.local/state/glassfs/traces/ls-1")
    assert place.trace.parent.stat().st_mode & 0o777 == 0o700
    assert not place.trace.exists()


def test_a_default_name_that_is_taken_gets_a_number(tmp_path):
    folder = tmp_path / "home/.local/state/glassfs/traces"
    a_trace(folder / "ls-1")
    a_trace(folder / "ls-1.2")
    assert new_trace.choose(None, "ls-1", [tmp_path / "work"], replace=False).trace == folder / "ls-1.3"


def test_a_traced_home_directory_moves_the_trace_and_says_so(tmp_path):
    place = new_trace.choose(None, "ls-1", [tmp_path / "home"], replace=False)
    assert place.trace.parent == Path(f"/var/tmp/glassfs-{os.geteuid()}/traces")
    assert place.moved is not None
    assert "is inside the traced directory" in place.moved


def test_a_symlink_into_the_traced_tree_does_not_hide_that_the_trace_is_in_it(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "work")
    with pytest.raises(BadUsage, match="inside the traced directory"):
        new_trace.choose(str(tmp_path / "link/t"), "ls-1", [tmp_path / "work"], replace=False)


def test_everything_traced_leaves_no_default_place(tmp_path):
    with pytest.raises(BadUsage, match="and so is /var/tmp"):
        new_trace.choose(None, "ls-1", [Path("/var/tmp"), tmp_path / "home"], replace=False)


def test_a_name_is_one_in_the_state_directory_and_a_path_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    traced = [tmp_path / "work"]
    assert new_trace.choose("n", "", traced, replace=False).trace == tmp_path / "home/.local/state/glassfs/traces/n"
    assert new_trace.choose("./n", "", traced, replace=False).trace == tmp_path / "n"


def test_what_is_there_is_not_replaced_without_f(tmp_path):
    old = a_trace(tmp_path / "old")
    with pytest.raises(BadUsage, match="already there"):
        new_trace.choose(str(old), "", [tmp_path / "work"], replace=False)
    assert (old / "trace.json").exists()


def test_f_replaces_a_trace(tmp_path):
    old = a_trace(tmp_path / "old")
    assert new_trace.choose(str(old), "", [tmp_path / "work"], replace=True).trace == old
    assert not old.exists()


@pytest.mark.parametrize("other", ["empty folder", "folder with files", "file", "dangling symlink"])
def test_f_replaces_nothing_but_a_trace(tmp_path, other):
    old = tmp_path / "old"
    if other == "file":
        old.write_text("precious")
    elif other == "dangling symlink":
        old.symlink_to(tmp_path / "nowhere")
    else:
        old.mkdir()
    if other == "folder with files":
        (old / "trace.json").write_text("{}")
    with pytest.raises(BadUsage, match="no glassfs trace"):
        new_trace.choose(str(old), "", [tmp_path / "work"], replace=True)
    assert os.path.lexists(old)


def test_a_symlink_to_a_trace_is_not_followed_by_f(tmp_path):
    old = a_trace(tmp_path / "old")
    (tmp_path / "link").symlink_to(old)
    with pytest.raises(BadUsage):
        new_trace.choose(str(tmp_path / "link"), "", [tmp_path / "work"], replace=True)
    assert (old / "trace.json").exists()


def test_a_parent_that_cannot_be_made_is_named_with_the_next_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match=r"cannot be made .*: .*/file/traces\n.*-o PATH"):
        new_trace.choose(str(tmp_path / "file/traces/t"), "", [tmp_path / "work"], replace=False)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/bin/db_bench", "db_bench"),
        ("./a b\n.sh", "a_b_.sh"),
        ("-", "command"),
        ("..", "command"),
        ("x" * 99, "x" * 60),
    ],
)
def test_a_name_is_made_of_what_the_shell_takes_as_it_is(command, name):
    assert new_trace.name_for(command) == f"{name}-{os.getpid()}"
