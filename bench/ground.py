"""Where cells run: a tmpfs and an ext4 in a loop file, made for the bench; and how commands are run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
# The helpers of the tests make and end mounts; there is one copy of that knowledge.
sys.path.insert(0, str(REPOSITORY / "tests"))

from support import places, recorder  # noqa: E402

CELL_S = 240
CACHE = REPOSITORY / ".cache/bench"


def run(words: list[object], *, timeout: float = CELL_S, **named: object) -> str:
    """A command's stdout; its stderr is the failure's text."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=timeout, check=False, **named
    )  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, words))}: exit {done.returncode}: "
            f"{done.stderr.strip()[-800:]}{done.stdout.strip()[-300:]}"
        )
    return done.stdout


def storm_program() -> Path:
    program, source = CACHE / "storm", Path(__file__).with_name("storm.c")
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        CACHE.mkdir(parents=True, exist_ok=True)
        run(["cc", "-O2", "-Wall", "-o", program, source])
    return program


@contextmanager
def backings() -> Iterator[dict[str, Path]]:
    """{'tmpfs': folder, 'disk': folder}, empty and writable by everybody."""
    with (
        places.public_folder("gb") as folder,
        places.tmpfs(folder, 1536) as memory,
        places.loop_ext4(folder / "disk", 3072) as disk,
    ):
        found = {"tmpfs": memory / "work", "disk": disk / "work"}
        for place in found.values():
            place.mkdir()
            os.chmod(place, 0o777)
        yield found


def machine() -> dict[str, object]:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    system = next(
        (
            line.split("=", 1)[1].strip('"')
            for line in Path("/etc/os-release").read_text().splitlines()
            if line.startswith("PRETTY_NAME=")
        ),
        "unknown",
    )
    return {
        "cpus": os.cpu_count(),
        "cpu": model,
        "memory_bytes": memory,
        "kernel": os.uname().release,
        "system": system,
        "load_before": os.getloadavg()[0],
        "recorder": run([recorder.binary(), "version"]).strip(),
        "versions": {
            name: _version(words)
            for name, words in (
                ("fio", ["fio", "--version"]),
                ("strace", ["strace", "--version"]),
                ("loggedfs", ["dpkg-query", "-Wf${Version}", "loggedfs"]),
            )
        },
    }


def _version(words: list[str]) -> str | None:
    if shutil.which(words[0]) is None:
        return None
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else None
