"""What systemd is told: sd_notify's protocol, a datagram to the socket it names. Knows nothing else of systemd.

Without NOTIFY_SOCKET nothing is sent. The protocol: sd_notify(3).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract address.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environ)

    def send(self, **words: str | int) -> None:
        """Such as READY=1. What nobody hears is not repeated: it must not stop the service."""
        if not self._address:
            return
        # A newline would begin the next word.
        text = "\n".join(f"{name}={str(value).replace(chr(10), ' ')}" for name, value in words.items())
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto(text.encode(), self._address)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """How long the manager waits for a sign of life; None if it does not, or not for one of this process."""
    microseconds, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 1e6
