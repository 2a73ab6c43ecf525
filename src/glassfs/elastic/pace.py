"""How fast documents are answered for: now, and the most the server was seen to take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

# Seconds over which "now" is averaged, and the least of them that a rate is believed for.
SPAN_S = 10.0
LEAST_S = 2.0


class Pace:
    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._done: deque[tuple[float, int]] = deque([(clock_s(), 0)])
        self._sum = 0
        self.most_per_s = 0.0

    def done(self, documents: int) -> None:
        if documents:
            self._sum += documents
            self._done.append((self._clock_s(), documents))

    def now_per_s(self) -> float:
        """Documents a second in the last SPAN_S."""
        now_s = self._clock_s()
        while len(self._done) > 1 and self._done[1][0] < now_s - SPAN_S:
            self._done.popleft()
        since_s = max(self._done[0][0], now_s - SPAN_S)
        return sum(many for at, many in self._done if at > since_s) / max(now_s - since_s, LEAST_S)

    def saw_backlog(self) -> None:
        """While more waits than is sent, what is answered is what the server can hold."""
        self.most_per_s = max(self.most_per_s, self.now_per_s())
