"""Segments of the `system` table: Parquet files, written whole and merged. Of the sampler only this file knows DuckDB;
what a segment is called and when it counts is `writer`'s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from glassfs.about import SCHEMA_MAJOR
from glassfs.errors import EnvironmentProblem
from glassfs.query.schema import COLUMNS

# Merging reads some megabytes at most (see `writer`); the sampler must stay small beside what it watches.
MEMORY_LIMIT = "256 MiB"

_UNNESTED = ", ".join(f'unnest(?::{kind}[]) as "{name}"' for name, kind in COLUMNS["system"].items())


class Row(NamedTuple):
    """In the table's order. `document` is JSON."""

    stream: int
    seq: int
    ts_ns: int
    dataset: str
    instance: str | None
    document: str


class Segments:
    """Of one trace, whose id stands in every file. Raises EnvironmentProblem where a file cannot be written or read."""

    def __init__(self, trace_id: str) -> None:
        self._trace_id = trace_id
        self._connection = duckdb.connect(":memory:")
        self._connection.execute(f"set threads = 1; set memory_limit = '{MEMORY_LIMIT}'; set temp_directory = ''")

    def close(self) -> None:
        self._connection.close()

    def write(self, rows: Sequence[Row], file: Path) -> None:
        self._copy(f"select {_UNNESTED}", [list(column) for column in zip(*rows, strict=True)], file)

    def merge(self, parts: Sequence[Path], file: Path) -> None:
        self._copy("select * from read_parquet(?) order by stream, seq", [[_escaped(part) for part in parts]], file)

    def _copy(self, select: str, values: Sequence[Any], file: Path) -> None:
        # A file of exactly this name: DuckDB reads no pattern into the name of a file that it writes.
        target = str(file).replace("'", "''")
        form = f"format parquet, compression zstd, kv_metadata {self._metadata()}"
        try:
            self._connection.execute(f"copy ({select}) to '{target}' ({form})", values)
        except duckdb.Error as problem:
            raise EnvironmentProblem(
                f"cannot write the machine's figures ({str(problem).strip().partition(chr(10))[0]})",
                where=str(file.parent),
                next_step="Is the disk full? The sampler begins again by itself.",
            ) from problem

    def _metadata(self) -> str:
        clocks = {
            "mono_ns": time.monotonic_ns(),
            "boot_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            "wall_ns": time.time_ns(),
        }
        fields = {
            "glassfs.schema": f"{SCHEMA_MAJOR}.0",
            "glassfs.trace": self._trace_id,
            "glassfs.clocks": json.dumps(clocks),
        }
        return "{" + ", ".join(f"'{name}': '{text}'" for name, text in fields.items()) + "}"


def _escaped(path: Path) -> str:
    """In a list of files to read, these begin a pattern; a folder may be called so."""
    return "".join(f"[{each}]" if each in "[*?" else each for each in str(path))
