"""Runs questions in a thread of their own, so that Ctrl-C and a time limit end them at once. Knows no database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar, cast

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
        self._refuse_when_over()
        question = Question(ask)
        threading.Thread(target=question.answer, name="glassfs-query", daemon=True).start()
        try:
            while not question.answered.wait(WAKE_S):
                self._refuse_when_over()
        except BaseException:
            self._interrupt()
            question.answered.wait(INTERRUPT_GRACE_S)
            raise
        return question.outcome()

    def _refuse_when_over(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise QueryTimeout(f"the query was stopped after {self._timeout_s:g} s, its time limit")


class Question(Generic[Result]):
    """A question on its way. Waited for by an event: Thread.join, interrupted by Ctrl-C, takes a running thread for
    one that has ended (CPython 3.11)."""

    def __init__(self, ask: Callable[[], Result]) -> None:
        self._ask = ask
        self._result: Result | None = None
        self._problem: BaseException | None = None
        self.answered = threading.Event()

    def answer(self) -> None:
        try:
            self._result = self._ask()
        except BaseException as problem:
            # For the waiting thread, which raises it.
            self._problem = problem
        self.answered.set()

    def outcome(self) -> Result:
        if self._problem is not None:
            raise self._problem
        return cast(Result, self._result)
