"""Keeps one part running: a thread of its own, and a new try after each failure. Knows nothing of what the part does.

starting --runs--> up --fails--> down --pause--> starting ...        (stop ends it from anywhere)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

# Seconds before a failed part is tried again: doubled each time.
PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 60.0

# Seconds. A part that has run so long is up; its next failure begins with the first pause again.
UP_AFTER_S = 3.0

# Seconds between two looks at a part's figures.
LOOK_S = 1.0

Figures = Mapping[str, int | float | str]


class Part(Protocol):
    """`run` returns within 1 s after `stop` is set, and raises when it cannot go on. `status` is cheap; in it,
    "problem" is what the part waits for, "warnings" what it has to say besides, a line each."""

    def run(self, stop: threading.Event) -> None: ...

    def status(self) -> Figures: ...


@dataclass(frozen=True)
class Plan:
    """A part to be; it is made anew for each try, so that nothing broken is taken along."""

    name: str
    make: Callable[[], Part]


@dataclass(frozen=True)
class Said:
    """What a person should know, once. `event`: down, up, ended; waiting, going on, warned: as the part says itself."""

    event: str
    part: str
    error: BaseException | None = None
    retry_s: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class State:
    """`word`: starting, up, down or ended. `retry_s`: until the next try, when down. `figures`: as last heard."""

    name: str
    word: str
    retry_s: float = 0.0
    figures: Figures = field(default_factory=dict)


class Keeper:
    def __init__(self, plan: Plan, stop: threading.Event, say: Callable[[Said], None]) -> None:
        self.name = plan.name
        self._plan = plan
        self._stop = stop
        self._say = say
        self._part: Part | None = None
        self._began_s = 0.0
        self._retry_at_s = 0.0
        self._word = "starting"
        self._told: str | None = None
        self._moves = threading.Lock()
        self._figures: Figures = {}
        self._problem = ""
        self._warnings: list[str] = []
        # Daemons: one that hangs must not keep the process.
        self._runner = threading.Thread(target=self._keep, name=self.name, daemon=True)
        self._looker = threading.Thread(target=self._look, name=f"{self.name} figures", daemon=True)

    def start(self) -> None:
        self._runner.start()
        self._looker.start()

    def join(self, timeout_s: float) -> bool:
        """Whether it has come to its end within this time."""
        self._runner.join(timeout_s)
        return not self._runner.is_alive()

    def state(self) -> State:
        return State(self.name, self._word, max(0.0, self._retry_at_s - time.monotonic()), self._figures)

    def _keep(self) -> None:
        pause_s = PAUSE_FIRST_S
        while not self._stop.is_set():
            error = self._try()
            if self._stop.is_set():
                break
            if time.monotonic() - self._began_s >= UP_AFTER_S:
                pause_s = PAUSE_FIRST_S
            self._fall(error, pause_s)
            self._stop.wait(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)
        self._word = "ended"

    def _try(self) -> BaseException | None:
        with self._moves:
            self._began_s = time.monotonic()
            self._word = "starting"
        try:
            self._part = self._plan.make()
            self._part.run(self._stop)
        except BaseException as error:  # A part that calls sys.exit fails alone, too.
            if self._stop.is_set():
                self._say(Said("ended", self.name, error))
            return error
        finally:
            self._part = None
        return None

    def _fall(self, error: BaseException | None, pause_s: float) -> None:
        told = f"{type(error).__name__}: {error}"
        with self._moves:
            self._retry_at_s = time.monotonic() + pause_s
            self._word = "down"
            # The same words again are no news.
            is_news, self._told = told != self._told, told
        if is_news:
            self._say(Said("down", self.name, error, pause_s))

    def _look(self) -> None:
        """In a thread of its own: a status that hangs must not stop the others', nor the service."""
        while not self._stop.wait(LOOK_S):
            part = self._part
            if part is None:
                continue
            self._rise()
            try:
                figures = dict(part.status())
            except Exception:
                # A part that cannot say how it is will fail by itself, or go on; either shows.
                figures = {}
            self._tell_warnings(str(figures.pop("warnings", "")))
            self._figures = figures
            self._tell_problem(str(figures.get("problem", "")))

    def _tell_warnings(self, lines: str) -> None:
        warnings = lines.splitlines()
        for warning in warnings:
            if warning not in self._warnings:
                self._say(Said("warned", self.name, problem=warning))
        self._warnings = warnings

    def _tell_problem(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._say(Said("waiting" if problem else "going on", self.name, problem=problem))

    def _rise(self) -> None:
        with self._moves:
            if self._word != "starting" or time.monotonic() - self._began_s < UP_AFTER_S:
                return
            self._word = "up"
            was_down, self._told = self._told is not None, None
        if was_down:
            self._say(Said("up", self.name))
