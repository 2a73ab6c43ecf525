"""What `glassfs serve` says on stderr: lines and a status line on a terminal, JSON lines elsewhere.

The JSON lines follow ECS: docs/how-to/many-machines.md lists their fields.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

from glassfs import __version__
from glassfs.cli import failures
from glassfs.cli.screen import shown, width_of
from glassfs.elastic.fields import ECS_VERSION
from glassfs.errors import GlassfsError
from glassfs.report.numbers import count
from glassfs.report.text import ELLIPSIS
from glassfs.serve.keeper import Figures, Said, State

# Seconds between two lines with the figures of all parts, where there is no terminal.
FIGURES_EVERY_S = 60

CLEAR_LINE = "\r\x1b[K"

LEVELS = {"down": "error", "ended": "error", "waiting": "warn", "warned": "warn"}


class Log(Protocol):
    def note(self, event: str, message: str, *, level: str = "info", fields: Mapping[str, Any] = {}) -> None: ...
    def say(self, said: Said) -> None: ...
    def status(self, states: Sequence[State]) -> None: ...
    def close(self) -> None: ...


def log_on(stream: TextIO) -> Log:
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    return JsonLines(stream) if dumb or not stream.isatty() else Screen(stream)


def words(said: Said) -> tuple[str, str | None]:
    """What happened, and the next step."""
    if said.event == "up":
        return f"{said.part} is up again", None
    if said.event == "going on":
        return f"{said.part} goes on", None
    if said.event == "warned":
        return f"{said.part}: {said.problem}", None
    if said.event == "waiting":
        what, _, next_step = said.problem.partition("\n")
        return f"{said.part} waits: {what}", next_step.strip() or None
    happened = f"{said.part} is down" if said.event == "down" else f"{said.part} ended with an error"
    again = f"It is tried again in {said.retry_s:g} s, then less often." if said.retry_s is not None else None
    if isinstance(said.error, GlassfsError):
        error = said.error
        what = f"{error.what}: {error.where}" if error.where else error.what
        return f"{happened}: {what}", " ".join(filter(None, [error.next_step, again]))
    if said.error is None:
        return f"{happened}: it ended by itself, a bug in glassfs", again
    what = shown(f"{type(said.error).__name__}: {said.error}".strip().rstrip(":"))
    details = failures.written("".join(traceback.format_exception(said.error)))
    return f"{happened}: this is a bug in glassfs ({what}); {details}", again


class JsonLines:
    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._clock = clock
        self._figures_at_s = clock() + FIGURES_EVERY_S

    def note(self, event: str, message: str, *, level: str = "info", fields: Mapping[str, Any] = {}) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"@timestamp": now, "log.level": level, "message": message, "ecs.version": ECS_VERSION}
        line |= {"service.name": "glassfs", "service.version": __version__, "event.action": event}
        self._write(json.dumps({**line, **fields}))

    def say(self, said: Said) -> None:
        message, next_step = words(said)
        fields = {"glassfs.part": said.part} | ({"glassfs.next_step": next_step} if next_step else {})
        self.note(said.event, message, level=LEVELS.get(said.event, "info"), fields=fields)

    def status(self, states: Sequence[State]) -> None:
        if self._clock() >= self._figures_at_s:
            self._figures_at_s = self._clock() + FIGURES_EVERY_S
            parts = {state.name: {"state": state.word, **state.figures} for state in states}
            self.note("status", summary(states), fields={"glassfs.parts": parts})

    def close(self) -> None:
        pass

    def _write(self, line: str) -> None:
        # Who reads on no longer hears; the service goes on.
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(line + "\n")
            self._stream.flush()


class Screen:
    """Lines, and below them one that is drawn anew each second."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._began_s = time.monotonic()
        self._line = ""

    def note(self, event: str, message: str, *, level: str = "info", fields: Mapping[str, Any] = {}) -> None:
        self._write(f"{CLEAR_LINE}{datetime.now():%H:%M:%S} {shown(message)}\n{self._line}")

    def say(self, said: Said) -> None:
        message, next_step = words(said)
        more = f"\n         {shown(next_step)}" if next_step else ""
        self._write(f"{CLEAR_LINE}{datetime.now():%H:%M:%S} {shown(message)}{more}\n{self._line}")

    def status(self, states: Sequence[State]) -> None:
        seconds = int(time.monotonic() - self._began_s)
        text = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}  {summary(states)}"
        # The last column stays free: some terminals begin a new line once it is written.
        width = width_of(self._stream) - 1
        self._line = text if len(text) <= width else text[: width - 1] + ELLIPSIS
        self._write(CLEAR_LINE + self._line)

    def close(self) -> None:
        self._line = ""
        self._write(CLEAR_LINE)

    def _write(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


def summary(states: Sequence[State]) -> str:
    """`sampler: 14 samples | shipper down, next try in 12 s`."""
    return " | ".join(map(_summed_up, states))


def _summed_up(state: State) -> str:
    if state.word == "down":
        return f"{state.name} down, next try in {state.retry_s:.0f} s"
    figures = _in_words(state.name, state.figures)
    return f"{state.name}: {figures}" if figures else f"{state.name} {state.word}"


def _in_words(part: str, figures: Figures) -> str:
    if part in IN_WORDS:
        return IN_WORDS[part](figures)
    return ", ".join(f"{name} {_number(value)}" for name, value in figures.items())


def _sampler(figures: Mapping[str, Any]) -> str:
    many = figures.get("samples", 0)
    skipped = figures.get("skipped", 0)
    return f"{count(many)} sample{'' if many == 1 else 's'}" + (f", {count(skipped)} skipped" if skipped else "")


def _shipper(figures: Mapping[str, Any]) -> str:
    rejected, waiting = figures.get("rejected", 0), figures.get("waiting", 0)
    words = f"{count(figures.get('shipped', 0))} shipped, {figures.get('documents_per_s', 0.0):.0f}/s"
    words += f", {count(rejected)} rejected" if rejected else ""
    if problem := figures.get("problem"):
        return f"{words}, waits: {str(problem).splitlines()[0]}"
    return words + (f", {count(waiting)} waiting, lag {figures.get('lag_s', 0.0):.1f} s" if waiting else "")


IN_WORDS = {"sampler": _sampler, "shipper": _shipper}


def _number(value: float | str) -> str:
    if isinstance(value, int):
        return count(value)
    return f"{value:.3g}" if isinstance(value, float) else value
