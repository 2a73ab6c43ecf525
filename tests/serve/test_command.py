"""`glassfs serve` itself: what it refuses, and that the real sampler runs in it."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from cli_kit import until

SECRET = "kY7-letmein-9fQ"
# Nobody listens there: port 1 is reserved.
NOBODY = ["--set", "elastic.enabled=true", "--set", "elastic.hosts=http://127.0.0.1:1"]


def test_with_no_part_enabled_it_says_what_to_set(start):
    process = start("serve", "--set", "sampler.enabled=false")
    assert process.communicate(timeout=60) == (
        "",
        "glassfs: nothing to do: neither the sampler nor shipping is enabled\n"
        "  Set sampler.enabled: true or elastic.enabled: true in config.yml, or give --set NAME=true.\n",
    )
    assert process.returncode == 2


def test_a_trace_that_is_not_there_is_refused(start):
    process = start("serve", "nowhere")
    assert "no trace is called 'nowhere'" in process.communicate(timeout=60)[1]
    assert process.returncode == 2


def test_a_second_one_for_the_same_state_directory_is_refused_and_names_the_first(start, home):
    first = start("serve", "--set", "sampler.enabled=false", *NOBODY)
    assert json.loads(first.stderr.readline())["event.action"] == "started"
    second = start("serve", *NOBODY)
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (3, "")
    assert err == (
        f"glassfs: glassfs serve runs already (pid {first.pid}) for this state directory: {home}/.local/state/glassfs\n"
        "  One is enough: it follows all traces there. Stop it first, or look at it.\n"
    )
    # The lock goes with its holder, however that ends.
    first.kill()
    first.wait(timeout=20)
    third = start("serve", "--set", "sampler.enabled=false", *NOBODY)
    assert json.loads(third.stderr.readline())["event.action"] == "started"


def test_a_state_directory_that_cannot_be_used_is_named(start, tmp_path):
    (tmp_path / "file").write_text("")
    process = start("serve", env={"XDG_STATE_HOME": str(tmp_path / "file")})
    assert "cannot use the state directory (Not a directory)" in process.communicate(timeout=60)[1]
    assert process.returncode == 3


def test_a_server_that_is_not_there_is_waited_for_and_said_once(start):
    process = start("serve", "--set", "sampler.enabled=false", *NOBODY)
    lines = [json.loads(process.stderr.readline()) for _ in range(2)]
    assert [line["event.action"] for line in lines] == ["started", "waiting"]
    assert "http://127.0.0.1:1" in lines[1]["message"]
    process.send_signal(signal.SIGTERM)
    _out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert [json.loads(line)["event.action"] for line in err.splitlines()] == ["stopped"]


def test_the_sampler_writes_beside_the_traces(start, home):
    process = start("serve", "--set", "sampler.period_s=0.2")
    folder = home / ".local/state/glassfs/system"
    until(lambda: bool(list(folder.glob("*/system/*.parquet"))), "a segment of the sampler")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize("way", ["variable", "file"])
def test_a_secret_is_in_no_log_and_no_process_list(start, tmp_path, way):
    environ = {"GLASSFS_ELASTIC_API_KEY": SECRET} if way == "variable" else {}
    (tmp_path / "key").write_text(SECRET)
    (tmp_path / "key").chmod(0o600)
    named = ["--set", "elastic.api_key_file=key"] if way == "file" else []
    process = start("serve", "--set", "sampler.enabled=false", *NOBODY, *named, env=environ)
    said = process.stderr.readline() + process.stderr.readline()
    assert SECRET.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    for thread in Path(f"/proc/{process.pid}/task").iterdir():
        assert SECRET not in (thread / "comm").read_text()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert SECRET not in out + err + said


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    unit = Path(__file__).parents[2] / "deploy/glassfs.service"
    try:
        # The command stands where the unit's reader installs it; here any program does.
        text = unit.read_text().replace("/usr/local/bin/glassfs", "/bin/true")
        (tmp_path / "glassfs.service").write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", tmp_path / "glassfs.service"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    assert (done.returncode, [line for line in done.stderr.splitlines() if "glassfs.service" in line]) == (0, [])
