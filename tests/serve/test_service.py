"""Parts fail alone, are said once and tried again; the whole ends in time, whatever a part does."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

# A clean stop is promised within 2 s; what is above is a loaded machine starting and ending a process.
STOP_S = 2.0
SLACK_S = 3.0


def lines_until(process: subprocess.Popen[str], event: str, part: str | None = None) -> list[dict]:
    """Log lines up to the first of this kind."""
    found = []
    for line in process.stderr:
        found.append(json.loads(line))
        if found[-1]["event.action"] == event and (part is None or found[-1].get("glassfs.part") == part):
            return found
    raise AssertionError(f"ended without {event}: {found}")


def stopped(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, list[dict]]:
    """Its status and its last lines, after a signal."""
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - began < STOP_S + SLACK_S
    assert out == ""
    return process.returncode, [json.loads(line) for line in err.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly_with_status_0(start, number):
    process = start(parts="good")
    lines_until(process, "started")
    status, last = stopped(process, number)
    assert status == 0
    assert [line["event.action"] for line in last] == ["stopped"]


def test_a_part_that_hangs_is_left_and_the_status_is_1(start):
    process = start(parts="good,hanging")
    lines_until(process, "started")
    status, last = stopped(process)
    assert status == 1
    assert [(line["event.action"], line.get("glassfs.part")) for line in last] == [
        ("hung", "hanging"),
        ("stopped", None),
    ]


def test_a_part_whose_figures_hang_holds_up_nobody(start):
    process = start(parts="mute,good", env={"TERM": "xterm"})
    lines_until(process, "started")
    assert stopped(process)[0] == 0


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("failing", r"failing is down: no way: /there"),
        ("crashing", r"crashing is down: this is a bug in glassfs \(ZeroDivisionError: a bug\); the details.*\.txt"),
        ("exiting", r"exiting is down: this is a bug in glassfs \(SystemExit: 7\); the details.*\.txt"),
        ("returning", r"returning is down: it ended by itself, a bug in glassfs"),
    ],
)
def test_a_part_that_fails_is_said_once_and_the_others_go_on(start, tmp_path, part, message):
    process = start(parts=f"{part},good", env={"TMPDIR": str(tmp_path)})
    line = lines_until(process, "down", part)[-1]
    assert re.fullmatch(message, line["message"])
    assert line["log.level"] == "error"
    assert "It is tried again in 1 s, then less often." in line["glassfs.next_step"]
    # Tries follow after 1 s and 2 s more; nothing of them is said.
    time.sleep(2.5)
    status, last = stopped(process)
    assert (status, [line["event.action"] for line in last]) == (0, ["stopped"])


def test_a_part_that_comes_back_is_said(start):
    process = start(parts="recovering,good")
    lines_until(process, "down", "recovering")
    line = lines_until(process, "up")[-1]
    assert line["message"] == "recovering is up again"
    assert stopped(process)[0] == 0


def test_what_a_part_warns_of_is_said_once_each(start):
    process = start(parts="warning")
    lines = [*lines_until(process, "warned"), *lines_until(process, "warned")]
    lines += stopped(process)[1]
    warned = [(line["message"], line["log.level"]) for line in lines if line["event.action"] == "warned"]
    assert warned == [("warning: first", "warn"), ("warning: second", "warn")]


def test_an_error_at_the_end_is_said(start):
    process = start(parts="crashing-late")
    lines_until(process, "started")
    # The part must be in its run: it is once it has been asked how it is, a second after.
    time.sleep(1.5)
    _status, last = stopped(process)
    assert last[0]["message"] == "crashing-late ended with an error: could not finish"


def test_every_log_line_has_the_documented_fields(start):
    process = start(parts="failing,good")
    found = lines_until(process, "down")
    for line in found + stopped(process)[1]:
        assert {"@timestamp", "log.level", "message", "ecs.version", "service.name", "event.action"} <= set(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["@timestamp"])


def test_nobody_reading_its_log_does_not_end_it(start):
    process = start(parts="failing,good")
    lines_until(process, "started")
    process.stderr.close()
    time.sleep(1.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    process.stderr = None


def screen_of(start, parts: str, columns: int, seconds: float) -> str:
    """What it writes to a terminal of this width."""
    leader, follower = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = start(parts=parts, stderr=follower, env={"TERM": "xterm"})
    os.close(follower)
    written, until = b"", time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 or b"\x1b[K0:" not in written:
        if select.select([leader], [], [], max(left, 0.1))[0]:
            written += os.read(leader, 65536)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=20)
    os.close(leader)
    return written.decode()


@pytest.mark.parametrize("columns", [100, 60])
def test_a_terminal_gets_one_status_line_that_is_drawn_in_place(start, columns):
    written = screen_of(start, "failing,good,mute,hanging,returning", columns, 3.5)
    drawn = re.findall(r"\r\x1b\[K(0:00:\d\d  [^\r\n]*)", written)
    assert len(set(drawn)) >= 2
    assert all(len(line) < columns for line in drawn)
    assert "failing down, next try in" in drawn[-1]
    # Other lines stand above it: none is drawn over.
    assert "failing is down: no way: /there\r\n" in written
