"""Questions to a trace and their answers: the only place with SQL. Draws nothing and prints nothing."""

from __future__ import annotations

from glassfs.query.answers import Summary
from glassfs.query.events import Event
from glassfs.query.reader import EVERYTHING, Reader

__all__ = ["EVERYTHING", "Event", "Reader", "Summary"]
