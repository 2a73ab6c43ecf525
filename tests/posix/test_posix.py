"""pjdfstest behind the mount, as root: nothing fails, and the same tests run as on the bare directory."""

import shutil
from pathlib import Path

import pytest
from run_posix import CACHE, both, compare

# What the suite passed on bare ext4 when this was written; far fewer would mean that it did not really run.
AT_LEAST = 350


@pytest.mark.root
@pytest.mark.mount
@pytest.mark.deadline(1500)
@pytest.mark.parametrize("plane", ["daemon", "kernel"])
def test_the_posix_suite_fails_nothing_behind_the_mount(public: Path, plane: str) -> None:
    if not CACHE.exists() and shutil.which("cargo") is None:
        pytest.skip("not installed: cargo (it builds pjdfstest the first time)")
    bare, through = both(public, ("--plane", plane))
    passed, wrong = compare(bare, through)
    assert not wrong, "\n".join(wrong)
    assert passed >= AT_LEAST


def test_the_comparison_finds_what_failed_and_what_did_not_run() -> None:
    bare = {"a::one": "ok", "a::two": "ok", "a::three": "skipped"}
    passed, wrong = compare(bare, {"a::one": "FAILED", "a::three": "ok"})
    assert passed == 1
    assert len(wrong) == 3
