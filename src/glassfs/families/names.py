"""What a database server said its files are, kept beside the traces: one JSON file a server.

Knows the file, not the server that was asked.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from glassfs import places
from glassfs.errors import EnvironmentProblem

_FOLDER = "names"


class Relation(Struct, frozen=True):
    """`path`: of the main fork's first segment, escaped as in a trace. `name`: database.schema.name."""

    path: str
    family: str
    name: str


class Known(Struct, frozen=True):
    """`server`: what tells it from others (PostgreSQL's system identifier). `asked_ns`: since 1970."""

    server: str
    asked_ns: int
    relations: list[Relation]


def save(known: Known) -> Path:
    """Replaces what was known of this server."""
    folder = places.state_directories()[0].parent / _FOLDER
    target = folder / f"{known.server}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, part = tempfile.mkstemp(dir=folder, prefix=".tmp-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(known))
            os.replace(part, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise
    except OSError as problem:
        raise EnvironmentProblem(f"cannot keep the names ({problem.strerror})", where=str(target)) from problem
    return target


def load_all() -> dict[str, Relation]:
    """By path; where two servers name a file, the one asked last is right."""
    found = sorted(_all_known(), key=lambda known: known.asked_ns)
    return {relation.path: relation for known in found for relation in known.relations}


def _all_known() -> Iterable[Known]:
    for directory in places.state_directories():
        for path in sorted((directory.parent / _FOLDER).glob("[!.]*.json")):
            yield _read(path)


def _read(path: Path) -> Known:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Known)
    except OSError as problem:
        raise EnvironmentProblem(f"cannot read the names ({problem.strerror})", where=str(path)) from problem
    except msgspec.DecodeError as problem:
        raise EnvironmentProblem(
            f"the names are damaged ({problem})", where=str(path), next_step="Remove the file and ask the server again."
        ) from problem
