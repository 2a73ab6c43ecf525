"""Hashes in the place of names: each component of a path by itself, so that what lies in one folder stays together.

BLAKE2b with the user's key, 8 bytes as 16 hex digits: the same name always gives the same hash, and without the key
none can be guessed. Nothing of a name stays, nor its extension; names of programs and threads are hashed too, since a
program may be a file of the traced folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

from glassfs.escaping import unescape

DIGEST_BYTES = 8

# BLAKE2b takes keys of this many bytes; a longer one is hashed first.
KEY_MAX_BYTES = 64

# Components whose hashes are remembered.
REMEMBERED = 65_536


class Hasher:
    def __init__(self, key: bytes) -> None:
        self._key = key if len(key) <= KEY_MAX_BYTES else blake2b(key).digest()
        self._component = lru_cache(REMEMBERED)(self._hashed)

    def _hashed(self, component: str) -> str:
        return blake2b(unescape(component), key=self._key, digest_size=DIGEST_BYTES).hexdigest()

    def path(self, path: str) -> str:
        """Of a name as a trace has it, escaped. Slashes stay; so do `.` and `..`."""
        return "/".join(part if part in ("", ".", "..") else self._component(part) for part in path.split("/"))

    def paths(self, paths: Iterable[str]) -> dict[str, str]:
        return {path: self.path(path) for path in paths}
