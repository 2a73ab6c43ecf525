"""In the kernel plane the kernel keeps a file's attributes for a moment: calls on descriptors are seen all the same, and
what somebody changes past the mount shows soon."""

import os
import sys
from pathlib import Path

import pytest

from support import recorder
from support.traces import Trace
from support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.mount]

LOOKS = 500
PROGRAM = f"""
import os, sys
file = os.open(sys.argv[1] + "/file", os.O_RDWR | os.O_CREAT)
os.write(file, b"x" * 1000)
for _ in range({LOOKS}):
    assert os.lseek(file, 0, os.SEEK_END) == 1000 and os.fstat(file).st_size == 1000
    assert os.stat(sys.argv[1] + "/file").st_size == 1000
"""


@pytest.mark.parametrize("exact", [False, True])
def test_every_look_is_seen_and_few_of_those_at_descriptors_take_a_request(
    exact: bool, ext4: Path, public: Path
) -> None:
    place = ext4 / "place"
    place.mkdir()
    extra = ("--plane", "kernel", *(["--exact"] if exact else []))
    words = [sys.executable, "-c", PROGRAM, place]
    done = recorder.run_traced([place], words, public / "trace", extra=extra, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    rows = Trace(public / "trace").rows(
        "select syscall_nr, count(*), count_if(requests = 0) from events where kind = 'call' and path like '%/file' "
        "and op in ('lseek', 'stat') group by all order by 1"
    )
    lseek, newfstatat = 8, 262
    # Looks at a descriptor and at the name are one call of the kernel's, with an empty name and without.
    assert [(number, count) for number, count, _ in rows] == [(lseek, LOOKS), (newfstatat, 2 * LOOKS)]
    without = {number: spared for number, _, spared in rows}
    if exact:
        assert without == {lseek: 0, newfstatat: 0}
    else:
        # Each look at the name is a request, whose answer serves the two that follow.
        assert without[lseek] > LOOKS / 2 and LOOKS / 2 < without[newfstatat] <= LOOKS


def test_what_is_changed_past_the_mount_shows_soon(ext4: Path, public: Path, mount_point: Path) -> None:
    place = ext4 / "place"
    place.mkdir()
    (place / "file").write_bytes(b"x" * 10)
    with recorder.mounted(place, mount_point, public / "trace", extra=("--plane", "kernel")):
        file = os.open(mount_point / "file", os.O_RDWR)
        assert os.fstat(file).st_size == 10
        os.truncate(place / "file", 5000)
        wait_until(lambda: os.fstat(file).st_size == 5000, "the size from outside", 2)
        wait_until(lambda: os.lseek(file, 0, os.SEEK_END) == 5000, "the end from outside", 2)
        assert os.stat(mount_point / "file").st_size == 5000
        os.close(file)
