"""`glassfs elastic ship` and `status` as they are typed: on a terminal, in a pipe, and stopped with Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live import Home, environment
from shipping import held, ids, written
from tracewriter import TraceWriter

from support.fault_proxy import FaultProxy, fault_proxy
from support.servers import RealServer
from support.waiting import wait_until

EVENTS = 15_000
SHIPPED = re.compile(r"glassfs: shipped 15\D000 of 15\D000 calls in \d+\.\d s\n")
ENDS_IN_S = 60
CTRL_C = b"\x03"
SHOWS_CURSOR, HIDES_CURSOR = b"\x1b[?25h", b"\x1b[?25l"
# Each answer comes so late that a person, and the test, sees the bar move.
SLOWLY = ["slow"] * 100


@pytest.fixture
def proxy(server: RealServer) -> Iterator[FaultProxy]:
    with fault_proxy(server.port, SLOWLY) as proxy:
        yield proxy


@pytest.fixture
def home(proxy: FaultProxy, tmp_path: Path) -> Home:
    found = Home(tmp_path / "home", {"elastic.hosts": proxy.url})
    found.elastic("setup")
    return found


@pytest.fixture
def writer(home: Home) -> TraceWriter:
    return written(home.state / "traces/one", EVENTS, a_segment=1_000)


class Terminal:
    """A command with a terminal of its own, as its controlling one: Ctrl-C is a key here."""

    def __init__(self, pid: int, end: int) -> None:
        self.pid = pid
        self.shown = b""
        self.status: int | None = None
        self._end = end
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._end, 65536):
                self.shown += chunk
        except OSError:
            # How a terminal says that the other end is gone.
            pass

    def press(self, key: bytes) -> None:
        os.write(self._end, key)

    def wait(self) -> int:
        """As subprocess tells it: negative is a signal."""
        wait_until(self._has_ended, "the end of the command", ENDS_IN_S)
        self._reader.join()
        assert self.status is not None
        return os.waitstatus_to_exitcode(self.status)

    def _has_ended(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is not None


@contextmanager
def on_a_terminal(command: list[str], home: Home) -> Iterator[Terminal]:
    pid, end = pty.fork()
    if pid == 0:
        os.execve(command[0], command, environment(home.path))
    terminal = Terminal(pid, end)
    try:
        yield terminal
    finally:
        if terminal.status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(end)


def status(home: Home) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(home.elastic("status", "--json").stdout)
    return found


def test_in_a_pipe_there_is_one_line_or_one_object(proxy: FaultProxy, home: Home, writer: TraceWriter) -> None:
    proxy.then([])
    assert "nothing was shipped yet" in home.elastic("status").stderr
    done = home.elastic("ship", str(writer.path))
    assert done.stdout == ""
    assert SHIPPED.fullmatch(done.stderr)
    again = home.elastic("ship", str(writer.path), "--json")
    told = json.loads(again.stdout)
    assert (again.stderr, told["shipped"], told["seen"], told["rejected"]) == ("", EVENTS, EVENTS, 0)
    (one,) = status(home)["traces"]
    assert (one["name"], one["complete"], one["shipped"], one["ahead"]) == ("one", True, EVENTS, 0)
    line = next(line for line in home.elastic("status").stdout.splitlines() if line.startswith("one"))
    assert re.match(r"one +15\D000 +15\D000 ", line) and line.endswith("complete")


def test_ctrl_c_ends_it_by_the_signal_and_the_next_time_goes_on(
    server: RealServer, proxy: FaultProxy, home: Home, writer: TraceWriter
) -> None:
    ship = home.command("elastic", "ship", str(writer.path))
    with on_a_terminal(ship, home) as terminal:
        wait_until(lambda: proxy.bulks >= 3, "some batches", ENDS_IN_S)
        terminal.press(CTRL_C)
        assert terminal.wait() == -signal.SIGINT, terminal.shown
    assert b"Traceback" not in terminal.shown and has_its_cursor(terminal)
    found = status(home)
    (one,) = found["traces"]
    assert not found["running"] and not one["complete"] and one["ahead"] > 0
    assert one["shipped"] <= len(held(server)) < EVENTS
    with on_a_terminal(ship, home) as terminal:
        assert terminal.wait() == 0, terminal.shown
    shown = terminal.shown.decode()
    steps = {int(many) for many in re.findall(rf"(\d+)/{EVENTS}", shown)}
    assert {each for each in steps if 0 < each < EVENTS}, "the bar moves"
    assert "documents/s" in shown and has_its_cursor(terminal)
    assert SHIPPED.fullmatch(shown.rpartition("\x1b[2K")[2].replace("\r\n", "\n"))
    assert held(server) == dict.fromkeys(ids(writer, EVENTS), 1)


def has_its_cursor(terminal: Terminal) -> bool:
    """The bar hides it; a terminal that is left without one stays so."""
    return terminal.shown.rfind(SHOWS_CURSOR) > terminal.shown.rfind(HIDES_CURSOR) >= 0


@pytest.mark.slow  # As Ctrl-C, by another way.
def test_a_signal_from_elsewhere_ends_it_the_same_way(home: Home, writer: TraceWriter, proxy: FaultProxy) -> None:
    process = subprocess.Popen(
        home.command("elastic", "ship", str(writer.path)), env=environment(home.path), stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: proxy.bulks >= 2, "a batch", ENDS_IN_S)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=ENDS_IN_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, said) == (-signal.SIGINT, "")
