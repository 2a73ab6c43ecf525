"""Sends one batch until the cluster has answered for every document of it. Knows _bulk's answers, no traces.

Every id follows from its row, so sending again is always safe: a document that is there already answers 409, which is
as good as 201. Only what failed goes again; what is refused for what it holds is given back, and never blocks.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from glassfs.elastic import problems
from glassfs.elastic.client import Answer, Client
from glassfs.errors import GlassfsError, ServerUnreachable

# `status` is in every item, so that the answer's items stay in step with the request's.
PARAMS = {"filter_path": "errors,items.*.status,items.*.error"}

# Seconds: the first pause, doubled each time up to the longest, and of each between half and all.
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0

# Requests at a time: what keeps one small node busy, and no more of the shipper's memory than some batches.
MOST_IN_FLIGHT = 4
FIRST_IN_FLIGHT = 2

# Requests that went well in a row, after which one more is tried at a time.
RECOVER_AFTER = 8

# Of a refused document's line in the dead letters.
REASON_CHARS = 2000

# What an item's status means when it is not about the document: the cluster or the key has to change first.
_BLOCKED = (401, 403, 404)


class Stopped(Exception):
    """Before everything was answered."""


@dataclass
class Sent:
    """`blocked_by` was in the way for a while; `retries`: requests beyond the first."""

    created: int = 0
    expired: int = 0
    letters: list[dict[str, Any]] = field(default_factory=list)


class Window:
    """How many requests may be under way: halves when the cluster is overloaded, and recovers one by one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._well = 0
        self.limit = FIRST_IN_FLIGHT

    @contextmanager
    def slot(self, stop: threading.Event) -> Any:
        with self._changed:
            while self._under_way >= self.limit:
                if stop.is_set():
                    raise Stopped
                self._changed.wait(0.1)
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def went_well(self) -> None:
        with self._changed:
            self._well += 1
            if self._well >= RECOVER_AFTER and self.limit < MOST_IN_FLIGHT:
                self._well = 0
                self.limit += 1
                self._changed.notify_all()

    def overloaded(self) -> None:
        with self._changed:
            self._well = 0
            self.limit = max(1, self.limit // 2)


@dataclass
class _Verdict:
    """What of a request's lines has to go again, and why; `overload`: slower."""

    again: list[int] | None = None
    why: GlassfsError | None = None
    overload: bool = False
    halve: bool = False


class Sender:
    """`on_problem` is told what is in the way, and None once it is not. `expired`: which action lines are too old by
    now, asked before a batch goes again."""

    def __init__(
        self,
        client: Client,
        stop: threading.Event,
        *,
        on_problem: Callable[[GlassfsError | None], None] = lambda _problem: None,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        self._client = client
        self._stop = stop
        self._on_problem = on_problem
        self._pause = pause or stop.wait
        self.window = Window()
        self.requests = 0
        self.retried = 0

    def send(self, body: bytes, expired: Callable[[bytes], bool] = lambda _line: False) -> Sent:
        """`body`: pairs of lines. Returns when all are answered for; Stopped if that was not to be."""
        sent = Sent()
        self._send(body, expired, sent)
        return sent

    def _send(self, body: bytes, expired: Callable[[bytes], bool], sent: Sent) -> None:
        tries = 0
        while body:
            if self._stop.is_set():
                raise Stopped
            verdict = self._try(body, sent)
            if verdict.halve:
                self._halves(body, verdict.why, expired, sent)
                return
            if verdict.again is None:
                return
            tries += 1
            self.retried += 1
            if verdict.overload:
                self.window.overloaded()
            self._on_problem(verdict.why)
            longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(tries, 10))
            self._pause(longest_s * random.uniform(0.5, 1.0))
            body = _still_wanted(body, verdict.again, expired, sent)

    def _try(self, body: bytes, sent: Sent) -> _Verdict:
        """One request."""
        with self.window.slot(self._stop):
            self.requests += 1
            try:
                answer = self._client.request("POST", "/_bulk", body=body, params=PARAMS, gzip=True)
            except ServerUnreachable as problem:
                return _Verdict([], problem)
        verdict = _judged(answer, body, sent)
        if verdict.again is None and not verdict.halve:
            self.window.went_well()
            self._on_problem(None)
        return verdict

    def _halves(self, body: bytes, why: GlassfsError | None, expired: Callable[[bytes], bool], sent: Sent) -> None:
        """A request refused as a whole, for its size or for one of its lines."""
        lines = _lines(body)
        if len(lines) == 2:
            sent.letters.append(_letter(lines[0], lines[1], 0, {"reason": str(why)}))
            return
        middle = len(lines) // 4 * 2
        for part in (lines[:middle], lines[middle:]):
            self._send(b"\n".join(part) + b"\n", expired, sent)


def _judged(answer: Answer, body: bytes, sent: Sent) -> _Verdict:
    if not answer.ok:
        why = problems.explain(answer, "shipping documents")
        if answer.status in (400, 413):
            return _Verdict(why=why, halve=True)
        return _Verdict([], why, overload=answer.status == 429 or answer.status >= 500)
    document = answer.document
    count = body.count(b"\n") // 2
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list) or len(items) != count or not isinstance(document.get("errors"), bool):
        # Half an answer says nothing of the other half.
        return _Verdict([], ServerUnreachable("the answer was cut off", where=answer.host))
    if not document["errors"]:
        sent.created += count
        return _Verdict()
    return _items_judged(answer, items, body, sent)


def _items_judged(answer: Answer, items: list[Any], body: bytes, sent: Sent) -> _Verdict:
    lines = _lines(body)
    again: list[int] = []
    verdict = _Verdict()
    for place, item in enumerate(items):
        (result,) = item.values()
        status = result["status"]
        if status < 300 or status == 409:
            sent.created += 1
        elif status == 429 or status >= 500 or status in _BLOCKED:
            again.append(place)
            verdict.overload |= status not in _BLOCKED
            verdict.why = verdict.why or problems.explain(
                Answer(status, {"error": result.get("error")}, answer.host), "shipping documents"
            )
        else:
            sent.letters.append(_letter(lines[2 * place], lines[2 * place + 1], status, result.get("error")))
    verdict.again = again or None
    return verdict


def _still_wanted(body: bytes, again: list[int], expired: Callable[[bytes], bool], sent: Sent) -> bytes:
    """The lines to send again: those of `again`, or all if it is empty; less what has become too old meanwhile."""
    lines = _lines(body)
    places = again or range(len(lines) // 2)
    kept: list[bytes] = []
    for place in places:
        if expired(lines[2 * place]):
            sent.expired += 1
        else:
            kept += lines[2 * place : 2 * place + 2]
    return b"\n".join(kept) + b"\n" if kept else b""


def _lines(body: bytes) -> list[bytes]:
    return body.split(b"\n")[:-1]


def _letter(action: bytes, document: bytes, status: int, error: Any) -> dict[str, Any]:
    """A line of the dead letters."""
    kind, reason = problems.cause(Answer(status, {"error": error}))
    return {
        "refused_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "status": status,
        "error": {"type": kind, "reason": reason[:REASON_CHARS]},
        "action": _loaded(action),
        "document": _loaded(document),
    }


def _loaded(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return line.decode(errors="backslashreplace")
