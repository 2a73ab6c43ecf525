"""What `doctor` looks at: each check has a stable id, a status, what was found, and a fix of one line."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassfs import __version__, recorder
from glassfs.cli.screen import shown
from glassfs.errors import EnvironmentProblem, GlassfsError
from glassfs.places import state_directories

OLDEST_PYTHON = (3, 11)

# A trace is kept to what leaves this free on its disk (the recorder's min_free_percent), and a run of some minutes
# writes a few hundred megabytes.
ENOUGH_FREE_PERCENT = 10
ENOUGH_FREE_BYTES = 1 << 30

# Below it a `find` over a large tree already makes the recorder hand descriptors back all the time.
FEW_DESCRIPTORS = 4096

# What `glassfs-recorder probe` answers.
Facts = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """One answer. `status`: pass, warn (works with a loss, or could not be found out), fail."""

    id: str
    status: str
    what: str
    fix: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def all_of_them() -> list[Check]:
    """In the order in which they matter: can it record, can it keep, can it show."""
    return recording() + [guarded(check) for check in (state_dir, state_space, python, duckdb, terminal)]


def guarded(check: Callable[..., Check], *facts: Facts) -> Check:
    """A check that cannot be made is a warning, not a failure. Its id is its function's name."""
    try:
        return check(*facts)
    except (OSError, LookupError, TypeError, GlassfsError) as problem:
        what = (problem.what if isinstance(problem, GlassfsError) else str(problem)).splitlines()[0]
        return Check(check.__name__.replace("_", "-"), "warn", f"could not be found out: {what}")


def recording() -> list[Check]:
    if not sys.platform.startswith("linux"):
        return [Check("platform", "warn", f"{sys.platform}: reading traces works; mounting needs Linux")]
    first = guarded(recorder_itself)
    if first.status == "fail":
        return [first]
    try:
        facts = recorder.probe()
    except GlassfsError as problem:
        return [first, Check("probe", "warn", f"the recorder could not look around: {problem.what}")]
    found = [
        guarded(check, facts)
        for check in (kernel, fuse_device, view, fusermount3, descriptors, idle_cpus, kernel_plane)
    ]
    if any(check.status == "fail" for check in found):
        return [first, *found, Check("call-cost", "warn", "not measured: tracing does not work here yet")]
    return [first, *found, guarded(call_cost)]


def recorder_itself() -> Check:
    try:
        binary, version = recorder.find(), recorder.version()
    except EnvironmentProblem as problem:
        return Check("recorder", "fail", problem.what, problem.next_step)
    if version != __version__:
        what = f"{shown(binary)} is version {version}, glassfs is {__version__}"
        return Check("recorder", "warn", what, "install both from one wheel, or run: make compile")
    return Check("recorder", "pass", f"{shown(binary)}, version {version}")


def kernel(facts: Facts) -> Check:
    release = f"Linux {facts['kernel']['release']}"
    if facts["kernel"]["new_enough"]:
        return Check("kernel", "pass", release)
    return Check("kernel", "fail", f"{release} is older than 6.6", "boot Linux 6.6 or newer (Debian 13, Ubuntu 24.04)")


def fuse_device(facts: Facts) -> Check:
    device = facts["fuse_device"]
    if device["works"]:
        return Check("fuse-device", "pass", f"{device['path']} can be opened")
    if not device["present"]:
        fix = "as root: modprobe fuse; in a container: --device /dev/fuse"
        return Check("fuse-device", "fail", f"there is no FUSE device at {device['path']}", fix)
    what = f"{device['path']} cannot be opened: {device['error']} (mode {device['mode']})"
    return Check(
        "fuse-device", "fail", what, "as root: chmod 0666 /dev/fuse, the distributions' default; or run as root"
    )


def view(facts: Facts) -> Check:
    """How `run` lays its view over a directory."""
    how = facts["way"]
    if not facts["fuse_device"]["works"]:
        return Check("view", "warn", "could not be found out without /dev/fuse")
    if how == "none":
        if facts["uid"] == 0 or not facts["capabilities"]["sys_admin_by_setuid"]:
            return Check("view", "fail", "nobody may mount here, nor root", "in a container: --cap-add SYS_ADMIN")
        return Check(
            "view", "fail", "an ordinary user may not mount here", "as root: apt install fuse3; or run as root"
        )
    if how == "in place":
        what = "run lays its view where others see it too: user namespaces are not allowed"
        return Check(
            "view", "warn", what, "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0; or run as root"
        )
    return Check("view", "pass", f"run is private to its command ({how})")


def fusermount3(facts: Facts) -> Check:
    found = facts["fusermount3"]
    if found["path"] and found["setuid_root"]:
        return Check("fusermount3", "pass", found["path"])
    what = "not setuid root" if found["path"] else "not found"
    status = "warn" if facts["uid"] == 0 else "fail"
    fix = "as root: apt install --reinstall fuse3" if found["path"] else "as root: apt install fuse3"
    return Check("fusermount3", status, f"{what}: ordinary users cannot mount", fix)


def descriptors(facts: Facts) -> Check:
    """Without file handles each file that the kernel remembers holds a descriptor."""
    limit = facts["descriptors"]["hard"]
    if facts["file_handles"]:
        return Check("descriptors", "pass", "files are held by handle, no descriptor limit applies")
    if limit < FEW_DESCRIPTORS:
        what = f"at most {limit}: with many files the kernel is asked to forget names often"
        return Check("descriptors", "warn", what, "ulimit -Hn 65536, or run as root")
    return Check("descriptors", "pass", f"up to {limit}")


def idle_cpus(facts: Facts) -> Check:
    """Every request wakes two threads, which is slow where the hypervisor must first bring a halted CPU back."""
    idle = facts["idle_cpus"]
    if not idle["halt_at_once"]:
        return Check("idle-cpus", "pass", "they wake quickly")
    if idle["kept_awake"]:
        return Check("idle-cpus", "pass", "this guest's halt at once; they are kept awake while requests flow")
    what = "this guest's halt at once: a request takes about twice as long as it could"
    fix = "as root: echo 200000 > /sys/module/haltpoll/parameters/guest_halt_poll_ns"
    return Check("idle-cpus", "warn", what, fix)


def kernel_plane(facts: Facts) -> Check:
    """Whether system calls can be seen, not only requests."""
    plane = facts["kernel_plane"]
    if plane["works"]:
        return Check("kernel-plane", "pass", "system calls are seen, not only requests")
    return Check("kernel-plane", "warn", f"requests are seen, system calls not: {plane['missing']}", plane["next"])


def call_cost() -> Check:
    cost = recorder.probe(cost=True)["cost"]
    bare, traced = cost["bare_ns"] / 1000, cost["traced_ns"] / 1000
    what = f"a traced read of {cost['read_bytes'] // 1024} KiB takes {traced:.1f} us here, {bare:.1f} us untraced"
    return Check("call-cost", "pass", what)


def state_dir() -> Check:
    folder = state_directories()[0]
    there = nearest_existing(folder)
    if not os.access(there, os.W_OK | os.X_OK):
        what = f"{shown(there)} is not writable; traces go to {shown(state_directories()[1])}"
        return Check("state-dir", "warn", what, f"chmod u+rwx {shown(there)}, or set XDG_STATE_HOME")
    return Check("state-dir", "pass", f"traces go to {shown(folder)}")


def state_space() -> Check:
    folder = state_directories()[0]
    usage = shutil.disk_usage(nearest_existing(folder))
    percent = 100 * usage.free // max(usage.total, 1)
    what = f"{usage.free / 1e9:.1f} GB ({percent} %) free where traces go"
    if percent < ENOUGH_FREE_PERCENT:
        what += f"; below {ENOUGH_FREE_PERCENT} % only totals are kept"
    elif usage.free >= ENOUGH_FREE_BYTES:
        return Check("state-space", "pass", what)
    return Check("state-space", "warn", what, "glassfs traces prune, or -o PATH on another disk")


def python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "fail", f"{version} is too old", "Install Python 3.11 or newer.")
    return Check("python", "pass", version)


def duckdb() -> Check:
    try:
        engine = importlib.import_module("duckdb")
    except ImportError as problem:
        return Check("duckdb", "fail", f"cannot be imported ({problem}): traces cannot be read", "pip install duckdb")
    return Check("duckdb", "pass", str(engine.__version__))


def terminal() -> Check:
    encoding = (getattr(sys.stdout, "encoding", None) or "unknown").lower()
    if encoding.replace("-", "") != "utf8":
        what = f"output is {encoding}: other names are shown as escapes"
        return Check("terminal", "warn", what, "export LC_ALL=C.UTF-8")
    term = os.environ.get("TERM", "none")
    return Check("terminal", "pass", f"{term}, {shutil.get_terminal_size().columns} columns, {encoding}")


def nearest_existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())
