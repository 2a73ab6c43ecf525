"""What a lane hands to the senders, and how it comes back: a body, what it stands for, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from glassfs.elastic.bulk import Sent
from glassfs.elastic.cursor import Counts


@dataclass
class Work:
    """`body`: pairs of lines, empty if there is nothing to send. `counts`: what is known without a server. `stream`,
    `last`: the rows up to there are done when this and all before it is; None for what has no rows. `to_ns`: when
    the newest of them began."""

    body: bytes = b""
    documents: int = 0
    counts: Counts = field(default_factory=Counts)
    stream: int | None = None
    last: int = -1
    to_ns: int = 0
    expired: Callable[[bytes], bool] = lambda _line: False
    sent: Sent | None = None

    @property
    def is_done(self) -> bool:
        return self.sent is not None or not self.body
