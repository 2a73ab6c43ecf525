"""Waiting for a condition with a deadline: tests never sleep for a fixed time and hope."""

import time
from collections.abc import Callable

# How often a condition is looked at: short enough not to slow a test, long enough not to busy a core.
LOOK_EVERY_S = 0.02


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = 20.0) -> object:
    """The condition's first true value; fails with `what` after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s} s for {what}")
        time.sleep(LOOK_EVERY_S)
