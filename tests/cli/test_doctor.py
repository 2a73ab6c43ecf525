"""`glassfs doctor`: stable ids, a fix for what fails, and an exit status that only failures change."""

from __future__ import annotations

import json

import pytest

from glassfs import recorder
from glassfs.cli import checks

WORKS = {
    "kernel": {"release": "6.18.0", "new_enough": True},
    "uid": 1000,
    "capabilities": {"sys_admin_by_setuid": True},
    "fuse_device": {"path": "/dev/fuse", "present": True, "works": True, "error": None, "mode": "0666"},
    "fusermount3": {"path": "/usr/bin/fusermount3", "setuid_root": True},
    "descriptors": {"soft": 1024, "hard": 65536},
    "kernel_plane": {"works": True, "missing": None, "next": None},
    "file_handles": False,
    "idle_cpus": {"halt_at_once": False, "kept_awake": False},
    "way": "user namespace",
}


@pytest.mark.mount
def test_the_ids_are_stable_and_each_check_has_a_status(glassfs):
    answer = glassfs("doctor", "--json")
    found = json.loads(answer.out)
    ids = "recorder kernel fuse-device view fusermount3 descriptors idle-cpus kernel-plane call-cost state-dir state-space python duckdb terminal"
    assert [check["id"] for check in found["checks"]] == ids.split()
    assert {check["status"] for check in found["checks"]} <= {"pass", "warn", "fail"}
    assert answer.status == (1 if found["fail"] else 0)


@pytest.mark.mount
@pytest.mark.root
def test_the_cost_of_a_traced_call_is_measured_here(glassfs):
    (cost,) = (line for line in glassfs("doctor").out.splitlines() if "call-cost" in line)
    assert cost.startswith("pass")
    assert "a traced read of 4 KiB takes" in cost


def test_a_missing_recorder_fails_with_its_fix(glassfs):
    answer = glassfs("doctor", env={"GLASSFS_RECORDER": "/nowhere/recorder"})
    assert answer.status == 1
    first, fix = answer.out.splitlines()[:2]
    assert first.startswith("fail  recorder")
    assert fix.strip() == "fix: Unset it, or correct it."


@pytest.mark.parametrize(
    ("changed", "id", "status", "word"),
    [
        ({}, None, "pass", ""),
        ({"kernel": {"release": "6.1.0", "new_enough": False}}, "kernel", "fail", "6.6"),
        ({"fuse_device": WORKS["fuse_device"] | {"works": False, "error": "no"}}, "fuse-device", "fail", "chmod 0666"),
        ({"fuse_device": WORKS["fuse_device"] | {"works": False, "present": False}}, "fuse-device", "fail", "modprobe"),
        ({"fusermount3": {"path": None, "setuid_root": None}}, "fusermount3", "fail", "apt install fuse3"),
        ({"fusermount3": {"path": None, "setuid_root": None}, "uid": 0}, "fusermount3", "warn", "apt install fuse3"),
        ({"way": "in place"}, "view", "warn", "apparmor"),
        ({"way": "none", "uid": 0}, "view", "fail", "SYS_ADMIN"),
        ({"way": "none", "capabilities": {"sys_admin_by_setuid": False}}, "view", "fail", "SYS_ADMIN"),
        ({"way": "none"}, "view", "fail", "apt install fuse3"),
        ({"descriptors": {"soft": 256, "hard": 256}}, "descriptors", "warn", "ulimit"),
        (
            {"kernel_plane": {"works": False, "missing": "eBPF needs CAP_BPF", "next": "run it as root (sudo)"}},
            "kernel-plane",
            "warn",
            "sudo",
        ),
        ({"idle_cpus": {"halt_at_once": True, "kept_awake": True}}, "idle-cpus", "pass", ""),
        ({"idle_cpus": {"halt_at_once": True, "kept_awake": False}}, "idle-cpus", "warn", "guest_halt_poll_ns"),
        ({"kernel": {}}, "kernel", "warn", ""),
    ],
)
def test_each_fact_of_the_probe_has_its_verdict_and_its_fix(monkeypatch, changed, id, status, word):
    facts = WORKS | changed | {"cost": {"read_bytes": 4096, "bare_ns": 500, "traced_ns": 25000}}
    monkeypatch.setattr(recorder, "probe", lambda cost=False: facts)
    by_id = {check.id: check for check in checks.recording() if check.id != "recorder"}
    if id is None:
        assert {check.status for check in by_id.values()} == {"pass"}
    else:
        assert by_id[id].status == status
        assert word in (by_id[id].fix or "")


def test_elsewhere_than_on_linux_reading_works_and_mounting_does_not(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    (platform,) = checks.recording()
    assert (platform.id, platform.status) == ("platform", "warn")
    assert "mounting needs Linux" in platform.what
    with pytest.raises(recorder.EnvironmentProblem, match="tracing needs Linux"):
        recorder.need_linux_binary()
