"""The mount against the bare directory: over two hundred behaviours, compared line by line.

A difference is allowed only when allowed_differences.tsv has it, with the very result and the reason.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import people, places, recorder
from support.people import Person
from support.traces import Trace
from support.waiting import wait_until

HERE = Path(__file__).parent
# The work asks for at least seventy; fewer would mean that the program lost some on its way.
AT_LEAST = 70
PROBE_S = 280
# root's mount; a user on root's mount; a user's own mount; `run` by root; `run` by a user, in a user namespace; those of
# root in the kernel plane.
WAYS = {"root", "guest", "own", "run-root", "run-user", "root-kernel", "guest-kernel", "run-root-kernel"}


def observe(program: Path, directory: Path, user: Person | None = None, *extra: str) -> dict[str, str]:
    words = [people.PUBLIC_PYTHON, "-B", str(program), str(directory), *extra]
    options = user.subprocess_options() if user else {}
    done = subprocess.run(words, capture_output=True, text=True, timeout=PROBE_S, cwd="/", **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return parsed(done.stdout)


def parsed(text: str) -> dict[str, str]:
    return dict(line.split("\t", 1) for line in text.splitlines())


def allowed(way: str) -> dict[str, str]:
    """name -> result through the mount, of the lines for this way of using it."""
    found = {}
    for line in (HERE / "allowed_differences.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            name, ways, result, reason = line.split("\t")
            assert reason.strip(), f"{name} has no reason"
            assert ways == "all" or set(ways.split(",")) <= WAYS, line
            # What differs in the daemon plane may differ in the other one.
            if ways == "all" or {way, way.removesuffix("-kernel")} & set(ways.split(",")):
                found[name] = result
    return found


def assert_alike(bare: dict[str, str], through: dict[str, str], way: str) -> None:
    assert list(bare) == list(through)
    expected = bare | {name: result for name, result in allowed(way).items() if name in bare}
    wrong = [
        f"{name}\n  bare    {bare[name]}\n  through {through[name]}\n  allowed {expected[name]}"
        for name in bare
        if through[name] != expected[name]
    ]
    assert not wrong, f"{len(wrong)} behaviours differ:\n" + "\n".join(wrong)


@pytest.fixture
def probe(public: Path) -> Path:
    """The program where every user can read it."""
    shutil.copytree(HERE / "probe", public / "probe", ignore=shutil.ignore_patterns("__pycache__"))
    return public / "probe"


@pytest.fixture
def source(ext4: Path) -> Path:
    place = ext4 / "source"
    place.mkdir()
    return place


@pytest.fixture
def small(public: Path) -> Iterator[Path]:
    with places.loop_ext4(public / "small", megabytes=24) as place:
        yield place


def folder(parent: Path, name: str, owner: Person | None = None) -> Path:
    place = parent / name
    place.mkdir()
    if owner:
        os.chown(place, owner.uid, owner.gid)
    return place


@pytest.mark.root
@pytest.mark.mount
@pytest.mark.deadline(300)
@pytest.mark.parametrize(("plane", "way"), [("daemon", "root"), ("kernel", "root-kernel")])
def test_root_sees_the_same_through_the_mount(
    plane: str, way: str, probe: Path, ext4: Path, source: Path, mount_point: Path, public: Path
) -> None:
    bare = observe(probe, folder(ext4, "bare"))
    assert len(bare) >= AT_LEAST
    folder(source, "place")
    with recorder.mounted(source, mount_point, public / "trace", extra=("--plane", plane)):
        through = observe(probe, mount_point / "place")
    assert_alike(bare, through, way)
    Trace(public / "trace").assert_balanced()


@pytest.mark.root
@pytest.mark.mount
@pytest.mark.deadline(300)
@pytest.mark.parametrize(("plane", "way"), [("daemon", "guest"), ("kernel", "guest-kernel")])
def test_a_user_on_roots_mount_sees_the_same(
    plane: str, way: str, probe: Path, ext4: Path, source: Path, mount_point: Path, public: Path
) -> None:
    user = people.person()
    bare = observe(probe, folder(ext4, "bare", user), user)
    assert len(bare) >= AT_LEAST
    folder(source, "place", user)
    with recorder.mounted(source, mount_point, public / "trace", extra=("--plane", plane)):
        through = observe(probe, mount_point / "place", user)
    assert_alike(bare, through, way)


@pytest.mark.root
@pytest.mark.mount
@pytest.mark.deadline(300)
def test_a_user_sees_the_same_through_an_own_mount(
    probe: Path, ext4: Path, ordinary: Person, public: Path, mount_point: Path
) -> None:
    bare = observe(probe, folder(ext4, "bare", ordinary), ordinary)
    own = folder(ext4, "own", ordinary)
    folder(own, "place", ordinary)
    os.chown(mount_point, ordinary.uid, ordinary.gid)
    trace = folder(public, "traces", ordinary) / "trace"
    with recorder.mounted(own, mount_point, trace, user=ordinary, program=recorder.public_binary(public)):
        through = observe(probe, mount_point / "place", ordinary)
    assert_alike(bare, through, "own")
    Trace(trace).assert_balanced()


@pytest.mark.root
@pytest.mark.mount
@pytest.mark.deadline(300)
@pytest.mark.parametrize(
    ("who", "plane", "way"),
    [
        ("root", "daemon", "run-root"),
        pytest.param("root", "kernel", "run-root-kernel", marks=pytest.mark.slow),
        ("user", "daemon", "run-user"),
    ],
)
def test_a_command_run_over_its_directory_sees_the_same(
    who: str, plane: str, way: str, probe: Path, ext4: Path, ordinary: Person, public: Path
) -> None:
    user = ordinary if who == "user" else None
    bare = observe(probe, folder(ext4, "bare", user), user)
    place = folder(ext4, "traced", user)
    trace = folder(public, "traces", user) / "trace"
    done = recorder.run_traced(
        [place],
        [people.PUBLIC_PYTHON, "-B", probe, place],
        trace,
        user=user,
        program=recorder.public_binary(public),
        extra=("--plane", plane),
        timeout=PROBE_S,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert_alike(bare, parsed(done.stdout), way)
    Trace(trace).assert_balanced()


@pytest.mark.root
@pytest.mark.mount
def test_a_full_filesystem_is_full_through_the_mount_too(
    probe: Path, small: Path, mount_point: Path, public: Path
) -> None:
    bare = observe(probe, folder(small, "bare"), None, "--group", "full")
    assert len(bare) == 3
    folder(small, "source")
    folder(small / "source", "place")
    with recorder.mounted(small / "source", mount_point, public / "trace"):
        through = observe(probe, mount_point / "place", None, "--group", "full")
    assert_alike(bare, through, "root")


@pytest.mark.root
def test_the_observation_is_the_same_twice_and_finds_a_poor_filesystem_different(probe: Path, ext4: Path) -> None:
    """The ground under the tests above: a repeated run has no difference, another FUSE filesystem has many."""
    first, second = observe(probe, folder(ext4, "one")), observe(probe, folder(ext4, "two"))
    assert first == second
    if shutil.which("loggedfs") is None:
        pytest.skip("not installed: loggedfs (compared twice on the bare directory only)")
    place = folder(ext4, "poor")
    logging = subprocess.Popen(
        ["loggedfs", "-p", "-f", "-l", "/dev/null", str(place)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: places.mounted_at(place), "LoggedFS")
        poor = observe(probe, place)
    finally:
        places.force_unmount(place)
        logging.wait(20)
    assert sum(first[name] != poor[name] for name in first) > 50
