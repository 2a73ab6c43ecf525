"""What a path means to somebody who runs a database: WAL, heap, SST ... Rules are data, and users add their own."""

from __future__ import annotations

from glassfs.families.families import NONE, Families, Found, load

__all__ = ["NONE", "Families", "Found", "load"]
