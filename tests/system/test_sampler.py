"""What the sampler keeps of the machine, against what the kernel says itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
from kept import DEADLINE_S, Sampled, documents, of
from tracewriter import TraceWriter

from glassfs import places
from glassfs.config.model import Sampler as SamplerSettings
from glassfs.config.model import Settings
from glassfs.errors import EnvironmentProblem
from glassfs.places import system_directory
from glassfs.system.sampler import Sampler
from support.waiting import wait_until

DATASETS = {
    *("system.cpu", "system.load", "system.memory", "system.network", "system.diskio", "system.filesystem"),
    *("system.process", "system.process.summary"),
}


def test_every_dataset_is_sampled(sampled: Sampled, directory: Path):
    status = sampled(3).status()
    kept = documents(directory)
    assert {each["event"]["dataset"] for each in kept} >= DATASETS - {"system.filesystem", "system.diskio"}
    assert status["documents"] == len(kept)
    assert Path(str(status["folder"])) == directory == system_directory()


def test_every_document_says_whose_it_is_when_and_how_often(sampled: Sampled, directory: Path):
    before = time.time()
    sampled(2, period_s=0.2, session="a", team="db")
    for each in documents(directory):
        assert each["labels"] == {"session": "a", "team": "db"}
        assert each["host"]["name"] == os.uname().nodename
        assert each["metricset"]["period"] == 200
        assert each["event"]["dataset"] == f"system.{each['metricset']['name']}".replace("process_", "process.")
        assert before - 1 <= datetime.fromisoformat(each["@timestamp"]).timestamp() <= time.time()


def test_the_first_sample_has_no_rates(sampled: Sampled, directory: Path):
    sampled(1)
    kept = documents(directory)
    assert of("system.cpu", kept) == []
    assert all("iostat" not in each["system"]["diskio"] for each in of("system.diskio", kept))
    assert all("pct" not in each["system"]["process"]["cpu"]["total"] for each in of("system.process", kept))
    assert not [each for each in kept if "network" in each["host"] or "disk" in each["host"]]


def test_later_samples_have_rates(sampled: Sampled, directory: Path):
    sampled(4, period_s=0.3)
    kept = documents(directory)
    for each in of("system.cpu", kept):
        shares = {name: share["norm"]["pct"] for name, share in each["system"]["cpu"].items() if name != "cores"}
        total = shares.pop("total")
        assert sum(shares.values()) == pytest.approx(1, abs=0.001)
        assert total == pytest.approx(1 - shares["idle"] - shares["iowait"], abs=0.001) == each["host"]["cpu"]["usage"]
    assert of("system.cpu", kept)
    assert any("pct" in each["system"]["process"]["cpu"]["total"] for each in of("system.process", kept))


def test_memory_is_the_kernels(sampled: Sampled, directory: Path):
    sampled(1)
    memory = of("system.memory", documents(directory))[0]["system"]["memory"]
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    assert memory["total"] == int(lines["MemTotal"].split()[0]) * 1024
    assert memory["used"]["bytes"] == memory["total"] - memory["free"]
    assert memory["actual"]["used"]["bytes"] == memory["total"] - memory["actual"]["free"]
    assert memory["swap"]["total"] == int(lines["SwapTotal"].split()[0]) * 1024


def test_a_process_that_computes_is_among_the_top_ones(sampled: Sampled, directory: Path):
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            sampled(4, period_s=0.5, top=3)
        finally:
            process.kill()
    mine = [each for each in of("system.process", documents(directory)) if each["process"]["pid"] == process.pid]
    assert mine[-1]["system"]["process"]["cpu"]["total"]["pct"] > 0.1
    assert mine[-1]["process"]["ppid"] == os.getpid()
    assert mine[-1]["process"]["args"][1:] == ["-c", "while True: pass"]


def test_a_process_that_writes_is_among_the_top_ones_with_its_io(sampled: Sampled, directory: Path, tmp_path: Path):
    program = "import os, sys\nf = open(sys.argv[1], 'wb')\nwhile True: f.seek(0); f.write(b'x' * 262144); f.flush(); os.fsync(f)"
    with subprocess.Popen([sys.executable, "-c", program, tmp_path / "written"]) as process:
        try:
            wait_until(lambda: written_by(process.pid) > 1 << 20, "a megabyte written", DEADLINE_S)
            # By memory and CPU others may come first.
            sampled(4, period_s=0.5, top=4)
        finally:
            process.kill()
    mine = [each for each in of("system.process", documents(directory)) if each["process"]["pid"] == process.pid]
    io = [each["system"]["process"]["io"] for each in mine]
    assert min(io[-1]["write_char"], io[-1]["write_bytes"]) > 1 << 20
    assert io[-1]["write_ops"] > io[0]["write_ops"]


def written_by(pid: int) -> int:
    lines = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    if int(lines["write_bytes"]) == 0 and int(lines["wchar"]) > 8 << 20:
        pytest.skip("the folder of the tests is on no disk")
    return int(lines["write_bytes"])


def test_secrets_on_command_lines_are_not_kept(sampled: Sampled, directory: Path):
    secret = "hunter2hunter2"
    program = f"x = '{'y' * 10}'\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", program, f"--password={secret}", "--token", secret]) as process:
        try:
            sampled(3, period_s=0.3, top=5)
        finally:
            process.kill()
    kept = documents(directory)
    assert process.pid in {each["process"]["pid"] for each in of("system.process", kept)}
    assert secret not in json.dumps(kept)


def test_the_summary_counts_every_process_once(sampled: Sampled, directory: Path):
    sampled(1)
    summary = of("system.process.summary", documents(directory))[0]["system"]["process"]["summary"]
    total = summary.pop("total")
    assert sum(summary.values()) == total
    running = sum(name.isdigit() for name in os.listdir("/proc"))
    assert total == pytest.approx(running, abs=max(20, running / 5))


@pytest.fixture
def idle() -> subprocess.Popen[bytes]:
    """A process that is nobody's top one."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def started_ns(pid: int) -> int:
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return int(boot.split()[1]) * 1_000_000_000 + ticks * 10_000_000


def live_trace(tmp_path: Path, pid: int, began_ns: int | None) -> TraceWriter:
    writer = TraceWriter(tmp_path / "state/glassfs/traces/run-1")
    writer.describe(start_ns=time.time_ns())
    writer.live()
    row = {"ts_ns": writer.about["start_ns"], "pid": pid, "tid": pid, "comm": "sleep", "started_ns": began_ns}
    writer.segment("processes", [row])
    return writer


def pids(directory: Path) -> set[int]:
    return {each["process"]["pid"] for each in of("system.process", documents(directory))}


@pytest.mark.parametrize("is_known", [True, False])
def test_a_traced_process_is_always_kept(sampled: Sampled, directory: Path, tmp_path: Path, idle, is_known: bool):
    live_trace(tmp_path, idle.pid, started_ns(idle.pid) if is_known else None)
    sampled(2, top=0)
    assert pids(directory) == {idle.pid}


def test_a_pid_that_is_used_again_is_another_process(sampled: Sampled, directory: Path, tmp_path: Path, idle):
    live_trace(tmp_path, idle.pid, started_ns(idle.pid) - 60_000_000_000)
    sampled(2, top=0)
    assert pids(directory) == set()


def test_processes_of_a_trace_that_has_ended_are_not_followed(sampled: Sampled, directory: Path, tmp_path: Path, idle):
    live_trace(tmp_path, idle.pid, None).end()
    sampled(2, top=0)
    assert pids(directory) == set()


@pytest.mark.parametrize(("follow", "is_kept"), [(["run-1"], True), (["another"], False)])
def test_only_traces_that_are_followed_count(sampled: Sampled, directory, tmp_path, idle, follow, is_kept):
    live_trace(tmp_path, idle.pid, None)
    sampled(2, top=0, follow=follow)
    assert pids(directory) == ({idle.pid} if is_kept else set())


def test_a_slow_sample_is_followed_by_the_next_beat_and_the_missed_ones_are_counted(sampled: Sampled, directory: Path):
    # No machine takes a sample in a tenth of a millisecond.
    status = sampled(5, period_s=0.0001).status()
    assert status["skipped"] > 0
    assert status["samples"] == len(of("system.load", documents(directory)))


def test_samples_stay_on_the_beat_of_the_first(sampled: Sampled, directory: Path):
    status = sampled(8, period_s=0.25).status()
    times = [datetime.fromisoformat(each["@timestamp"]).timestamp() for each in of("system.load", documents(directory))]
    beats = [(at - times[0]) / 0.25 for at in times]
    # Each is late by its own wake-up, not by those before it: a beat that was missed is counted.
    assert round(beats[-1]) == len(times) - 1 + status["skipped"]


def test_it_stops_at_once_when_told(directory: Path):
    sampler, stop = Sampler(Settings(sampler=SamplerSettings(period_s=600))), threading.Event()
    thread = threading.Thread(target=sampler.run, args=(stop,))
    thread.start()
    wait_until(lambda: sampler.status()["samples"], "the first sample", DEADLINE_S)
    stop.set()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert documents(directory)


def test_it_stops_at_once_although_a_look_at_the_machine_hangs(directory: Path, monkeypatch: pytest.MonkeyPatch):
    hangs, over = threading.Event(), threading.Event()

    def never_ending(*_: object) -> list[object]:
        hangs.set()
        over.wait(DEADLINE_S)
        return []

    monkeypatch.setattr("glassfs.system.machine.Load.readings", never_ending)
    sampler, stop = Sampler(Settings()), threading.Event()
    thread = threading.Thread(target=sampler.run, args=(stop,))
    thread.start()
    wait_until(hangs.is_set, "a look that hangs", DEADLINE_S)
    stop.set()
    thread.join(DEADLINE_S / 2)
    assert not thread.is_alive()
    over.set()
    (trace,) = places.system_traces()
    assert trace.about.end_reason == "stopped"


def test_a_second_sampler_is_refused_in_words(directory: Path):
    first, stop = Sampler(Settings(sampler=SamplerSettings(period_s=600))), threading.Event()
    thread = threading.Thread(target=first.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: first.status()["samples"], "the first sample", DEADLINE_S)
        with pytest.raises(EnvironmentProblem, match="another sampler writes here already") as refused:
            Sampler(Settings()).run(threading.Event())
        assert refused.value.where == str(directory)
        assert refused.value.next_step
    finally:
        stop.set()
        thread.join(DEADLINE_S)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EnvironmentProblem, match="cannot use the sampler's folder"):
        Sampler(Settings(), directory=tmp_path / "file/system").run(threading.Event())
