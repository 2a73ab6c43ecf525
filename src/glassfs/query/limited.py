"""Runs questions in a thread of their own, so that Ctrl-C and a time limit end them at once. Knows no database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from glassfs.errors import QueryTimeout

Result = TypeVar("Result")

# How often the waiting thread looks for Ctrl-C and the time.
WAKE_S = 0.05

# How long an interrupted question may take to notice; then it is left behind.
INTERRUPT_GRACE_S = 0.8


class Limited:
    """One time limit over all questions asked through it. `interrupt` ends the one that runs."""

    def __init__(self, interrupt: Callable[[], None], timeout_s: float | None = None) -> None:
        self._interrupt = interrupt
        self._timeout_s = timeout_s
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s

    def run(self, ask: Callable[[], Result]) -> Result:
        outcome: list[tuple[bool, Any]] = []
        thread = threading.Thread(target=_keep_outcome, args=(ask, outcome), name="glassfs-query", daemon=True)
        thread.start()
        try:
            self._wait(thread)
        except BaseException:
            self._interrupt()
            thread.join(INTERRUPT_GRACE_S)
            raise
        returned, value = outcome[0]
        if not returned:
            raise value
        answer: Result = value
        return answer

    def _wait(self, thread: threading.Thread) -> None:
        while True:
            thread.join(WAKE_S)
            if not thread.is_alive():
                return
            if self._deadline is not None and time.monotonic() >= self._deadline:
                raise QueryTimeout(f"the query was stopped after {self._timeout_s:g} s, its time limit")


def _keep_outcome(ask: Callable[[], Any], outcome: list[tuple[bool, Any]]) -> None:
    try:
        outcome.append((True, ask()))
    except BaseException as problem:
        outcome.append((False, problem))
