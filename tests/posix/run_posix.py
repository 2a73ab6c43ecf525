"""Runs pjdfstest on a bare ext4 and behind the mount, at the same time, and compares which tests ran and passed.

    python tests/posix/run_posix.py [--plane daemon|kernel]

The last line is `N passed, 0 failed`; the exit status is 0 only when nothing failed behind the mount and both ran the
same tests. Needs root, the built recorder, and cargo for the first time (the suite is then kept in .cache/).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import places, recorder

VERSION = "0.2.2"
CACHE = recorder.REPOSITORY / ".cache" / f"pjdfstest-{VERSION}"
BUILD_S = 900
SUITE_S = 600
# Its users must exist; its own default `tests` does not. The nap is longer than ext4's timestamps need (10 ms).
SETTINGS = """
[features]
posix_fallocate = {}
rename_ctime = {}
utimensat = {}
utime_now = {}
stat_st_birthtime = {}
[settings]
naptime = 0.05
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"], ["bin", "bin"]]
"""


LINK_UNTIL_REFUSED = """
import errno, os, sys
first = sys.argv[1] + "/first"
open(first, "x").close()
count = 1
try:
    while True:
        os.link(first, f"{first}-{count}")
        count += 1
except OSError as problem:
    print(errno.errorcode[problem.errno], count)
"""


def suite() -> Path:
    """The suite's binary, built once from the crate registry."""
    program = CACHE / "bin/pjdfstest"
    if not program.exists():
        print(f"building pjdfstest {VERSION} (once, kept in {CACHE})", flush=True)
        # Outside the repository, whose toolchain file and workspace are none of the suite's business.
        with tempfile.TemporaryDirectory(prefix="pjdfstest-") as folder:
            subprocess.run(
                [
                    "cargo",
                    "install",
                    "--quiet",
                    "--locked",
                    "--version",
                    VERSION,
                    "--root",
                    str(CACHE),
                    "--target-dir",
                    f"{folder}/target",
                    "pjdfstest",
                ],
                check=True,
                timeout=BUILD_S,
                cwd=folder,
            )
    return program


def run_suite(program: Path, settings: Path, directory: Path, second: Path) -> dict[str, str]:
    """Test name -> ok, skipped, FAILED."""
    words = [program, "-c", settings, "-s", second, "-p", directory]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=SUITE_S, cwd="/")
    results = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) == 2 and "::" in words[0] and not line[0].isspace():
            results[words[0]] = words[1]
    (settings.parent / f"{directory.parent.name}.out").write_text(done.stdout + done.stderr)
    results["link::link_count_max"] = link_count_max(directory)
    if len(results) == 1:
        raise SystemExit(f"pjdfstest said nothing: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return results


def link_count_max(directory: Path) -> str:
    """The suite's own test asks glibc for LINK_MAX, which it only knows of some filesystems by their f_type, and is
    skipped on FUSE. This one links until the filesystem says EMLINK; ext4's limit is 65,000."""
    words = [sys.executable, "-I", "-c", LINK_UNTIL_REFUSED, str(directory)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SUITE_S)
    return "ok" if done.stdout == "EMLINK 65000\n" else f"FAILED ({done.stdout.strip()} {done.stderr.strip()[-200:]})"


def compare(bare: dict[str, str], through: dict[str, str]) -> tuple[int, list[str]]:
    """How many passed behind the mount, and what is wrong: one line each."""
    wrong = [f"{name}: not run behind the mount" for name in bare.keys() - through.keys()]
    wrong += [f"{name}: not run on the bare directory" for name in through.keys() - bare.keys()]
    for name, result in sorted(through.items()):
        if result not in ("ok", "skipped") or result != bare.get(name, result):
            wrong.append(f"{name}: {result} behind the mount, {bare.get(name, 'not run')} on the bare directory")
    return sum(result == "ok" for result in through.values()), wrong


def both(folder: Path, extra: tuple[str, ...] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """The suite on the bare ext4 and behind the mount over another directory of it."""
    program = suite()
    settings = folder / "settings.toml"
    settings.write_text(SETTINGS)
    with places.loop_ext4(folder, megabytes=1024) as ext4, places.tmpfs(folder, megabytes=64) as second:
        for name in ("bare/place", "source/place"):
            (ext4 / name).mkdir(parents=True)
        mount_point = folder / "through"
        mount_point.mkdir()
        for name in ("bare", "through"):
            (second / name).mkdir()
        with (
            recorder.mounted(ext4 / "source", mount_point, folder / "trace", deadline_s=SUITE_S, extra=extra),
            ThreadPoolExecutor(2) as pool,
        ):
            one = pool.submit(run_suite, program, settings, ext4 / "bare/place", second / "bare")
            two = pool.submit(run_suite, program, settings, mount_point / "place", second / "through")
            return one.result(), two.result()


def main() -> int:
    parser = argparse.ArgumentParser(description="pjdfstest on the bare directory and behind the mount")
    parser.add_argument("--plane", default="daemon", choices=["daemon", "kernel"])
    plane = parser.parse_args().plane
    if os.geteuid() != 0:
        print(
            f"pjdfstest needs root: it changes users and makes device nodes. Run: sudo make posix PLANE={plane}",
            file=sys.stderr,
        )
        return 3
    if not recorder.binary().exists():
        print(f"the recorder is not built: {recorder.binary()}. Run: make compile", file=sys.stderr)
        return 3
    with places.public_folder("gp") as folder:
        bare, through = both(folder, ("--plane", plane))
        passed, wrong = compare(bare, through)
        if wrong:
            shutil.copy(folder / "through.out", "/tmp/glassfs-posix.out")
            wrong.append("(the suite's own words: /tmp/glassfs-posix.out)")
    print(
        f"bare ext4: {sum(result == 'ok' for result in bare.values())} passed of {len(bare)}; "
        f"behind the mount: {passed} passed of {len(through)}"
    )
    print("\n".join(wrong), end="\n" if wrong else "")
    print(f"{passed} passed, {len([line for line in wrong if not line.startswith('(')])} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
