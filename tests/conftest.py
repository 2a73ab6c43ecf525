"""Fixtures of all tests on real mounts, their markers, and a deadline for every test."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import people, places, recorder
from support.servers import running_server, server  # noqa: F401 (fixtures)

DEFAULT_DEADLINE_S = 120
MARKERS = (
    "root: needs root (mounts filesystems, changes users)",
    "mount: mounts through the recorder: needs /dev/fuse and the built binary",
    "slow: too long for `make test`; `make test-all` runs it",
    "metricbeat: compares with the real Metricbeat, which is built first; `make test-elastic` runs it",
    "deadline(seconds): the longest the test may take",
)


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    # Started by nohup, or in a shell's background, it is ignored, and so it would be in every program that a test starts.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("slow") and not os.environ.get("GLASSFS_TEST_ALL"):
        pytest.skip("takes minutes: make test-all runs it")
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root: it mounts filesystems and changes users")
    if item.get_closest_marker("mount"):
        if not people.DEVICE.exists():
            pytest.skip("there is no /dev/fuse here")
        if not recorder.binary().exists():
            pytest.skip(f"the recorder is not built: {recorder.binary()}")


@pytest.fixture(autouse=True)
def deadline(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test runs for ever: a stuck mount would stop all that follow."""
    marker = request.node.get_closest_marker("deadline")
    seconds = marker.args[0] if marker else DEFAULT_DEADLINE_S

    def over(*_: object) -> None:
        raise AssertionError(f"not over in {seconds} s")

    previous = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def public() -> Iterator[Path]:
    """A scratch folder that every user can enter; mounts left in it are torn down."""
    with places.public_folder() as folder:
        yield folder


@pytest.fixture
def ext4(public: Path) -> Iterator[Path]:
    with places.loop_ext4(public, megabytes=2048) as place:
        yield place


@pytest.fixture
def mount_point(public: Path) -> Path:
    place = public / "mnt"
    place.mkdir()
    return place


@pytest.fixture
def ordinary(public: Path) -> Iterator[people.Person]:
    """An ordinary user who may mount: /dev/fuse is 0666 meanwhile, and fusermount3 is there."""
    if shutil.which("fusermount3") is None:
        pytest.skip("fusermount3 (package fuse3) is not installed; ordinary users mount with it")
    with people.device_for_everybody():
        yield people.person()
