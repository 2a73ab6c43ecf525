"""The loop of `glassfs serve`: starts the parts, gives signs of life, and ends all of them in time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glassfs.serve.keeper import Keeper, Plan, Said, State
from glassfs.serve.notify import Notifier

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

# Seconds from one status to the next.
TICK_S = 1.0

# Seconds that parts have to end (they promise 1); with what is around it the process ends within 2.
GRACE_S = 1.5


@dataclass(frozen=True)
class Voice:
    """Where words go: `say` from any thread, `status` each second, `summary` is the status in one line."""

    say: Callable[[Said], None]
    status: Callable[[Sequence[State]], None]
    summary: Callable[[Sequence[State]], str]


def hold_signals() -> None:
    """Signals wait until the loop asks for them: a handler would run in the middle of anything. Threads inherit this,
    so it comes first."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    # A server that closes its connection is an error to be handled, no end of the process.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def serve(plans: Sequence[Plan], voice: Voice, notifier: Notifier) -> list[str]:
    """Runs the parts until a signal comes; `hold_signals` was called. Returns the names of parts that did not end."""
    stop = threading.Event()
    keepers = [Keeper(plan, stop, voice.say) for plan in plans]
    for keeper in keepers:
        keeper.start()
    notifier.send(READY=1)
    _until_signal(keepers, voice, notifier)
    notifier.send(STOPPING=1)
    stop.set()
    deadline_s = time.monotonic() + GRACE_S
    return [keeper.name for keeper in keepers if not keeper.join(max(0.0, deadline_s - time.monotonic()))]


def _until_signal(keepers: Sequence[Keeper], voice: Voice, notifier: Notifier) -> None:
    # Twice in the time the manager waits, as sd_watchdog_enabled(3) recommends.
    pause_s = min(TICK_S, notifier.watchdog_s / 2) if notifier.watchdog_s else TICK_S
    told = ""
    while signal.sigtimedwait(STOP_SIGNALS, pause_s) is None:
        states = [keeper.state() for keeper in keepers]
        voice.status(states)
        if notifier.watchdog_s:
            notifier.send(WATCHDOG=1)
        if (summary := voice.summary(states)) != told:
            notifier.send(STATUS=summary)
            told = summary
