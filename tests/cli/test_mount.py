"""`glassfs mount` and `umount`: a lasting mount, what is said about it, and what is refused."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.mount


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A folder with a source and a mount point, unmounted in the end whatever happens."""
    for name in ("src", "mnt"):
        (tmp_path / name).mkdir()
    (tmp_path / "src/file").write_text("text\n")
    yield tmp_path
    for name in ("mnt", "src"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["umount", "-l", tmp_path / name], capture_output=True, timeout=10)


def is_mounted(path: Path) -> bool:
    return f" {path} " in Path("/proc/self/mountinfo").read_text()


def test_a_mount_shows_the_source_until_it_is_unmounted(glassfs, tree):
    mounted = glassfs("mount", tree / "src", tree / "mnt")
    assert (mounted.status, mounted.out) == (0, "")
    assert f"{tree}/mnt is mounted and shows {tree}/src" in mounted.err
    assert f"next: glassfs calls @last -f  glassfs report @last  glassfs umount {tree}/mnt" in mounted.err
    assert (tree / "mnt/file").read_text() == "text\n"
    (tree / "mnt/new").write_text("through the mount\n")
    unmounted = glassfs("umount", tree / "mnt")
    assert (unmounted.status, unmounted.out) == (0, "")
    assert not is_mounted(tree / "mnt")
    assert (tree / "src/new").read_text() == "through the mount\n"


def test_a_directory_alone_is_mounted_over_itself(glassfs, tree):
    assert glassfs("mount", tree / "src").status == 0
    assert is_mounted(tree / "src")
    assert glassfs("umount", tree / "src").status == 0
    assert (tree / "src/file").read_text() == "text\n"


def test_json_says_where_everything_is(glassfs, tree, home):
    facts = json.loads(glassfs("mount", "--json", "-o", "mine", tree / "src", tree / "mnt").out)
    assert facts.pop("pid") > 1
    trace = home / ".local/state/glassfs/traces/mine"
    places = {"source": str(tree / "src"), "mount_point": str(tree / "mnt"), "trace": str(trace)}
    assert facts == {"schema": 1} | places
    assert json.loads(glassfs("umount", "--json", tree / "mnt").out)["mounted"] is False


def test_a_second_mount_there_is_refused_with_the_next_step(glassfs, tree):
    assert glassfs("mount", tree / "src", tree / "mnt").status == 0
    again = glassfs("mount", tree / "src", tree / "mnt")
    assert (again.status, again.out) == (3, "")
    assert f"next: glassfs umount {tree}/mnt" in again.err
    assert glassfs("umount", tree / "mnt").status == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["nowhere", "mnt"], 2), (["src", "nowhere"], 2), (["src/file", "mnt"], 2), (["src", "src/inside"], 2)],
    ids=["no source", "no mount point", "source is a file", "mount point in the source"],
)
def test_what_cannot_be_mounted_is_one_message_with_a_next_step(glassfs, tree, arguments, status):
    (tree / "src/inside").mkdir()
    answer = glassfs("mount", *arguments, cwd=tree)
    assert (answer.status, answer.out) == (status, "")
    assert answer.err.startswith("glassfs: ")
    assert "\n  next: " in answer.err
    assert answer.err.count("\n") == 2


def test_what_is_no_mount_is_not_unmounted(glassfs, tree):
    answer = glassfs("umount", tree / "mnt")
    assert (answer.status, answer.out) == (2, "")
    assert "not a glassfs mount" in answer.err
