"""Moments as the documents have them."""

from __future__ import annotations

from datetime import UTC, datetime

_NS_PER_S = 1_000_000_000


def rfc3339(ns: int) -> str:
    """UTC, nine decimals."""
    seconds, rest = divmod(ns, _NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
