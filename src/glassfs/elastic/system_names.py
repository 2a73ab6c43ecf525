"""Real names in the sampler's documents, and what stands there with `hash_paths`. Knows Metricbeat's fields."""

from __future__ import annotations

from typing import Any

import orjson

from glassfs.elastic.hashing import Hasher

# Names of programs, folders and devices' mounts, hashed; what cannot be taken apart into paths is left out.
HASHED = (
    ("process", "name"),
    ("process", "executable"),
    ("process", "working_directory"),
    ("system", "filesystem", "mount_point"),
)
LEFT_OUT = (
    ("process", "command_line"),
    ("process", "args"),
    ("system", "process", "cmdline"),
    ("system", "process", "cgroup"),
    ("system", "filesystem", "options"),
)


def hidden_documents(text: str, hasher: Hasher) -> str:
    """Of a bulk request's text: every second line is a document."""
    lines = text.split("\n")
    for place in range(1, len(lines), 2):
        document = orjson.loads(lines[place])
        for path in HASHED:
            _change(document, path, lambda name: hasher.path(name) if isinstance(name, str) else None)
        for path in LEFT_OUT:
            _change(document, path, lambda _name: None)
        lines[place] = orjson.dumps(document).decode()
    return "\n".join(lines)


def _change(document: Any, path: tuple[str, ...], change: Any) -> None:
    *parents, last = path
    for parent in parents:
        document = document.get(parent)
        if not isinstance(document, dict):
            return
    if last in document:
        changed = change(document.pop(last))
        if changed is not None:
            document[last] = changed
