"""Many processes at once, then the mount and the directory below compared in every attribute and checksum."""

import sys
from pathlib import Path

import pytest

from support import places, recorder
from support.needs import require
from support.traces import Trace

HERE = Path(__file__).parent
INVENTORY = HERE.parent / "support/inventory.py"
# The recorder's bound in every test: buffers, queue and tables together.
MEMORY_BYTES = 250 * 1000 * 1000
pytestmark = [pytest.mark.root, pytest.mark.mount]
# Left out: what makes its own mounts or looks elsewhere, and what FUSE does not offer (handles, verity).
NOT_HERE = (
    "binderfs,bind-mount,chroot,fanotify,ioprio,procfs,getdent,handle,verity,eventfd,io,quota,sync-file,sysbadaddr"
)


def inventory(directory: Path) -> list[str]:
    return places.run(sys.executable, INVENTORY, directory).stdout.splitlines()


def compare(through: list[str], below: list[str]) -> None:
    differences = sorted(set(through) ^ set(below))
    assert not differences, f"{len(differences)} lines differ:\n" + "\n".join(differences[:20])


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("mode", [(), ("--exact",)], ids=["default", "exact"])
def test_a_mix_of_all_calls_leaves_the_same_on_both_sides(
    seed: int, mode: tuple[str, ...], ext4: Path, mount_point: Path, public: Path
) -> None:
    source = ext4 / "source"
    source.mkdir()
    with recorder.mounted(source, mount_point, public / "trace", extra=mode) as mount:
        places.run(sys.executable, HERE / "mixed.py", mount_point, str(seed), "6", "1500", timeout=100)
        through = inventory(mount_point)
        below = inventory(source)
        assert mount.memory_peak_bytes() < MEMORY_BYTES
    assert len(through) > 50
    compare(through, below)
    compare(below, inventory(source))
    Trace(public / "trace").assert_balanced()


def test_what_is_written_below_is_seen_through_the_mount_at_once(ext4: Path, mount_point: Path, public: Path) -> None:
    """Changes that do not come through the mount: contents, sizes, names of files."""
    source = ext4 / "source"
    source.mkdir()
    with recorder.mounted(source, mount_point, public / "trace"):
        places.run(sys.executable, HERE / "mixed.py", source, "5", "4", "500", timeout=60)
        compare(inventory(mount_point), inventory(source))
        places.run(sys.executable, HERE / "mixed.py", source, "6", "4", "500", timeout=60)
        # A directory's attributes may be remembered for 20 ms; a second look is after that.
        inventory(mount_point)
        compare(inventory(mount_point), inventory(source))


def test_the_comparison_finds_a_changed_byte_and_a_changed_time(public: Path) -> None:
    for name in ("one", "two"):
        (public / name).mkdir()
    (public / "one/file").write_bytes(b"abc")
    (public / "two/file").write_bytes(b"abd")
    with pytest.raises(AssertionError, match="lines differ"):
        compare(inventory(public / "one"), inventory(public / "two"))


@pytest.mark.slow
@pytest.mark.deadline(900)
def test_the_filesystem_class_of_stress_ng_passes(ext4: Path, mount_point: Path, public: Path) -> None:
    require("stress-ng")
    source = ext4 / "source"
    source.mkdir()
    with recorder.mounted(source, mount_point, public / "trace", deadline_s=850) as mount:
        words = [
            "stress-ng",
            "--class",
            "filesystem",
            "--exclude",
            NOT_HERE,
            "--sequential",
            "1",
            "--timeout",
            "3s",
            "--verify",
            "--temp-path",
            mount_point,
        ]
        done = places.run(*words, check=False, timeout=800, cwd="/")
        assert done.returncode == 0 and "successful run completed" in done.stderr + done.stdout, done.stderr[-3000:]
        compare(inventory(mount_point), inventory(source))
        assert mount.memory_peak_bytes() < MEMORY_BYTES
    Trace(public / "trace").assert_balanced(lost=None)
