"""Machines on which nothing can be mounted, or only less well: each says what is wrong and what to do about it.

The machine is made unfit for one command alone, in a mount or user namespace of its own.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from unfit import COMMAND_S, ENVIRONMENT, GLASSFS, RUN_FAILED, answer, lines_of

from support import people, places, recorder
from support.needs import failpoints_binary
from support.people import Person
from support.traces import Trace
from support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.mount]
USER = "setpriv --reuid {0.uid} --regid {0.gid} --clear-groups --inh-caps -all --ambient-caps -all"


@dataclass(frozen=True)
class Case:
    """`unfit`: shell words that make it so, {folder} being a scratch folder."""

    name: str
    unfit: str
    message: str
    next_step: str
    doctor: str


CASES = [
    Case(
        "an old kernel (of Debian 12)",
        "echo 6.1.0-37-amd64 > {folder}/release; mount --bind {folder}/release /proc/sys/kernel/osrelease",
        "cannot mount: this machine: Linux 6.1.0-37-amd64 is older than 6.6",
        "boot Linux 6.6 or newer",
        "fail kernel Linux 6.1.0-37-amd64 is older than 6.6",
    ),
    Case(
        "the kernel just before the oldest that will do",
        "echo 6.5.13 > {folder}/release; mount --bind {folder}/release /proc/sys/kernel/osrelease",
        "cannot mount: this machine: Linux 6.5.13 is older than 6.6",
        "boot Linux 6.6 or newer",
        "fail kernel Linux 6.5.13 is older than 6.6",
    ),
    Case(
        "no /dev/fuse",
        "mount -t tmpfs tmpfs /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9",
        "cannot mount: /dev/fuse: No such file or directory",
        "modprobe fuse; in a container: --device /dev/fuse",
        "fail fuse-device there is no FUSE device at /dev/fuse",
    ),
    Case(
        "something else at /dev/fuse",
        "mount --bind /dev/null /dev/fuse",
        "cannot mount: /dev/fuse: something else is in its place",
        "modprobe fuse; in a container: --device /dev/fuse",
        "fail fuse-device there is no FUSE device at /dev/fuse",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_unfit_machine_is_told_with_the_next_step(case: Case, tree: Path, mount_point: Path, public: Path) -> None:
    unfit = case.unfit.format(folder=public)
    for verb, status in ((f"run -- touch {tree}/ran", RUN_FAILED), (f"mount {tree} {mount_point}", ENVIRONMENT)):
        done = answer(f"{unfit}; {GLASSFS} {verb}", tree, public)
        assert (done.returncode, done.stdout) == (status, "")
        first, second = done.stderr.splitlines()
        assert first.startswith(f"glassfs: {case.message}")
        assert second.startswith("  next: ") and case.next_step in second
    doctor = answer(f"{unfit}; {GLASSFS} doctor", tree, public)
    assert doctor.returncode == 1
    assert case.doctor in lines_of(doctor.stdout)
    assert case.next_step in doctor.stdout
    assert [each.name for each in tree.iterdir()] == ["hello"], "the command was not started"
    assert list(public.glob("state/glassfs/traces/*")) == [], "no trace is left"


def test_a_newer_kernel_is_new_enough_whatever_its_name(tree: Path, public: Path) -> None:
    for release in ("6.6.0", "7.0-rc1", "10.2.1-custom"):
        unfit = f"echo {release} > {public}/release; mount --bind {public}/release /proc/sys/kernel/osrelease"
        done = answer(f"{unfit}; {recorder.binary()} run --trace {public}/{release} -- cat hello", tree, public)
        assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


def test_a_user_without_permission_on_the_device_is_told_whose_command_gives_it(tree: Path, public: Path) -> None:
    user = people.person()
    (public / "dev").mkdir()
    unfit = (
        f"mount -t tmpfs tmpfs {public}/dev; mknod -m 600 {public}/dev/fuse c 10 229;"
        f"mount --bind {public}/dev/fuse /dev/fuse"
    )
    program = recorder.public_binary(public)
    for verb, status in (("run", RUN_FAILED), ("mount", ENVIRONMENT)):
        words = f"{program} {verb} --trace {public}/trace {'-- true' if verb == 'run' else tree}"
        done = answer(f"{unfit}; {USER.format(user)} {words}", tree, public)
        assert (done.returncode, done.stdout) == (status, "")
        assert done.stderr.startswith("glassfs: cannot mount: /dev/fuse: Permission denied")
        assert "\n  next: as root: chmod 0666 /dev/fuse" in done.stderr


@pytest.fixture
def container(public: Path) -> Iterator[subprocess.Popen[str]]:
    """A shell that waits for a script: root of a user namespace in which every id is known and none below it may be."""
    words = ["unshare", "--user", "--mount", "--keep-caps", "--propagation", "private"]
    script = "read go; echo 0 > /proc/sys/user/max_user_namespaces; exec sh -e"
    shell = subprocess.Popen(
        [*words, "sh", "-ec", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=public,
    )
    ours = os.readlink("/proc/self/ns/user")
    wait_until(lambda: os.readlink(f"/proc/{shell.pid}/ns/user") != ours, "a user namespace")
    for ids in ("uid_map", "gid_map"):
        Path(f"/proc/{shell.pid}/{ids}").write_text("0 0 65536")
    yield shell
    shell.kill()
    shell.communicate(timeout=COMMAND_S)


def test_where_no_user_namespace_is_left_the_view_is_not_private_and_says_so(
    container: subprocess.Popen[str], tree: Path, public: Path, ordinary: Person
) -> None:
    program, trace = recorder.public_binary(public), public / "traces/trace"
    trace.parent.mkdir()
    os.chown(trace.parent, ordinary.uid, ordinary.gid)
    os.chown(tree, ordinary.uid, ordinary.gid)
    out, err = container.communicate(
        f"go\ncd {tree}\n{USER.format(ordinary)} {program} run --trace {trace} -- cat hello\n", timeout=COMMAND_S
    )
    assert (container.returncode, out) == (0, "hello\n"), err
    assert err.startswith("glassfs: user namespaces are not allowed here (No space left on device")
    assert "the traced view is not private" in err
    recorded = Trace(trace)
    assert recorded.about["mounts"][0]["private"] is False
    assert recorded.counts()["read"] > 0
    assert not places.mounted_at(tree)


def test_root_of_a_container_without_the_right_to_mount_is_told_so(tree: Path, public: Path) -> None:
    unfit = "exec setpriv --bounding-set -sys_admin --inh-caps -sys_admin"
    done = answer(f"{unfit} {GLASSFS} run -- true", tree, public)
    assert (done.returncode, done.stdout) == (RUN_FAILED, "")
    assert "cannot mount" in done.stderr and "Operation not permitted" in done.stderr
    assert "a container needs --cap-add SYS_ADMIN" in done.stderr
    doctor = answer(f"{unfit} {GLASSFS} doctor", tree, public)
    assert doctor.returncode == 1
    assert "fail view nobody may mount here, nor root" in lines_of(doctor.stdout)
    assert not places.mounted_at(tree)


@pytest.mark.parametrize("verb", ["run", "mount"])
def test_a_verifier_that_refuses_the_program_is_quoted(verb: str, tree: Path, mount_point: Path, public: Path) -> None:
    """The verdict first, then the end of its log as it stands there, line by line."""
    words = ["-d", tree, "--", "true"] if verb == "run" else [tree, mount_point]
    done = places.run(
        failpoints_binary(),
        verb,
        *("--plane", "kernel", "--trace", public / "trace"),
        *words,
        check=False,
        env={**os.environ, "GLASSFS_FAILPOINT_VERIFIER": "1"},
    )
    assert done.returncode == (RUN_FAILED if verb == "run" else ENVIRONMENT)
    first, next_step, *log = done.stderr.splitlines()
    assert first.startswith(
        "glassfs: the kernel plane did not start: the kernel's verifier does not take the eBPF program"
    )
    assert "btf_id 2054846977" in first
    assert next_step.startswith("  next: trace with --plane daemon")
    assert any("btf_id 2054846977" in line for line in log) and "  | processed " in log[-1]
    assert all(line.startswith("  | ") for line in log)
