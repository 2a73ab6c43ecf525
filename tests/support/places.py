"""Filesystems to test on: ext4 in a loop file, tmpfs. Gone after the test, even when something holds on."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND_S = 60


def run(*words: str | Path, check: bool = True, **named: object) -> subprocess.CompletedProcess[str]:
    """A helper command with a deadline; its words are in the failure."""
    named.setdefault("timeout", COMMAND_S)
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **named)  # type: ignore[call-overload]
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done


def mounted_at(place: Path) -> bool:
    """Looks in the kernel's list, never at the place itself: a dead mount would hang whoever touches it."""
    return any(line.split()[4] == str(place) for line in Path("/proc/self/mountinfo").read_text().splitlines())


def force_unmount(place: Path) -> None:
    """Ends a mount whatever state it is in: `-f` aborts a FUSE connection, `-l` takes the name away."""
    for flags in (["-f"], ["-l"]):
        if mounted_at(place):
            subprocess.run(["umount", *flags, str(place)], capture_output=True, timeout=COMMAND_S)


@contextmanager
def loop_ext4(folder: Path, megabytes: int, options: str = "") -> Iterator[Path]:
    """A fresh ext4 in a file of its own, so that nothing can fill the machine's disk."""
    image, place = folder / "ext4.img", folder / "ext4"
    place.mkdir(parents=True)
    with open(image, "wb") as stream:
        stream.truncate(megabytes << 20)
    run("mkfs.ext4", "-q", "-F", image)
    run("mount", "-o", ",".join(filter(None, ["loop", options])), image, place)
    os.chmod(place, 0o755)
    try:
        yield place
    finally:
        force_unmount(place)
        image.unlink()


@contextmanager
def tmpfs(folder: Path, megabytes: int) -> Iterator[Path]:
    place = folder / "tmpfs"
    place.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "none", place)
    try:
        yield place
    finally:
        force_unmount(place)


@contextmanager
def public_folder(prefix: str = "gt") -> Iterator[Path]:
    """A scratch folder that ordinary users can enter; pytest's own are for root alone.

    Its path is short: a socket's has room for 107 bytes, and a test suite below needs most of them.
    """
    folder = Path("/var/tmp") / f"{prefix}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    try:
        yield folder
    finally:
        for line in Path("/proc/self/mountinfo").read_text().splitlines()[::-1]:
            place = Path(line.split()[4])
            if folder in place.parents:
                force_unmount(place)
        shutil.rmtree(folder, ignore_errors=True)
