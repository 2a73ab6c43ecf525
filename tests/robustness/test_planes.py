"""Where the kernel plane cannot be had: one that was asked for is an error with the next step, else it goes on without.

The machine is made unfit for one command alone: in a mount or user namespace, by capabilities taken away, or by seccomp.
"""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from unfit import ENVIRONMENT, GLASSFS, RUN_FAILED, answer, lines_of

from support import places, recorder, refused
from support.needs import require
from support.refused import Refused
from support.traces import Trace
from support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.mount]
# What keeps root from raising a capability again.
WITHOUT = "exec setpriv --bounding-set -{0} --inh-caps -{0}"


@dataclass(frozen=True)
class Case:
    """`unfit`: shell words before the command that make it so, {folder} being a scratch folder."""

    name: str
    missing: str
    next_step: str
    unfit: str = ""
    refused: Refused | None = None
    # Whether requests can be recorded all the same.
    goes_on: bool = field(default=True)


CASES = [
    Case(
        "an older kernel (of Ubuntu 24.04)",
        "Linux 6.8.0-45-generic is older than 6.9, which brought FUSE passthrough",
        "boot a newer kernel",
        "echo 6.8.0-45-generic > {folder}/release; mount --bind {folder}/release /proc/sys/kernel/osrelease;",
    ),
    Case(
        "no types of the kernel",
        "the kernel does not show its types (/sys/kernel/btf/vmlinux)",
        "CONFIG_DEBUG_INFO_BTF",
        "mount -t tmpfs tmpfs /sys/kernel/btf;",
    ),
    Case(
        "a kernel that is locked down",
        "the kernel is locked down: eBPF may not read its memory",
        "lockdown=integrity",
        "mount -t tmpfs tmpfs /sys/kernel/security; echo 'none integrity [confidentiality]' > /sys/kernel/security/lockdown;",
    ),
    Case("no CAP_BPF", "eBPF needs CAP_BPF and CAP_PERFMON", "--privileged", WITHOUT.format("bpf")),
    Case("no CAP_PERFMON", "eBPF needs CAP_BPF and CAP_PERFMON", "--privileged", WITHOUT.format("perfmon")),
    Case(
        "no CAP_SYS_ADMIN",
        "FUSE passthrough needs CAP_SYS_ADMIN in the first user namespace",
        "run it as root",
        WITHOUT.format("sys_admin"),
        goes_on=False,
    ),
    Case(
        "root of a user namespace",
        "FUSE passthrough needs CAP_SYS_ADMIN in the first user namespace",
        "run it as root",
        "exec unshare --user --map-root-user --mount",
    ),
    Case(
        "a seccomp profile that refuses maps",
        "this process may make no eBPF map: Operation not permitted",
        "--privileged, whose seccomp profile allows bpf",
        refused=Refused(refused.BPF, 0, refused.MAP_CREATE),
    ),
    Case(
        "a seccomp profile that refuses programs",
        "this process may make no eBPF program: Permission denied",
        "--privileged, whose seccomp profile allows bpf",
        refused=Refused(refused.BPF, 0, refused.PROG_LOAD, errno.EACCES),
    ),
]


def of_the_unfit(case: Case, words: str, cwd: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return answer(f"{case.unfit.format(folder=folder)} {words}", cwd, folder, case.refused)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernel_plane_that_was_asked_for_is_an_error_with_the_next_step(
    case: Case, tree: Path, mount_point: Path, public: Path
) -> None:
    asked = "--plane kernel"
    for verb, status in (
        (f"run {asked} -- touch ran", RUN_FAILED),
        (f"mount {asked} {tree} {mount_point}", ENVIRONMENT),
    ):
        done = of_the_unfit(case, f"{GLASSFS} {verb}", tree, public)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        first, second = done.stderr.splitlines()
        assert first.startswith(f"glassfs: the kernel plane is not possible here: {case.missing}")
        assert second.startswith("  next: ") and case.next_step in second
    assert [each.name for each in tree.iterdir()] == ["hello"], "the command was not started"
    assert list(public.glob("state/glassfs/traces/*")) == [], "no trace is left"


@pytest.mark.parametrize("case", [case for case in CASES if case.goes_on], ids=lambda case: case.name)
def test_what_was_not_asked_for_goes_on_without_and_the_trace_says_why(case: Case, tree: Path, public: Path) -> None:
    words = f"{recorder.binary()} run --trace {public}/trace -- cat hello"
    done = of_the_unfit(case, words, tree, public)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    trace = Trace(public / "trace")
    assert trace.about["plane"] == "daemon"
    assert trace.about["plane_reason"].startswith(f"no kernel plane here: {case.missing}")
    assert trace.counts("path like '%/hello'")["read"] > 0
    trace.assert_balanced()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_doctor_names_what_is_missing_and_the_fix(case: Case, tree: Path, public: Path) -> None:
    done = of_the_unfit(case, f"{GLASSFS} doctor", tree, public)
    lines = lines_of(done.stdout)
    place = next(at for at, line in enumerate(lines) if line.startswith("warn kernel-plane"))
    assert case.missing in lines[place], done.stdout
    assert lines[place + 1].startswith("fix: ") and case.next_step in lines[place + 1]


@contextmanager
def overlay(public: Path) -> Iterator[Path]:
    for name in ("lower", "upper", "work", "place"):
        (public / name).mkdir()
    options = f"lowerdir={public}/lower,upperdir={public}/upper,workdir={public}/work"
    places.run("mount", "-t", "overlay", "-o", options, "overlay", public / "place")
    try:
        yield public / "place"
    finally:
        places.force_unmount(public / "place")


@contextmanager
def another_fuse(public: Path) -> Iterator[Path]:
    require("loggedfs")
    (public / "place").mkdir()
    words = ["loggedfs", "-p", "-f", "-l", "/dev/null", str(public / "place")]
    serving = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: places.mounted_at(public / "place"), "LoggedFS")
        yield public / "place"
    finally:
        places.force_unmount(public / "place")
        serving.wait(20)


@pytest.mark.parametrize(
    ("stacked", "fs_type"), [(overlay, "overlay"), (another_fuse, "fuse")], ids=["overlay", "FUSE"]
)
def test_a_directory_of_a_filesystem_on_another_has_no_kernel_plane(
    stacked: object, fs_type: str, ext4: Path, public: Path
) -> None:
    with stacked(ext4) as place:  # type: ignore[operator]
        (place / "hello").write_text("hello\n")
        asked = answer(f"{recorder.binary()} run --plane kernel --trace {public}/no -- cat hello", place, public)
        assert asked.returncode == RUN_FAILED
        first, second = asked.stderr.splitlines()
        assert first.startswith(f"glassfs: the kernel plane is not possible here: {place} lies on {fs_type}")
        assert second.startswith("  next: trace a directory of the filesystem below")
        done = answer(f"{recorder.binary()} run --trace {public}/trace -- cat hello", place, public)
        assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    trace = Trace(public / "trace")
    assert trace.about["plane"] == "daemon"
    assert trace.about["plane_reason"].startswith(f"no kernel plane here: {place} lies on {fs_type}")
    trace.assert_balanced()


# Both come after everything that can be looked at beforehand: at the last step of loading, and when it is mounted.
HALF_WAY = [
    pytest.param(Refused(refused.BPF, 0, refused.RAW_TRACEPOINT_OPEN), "the eBPF program", id="attaching"),
    pytest.param(
        Refused(refused.IOCTL, 1, refused.BACKING_OPEN), "the kernel takes no backing files", id="backing files"
    ),
]


@pytest.mark.parametrize(("refusal", "cause"), HALF_WAY)
def test_one_that_was_asked_for_and_fails_half_way_is_an_error_and_leaves_no_mount(
    refusal: Refused, cause: str, tree: Path, mount_point: Path, public: Path
) -> None:
    asked = f"--plane kernel --trace {public}/trace"
    verbs = [
        (f"run {asked}-1 -- touch ran", RUN_FAILED),
        (f"mount {asked}-2 {tree} {mount_point}", ENVIRONMENT),
        (f"mount --foreground {asked}-3 {tree} {mount_point}", ENVIRONMENT),
    ]
    for verb, status in verbs:
        done = answer(f"{recorder.binary()} {verb}", tree, public, refused=refusal)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        first, second = [line for line in done.stderr.splitlines() if line]
        assert first.startswith("glassfs: the kernel plane did not start: ") and cause in first
        assert first.endswith("Operation not permitted (os error 1)")
        assert second.startswith("  next: trace with --plane daemon")
    assert [each.name for each in tree.iterdir()] == ["hello"], "the command was not started"
    assert not places.mounted_at(mount_point) and not places.mounted_at(tree)
    for trace in public.glob("trace-*"):
        assert Trace(trace).about["end_reason"] == "never started"


def test_no_memory_may_be_locked_and_the_kernel_plane_works(tree: Path, public: Path) -> None:
    words = f"ulimit -l 0; exec {recorder.binary()} run --plane kernel --trace {public}/trace -- cat hello"
    done = answer(words, tree, public)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    assert Trace(public / "trace").counts("kind = 'call' and path like '%/hello'")["read"] > 0
