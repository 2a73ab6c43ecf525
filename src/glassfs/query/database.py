"""DuckDB over one trace: its tables as views, closed to everything else. The one file that knows the library.

A `Database` is a snapshot of the live set. What cannot be read is left out, counted and said, never passed over.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from glassfs.errors import DamagedTrace, EnvironmentProblem
from glassfs.query.limited import Limited
from glassfs.query.machine import Machine
from glassfs.query.schema import COLUMNS
from glassfs.trace import IS_MISSING, TABLES, Damage, Manifest, Segment, Trace

if TYPE_CHECKING:
    import duckdb

Result = TypeVar("Result")

# A live trace's segments may be merged away between reading the manifest and opening them; each try reads it anew.
SNAPSHOT_TRIES = 5

# Rows fetched from DuckDB at a time: enough to be fast, few enough to be stopped at once.
FETCH_ROWS = 2_000

# What one question may take, and never more than half of the machine's: the program under observation lives there too.
MEMORY_LIMIT_BYTES = 4 << 30

# DuckDB's lists of files know these; a folder may be called so.
_GLOB_CHARACTERS = "[*?"


class SegmentsGone(Exception):
    """Of the segments asked for by name some are not there: merged away, or removed by retention."""

    def __init__(self, damages: list[Damage]) -> None:
        super().__init__(str(damages[0]))
        self.damages = damages


class Database:
    """`tables`: those that will be asked. `only`: of the events just these segments, and nothing else; then one that is
    gone is the caller's affair. `thorough`: compare all checksums. `machine`: also the machine's own figures of the
    trace's time, which lie elsewhere."""

    def __init__(
        self,
        trace: Trace,
        *,
        tables: Sequence[str] = TABLES,
        only: Sequence[Segment] | None = None,
        thorough: bool = False,
        machine: bool = False,
        timeout_s: float | None = None,
    ) -> None:
        self.trace = trace
        self.limited = Limited(self._interrupt, timeout_s)
        self.manifest = Manifest()
        self.damages: list[Damage] = []
        self._tables = tables
        self._only = only
        self._thorough = thorough
        self._unreadable: dict[str, Damage] = {}
        self._good: dict[str, list[Segment]] = {table: [] for table in TABLES}
        self.machine = Machine(trace) if machine else None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._running: duckdb.DuckDBPyConnection | None = None
        self._take_snapshot()

    def _take_snapshot(self) -> None:
        """Again, where a live trace's segments were merged away between reading the manifest and looking for them."""
        for _ in range(SNAPSHOT_TRIES):
            self.manifest = self.trace.manifest()
            self.damages = []
            self._check_all()
            missing = [damage for damage in self.damages if damage.is_missing]
            if missing and self._only is not None:
                raise SegmentsGone(missing)
            if not missing or not self.is_stale():
                break
        try:
            self._connect()
        except duckdb_module().Error as problem:
            # A view is not made over a file whose end cannot be read.
            if not self.leave_out_unreadable():
                raise self._blame_trace(problem) from problem

    def _check_all(self) -> None:
        if self._only is not None:
            self._check("events", self._only)
            return
        # The small tables first, so that they are always compared with their checksums.
        for table in sorted(self._tables, key=lambda name: name == "events"):
            self._check(table, self.manifest.segments(table))

    def _check(self, table: str, segments: Sequence[Segment]) -> None:
        known = [self._unreadable[each.file] for each in segments if each.file in self._unreadable]
        unknown = [each for each in segments if each.file not in self._unreadable]
        good, damaged = self.trace.check(unknown, thorough=self._thorough)
        self._good[table] = good
        self.damages += [*known, *damaged]

    @property
    def warnings(self) -> list[str]:
        elsewhere = self.machine.damages if self.machine else []
        return [*self.manifest.warnings, *map(str, [*self.damages, *elsewhere])]

    def segments(self, table: str) -> list[Segment]:
        return self._good[table]

    def _connect(self) -> None:
        self.close()
        connection = duckdb_module().connect(":memory:")
        readable = [self.trace.segment_path(each) for table in TABLES for each in self._good[table]]
        readable += self.machine.files if self.machine else []
        # DuckDB asks for leave twice where a name has characters of a glob: for the pattern, and for what it finds.
        allowed = dict.fromkeys(name for path in readable for name in (str(path), _escaped(path)))
        connection.execute(f"set allowed_paths = {_literals(list(allowed))}")
        connection.execute("set temp_directory = ''")
        connection.execute(f"set memory_limit = '{_memory_limit_bytes() // 1024} KiB'")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        for table in TABLES:
            connection.execute(f'create view "{table}" as {self._view(table)}')
        self._connection = connection

    def _view(self, table: str) -> str:
        if table != "system" or self.machine is None or self._good[table]:
            return self.source(self._good[table], table)
        until = "" if self.machine.to_ns is None else f" and ts_ns <= {self.machine.to_ns}"
        return f"{_select(self.machine.files, table)} where ts_ns >= {self.machine.from_ns}{until}"

    def source(self, segments: Sequence[Segment], table: str) -> str:
        """A select over these segments of the table; without any, one of its shape and no rows."""
        return _select([self.trace.segment_path(each) for each in segments], table)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """For this project's own questions, in which an error can only mean the trace."""
        return self.surviving(lambda cursor: cursor.execute(sql, values).fetchall(), self._blame_trace)

    def sorted_rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The same without holding them all. `sql` must sort: then all is read before the first row comes, and damage
        shows while the question can still be asked again."""

        def first(cursor: duckdb.DuckDBPyConnection) -> tuple[duckdb.DuckDBPyConnection, list[tuple[Any, ...]]]:
            return cursor, cursor.execute(sql, values).fetchmany(FETCH_ROWS)

        cursor, batch = self.surviving(first, self._blame_trace)
        while batch:
            yield from batch
            batch = cursor.fetchmany(FETCH_ROWS)

    def surviving(
        self, ask: Callable[[duckdb.DuckDBPyConnection], Result], otherwise: Callable[[Exception], Exception]
    ) -> Result:
        """Asks; where a damaged segment prevents an answer, finds it, leaves it out and asks again. `otherwise` makes
        the error to raise where no segment is to blame."""
        duckdb = duckdb_module()
        mistakes = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.PermissionException)
        for _ in range(SNAPSHOT_TRIES):
            try:
                return self.limited.run(lambda: ask(self._cursor()))
            except duckdb.InterruptException as problem:
                raise KeyboardInterrupt from problem
            except duckdb.OutOfMemoryException as problem:
                raise _out_of_memory() from problem
            except mistakes as problem:
                raise otherwise(problem) from problem
            except duckdb.Error as problem:
                if not self.leave_out_unreadable():
                    raise otherwise(problem) from problem
        raise DamagedTrace("the trace changes faster than it can be read", where=str(self.trace.path))

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        assert self._connection is not None
        self._running = self._connection.cursor()
        return self._running

    def _blame_trace(self, problem: Exception) -> Exception:
        return DamagedTrace(f"the trace cannot be read ({_first_line(problem)})", where=str(self.trace.path))

    def leave_out_unreadable(self) -> bool:
        """Reads every segment to find those that cannot be; False if all can and the snapshot is the newest."""
        segments = [each for table in TABLES for each in self._good[table]]
        found = [damage for each in segments if (damage := self.limited.run(partial(self._probe, self.trace, each)))]
        elsewhere = self.machine is not None and self.limited.run(
            partial(self.machine.leave_out_unreadable, self._probe)
        )
        if not found and not elsewhere and not self.is_stale():
            return False
        if self.machine:
            self.machine.take_snapshot()
        self._unreadable |= {damage.segment.file: damage for damage in found if not damage.is_missing}
        self._take_snapshot()
        return True

    def _probe(self, trace: Trace, segment: Segment) -> Damage | None:
        """Reads a segment in full, on a connection of its own, since some damage makes DuckDB give up on one. Each
        column by its name and type: damage may also have renamed one."""
        duckdb = duckdb_module()
        file = trace.segment_path(segment)
        columns = ", ".join(f'max(hash("{name}"::{kind}))' for name, kind in COLUMNS[segment.table].items())
        with duckdb.connect(":memory:") as probe:
            try:
                probe.execute(f"select {columns} from ({_select([file], segment.table)})").fetchall()
            except duckdb.Error as problem:
                if not file.exists():
                    return Damage(segment, IS_MISSING)
                return Damage(segment, f"is damaged ({_first_line(problem)})")
        return None

    def has_machine(self) -> bool:
        """Whether the machine's own figures can be asked for: the sampler merges and throws away while this is open."""
        return self.machine is not None and all(file.exists() for file in self.machine.files)

    def is_stale(self) -> bool:
        """Whether segments have been added or merged away since this snapshot."""
        return self.trace.manifest().offset != self.manifest.offset

    def _interrupt(self) -> None:
        if self._running is not None:
            self._running.interrupt()

    def close(self) -> None:
        if self._connection is not None:
            # A question that was interrupted may still be on its way out; the connection then goes with the process.
            with contextlib.suppress(duckdb_module().Error):
                self._connection.close()
            self._connection = None


def duckdb_module() -> Any:
    """Imported when first asked something: it takes 0.1 s, which `glassfs version` does not have."""
    import duckdb

    return duckdb


def _memory_limit_bytes() -> int:
    return min(MEMORY_LIMIT_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


def _select(files: Sequence[Path], table: str) -> str:
    if files:
        return f"select * from read_parquet({_literals([*map(_escaped, files)])}, hive_partitioning = false)"
    columns = ", ".join(f'null::{kind} as "{name}"' for name, kind in COLUMNS[table].items())
    return f"select * from (select {columns} where false)"


def _literals(texts: Sequence[str]) -> str:
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"


def _escaped(path: Path) -> str:
    return "".join(f"[{each}]" if each in _GLOB_CHARACTERS else each for each in str(path))


def _first_line(problem: Exception) -> str:
    return str(problem).strip().partition("\n")[0]


def _out_of_memory() -> EnvironmentProblem:
    return EnvironmentProblem(
        "this question needs more memory than there is", next_step="Narrow it: --from, --to, --path, or a limit."
    )
