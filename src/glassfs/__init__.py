"""glassfs: see, call by call, what a program does to its files. This is the reading half's public face.

import glassfs
trace = glassfs.open("@last")
trace.summary()
trace.sql("select path, count(*) from events group by path order by 2 desc limit 10")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassfs.errors import GlassfsError
    from glassfs.filters import Filter
    from glassfs.query import Reader

__version__ = "0.1.0"

__all__ = ["Filter", "GlassfsError", "Reader", "__version__", "open"]

# Imported when asked for: `glassfs version` must not wait for a database.
_HOMES = {"Filter": "glassfs.filters", "GlassfsError": "glassfs.errors", "Reader": "glassfs.query"}


def open(name: str = "@last") -> Reader:
    """The trace that `name` names (`@last`, a name, an id, a path), ready to be asked."""
    from glassfs import places
    from glassfs.query import Reader

    return Reader(places.find(name))


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
