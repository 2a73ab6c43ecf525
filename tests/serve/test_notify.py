"""What systemd hears, on a socket as systemd makes it."""

from __future__ import annotations

import os
import signal
import socket
import threading

import pytest

from glassfs.serve.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """The manager's end: (socket, the address as NOTIFY_SOCKET gives it)."""
    name = f"@glassfs-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind("\0" + name[1:] if name.startswith("@") else name)
        end.settimeout(30)
        yield end, name


def test_ready_status_signs_of_life_and_stopping_are_heard(manager, start):
    end, name = manager
    process = start(parts="good,failing", env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"})
    assert end.recv(4096) == b"READY=1"
    heard = [end.recv(4096) for _ in range(8)]
    assert heard.count(b"WATCHDOG=1") >= 5
    statuses = [word for word in heard if word.startswith(b"STATUS=")]
    assert statuses and b"failing down" in statuses[0]
    process.send_signal(signal.SIGTERM)
    while (word := end.recv(4096)) != b"STOPPING=1":
        assert word.startswith((b"WATCHDOG=", b"STATUS="))
    assert process.wait(timeout=20) == 0


def test_a_watchdog_for_another_process_is_not_ours():
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_s is None
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 1.0
    assert Notifier({"WATCHDOG_USEC": "nonsense"}).watchdog_s is None
    assert Notifier({}).watchdog_s is None


def test_a_manager_that_does_not_listen_stops_nobody(tmp_path):
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).send(READY=1)
    full = str(tmp_path / "full")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(full)
        sending = threading.Thread(target=lambda: [Notifier({"NOTIFY_SOCKET": full}).send(N=n) for n in range(5000)])
        sending.start()
        sending.join(30)
        assert not sending.is_alive()


def test_a_newline_does_not_begin_another_word(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(path)
        Notifier({"NOTIFY_SOCKET": path}).send(STATUS="one\nWATCHDOG=1")
        assert end.recv(4096) == b"STATUS=one WATCHDOG=1"
