"""A trace's rows as lines for a bulk request, a range of seq at a time; each event with what its process was then.

Knows segments and SQL, not where the lines go. One connection for as long as a trace is followed: opening one takes
50 ms, and a live trace has news twice a second.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glassfs.errors import DamagedTrace
from glassfs.query.database import SegmentsGone, duckdb_module
from glassfs.query.json_lines import Shape, Verbatim, WordTable, expression
from glassfs.query.schema import COLUMNS
from glassfs.trace import IS_MISSING, Damage, Segment, Trace

# Megabytes that DuckDB may take: a slice's text twice over, and the columns it is made from.
MEMORY_LIMIT_MB = 120

# DuckDB keeps some 25 kB of each question until its connection is closed (measured with 2.0).
QUESTIONS_A_CONNECTION = 50

# Up to so many rows of `processes` all are looked at for each slice; of more, only those of the slice's pids.
FEW_PROCESSES = 2_000

# Of Fibonacci hashing: what seq is multiplied with, so that one in n are spread evenly and keep no program's rhythm.
_GOLDEN_32 = 2_654_435_769
_WORD = 1 << 32

# Columns that hold names of files and programs, and of the facts.
_EVENT_NAMES = ("path", "path2", "comm")
_FACT_NAMES = ("process_name", "exe")

_FACTS = f"""
    select pid as fact_pid, case when lag(ts_ns) over so_far is null then 0 else ts_ns end as fact_from_ns,
           coalesce(lead(ts_ns) over so_far, {(1 << 63) - 1}) as fact_to_ns,
           coalesce(last_value(case when pid = tid then comm end ignore nulls) over so_far,
                    first_value(case when pid = tid then comm end ignore nulls) over from_here,
                    nullif(parse_filename(exe, false, 'forward_slash'), '')) as process_name,
           exe, cmdline, ppid
    from {{source}} where {{these}}
    window so_far as (partition by pid order by ts_ns, tid rows between unbounded preceding and current row),
           from_here as (partition by pid order by ts_ns, tid rows between current row and unbounded following)"""


def _hidden(rows: str, columns: Sequence[str]) -> str:
    places = ", ".join(f"of_{name}.mask as {name}" for name in columns)
    joins = " ".join(f"left join hidden of_{name} on these.{name} = of_{name}.name" for name in columns)
    return f"select these.* replace ({places}) from ({rows}) these {joins}"


@dataclass(frozen=True)
class Choice:
    """Which rows become documents: those that began at `from_ns` or later, and pass what else is given."""

    from_ns: int = 0
    min_duration_ns: int | None = None
    only_errors: bool = False
    one_in: int = 1

    def condition(self) -> str:
        parts = [f"ts_ns >= {self.from_ns:d}"] if self.from_ns else []
        if self.min_duration_ns is not None:
            parts.append(f"duration_ns >= {self.min_duration_ns:d}")
        if self.only_errors:
            parts.append("errno <> 0")
        if self.one_in > 1:
            mixed = f"((seq % {_WORD})::ubigint * {_GOLDEN_32}::ubigint) % {_WORD}::ubigint"
            parts.append(f"{mixed} < {_WORD // self.one_in}::ubigint")
        return " and ".join(parts) or "true"


@dataclass(frozen=True)
class Part:
    """What came of the rows with `first` <= seq <= `last` of a stream: `text` holds `documents` times two lines;
    `too_old` began before the choice's `from_ns`."""

    stream: int
    first: int
    last: int
    rows: int
    documents: int
    too_old: int
    from_ns: int
    to_ns: int
    text: str


class DocumentReader:
    """`action` and `document`: the two lines of each row. `hide`: names to what is to stand in their place, asked for
    every path and name of a slice."""

    def __init__(
        self,
        trace: Trace,
        table: str,
        action: Shape,
        document: Shape | Verbatim,
        hide: Callable[[Iterable[str]], Mapping[str, str]] | None = None,
    ) -> None:
        self._trace = trace
        self._table = table
        self._document = expression(document)
        self._line = f"{expression(action).sql} || chr(10) || {self._document.sql} || chr(10)"
        self._hide = hide
        self._connection: Any = None
        self._questions = 0
        self._facts_of: list[str] | None = None
        self._complete: dict[str, bool] = {}

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(duckdb_module().Error):
                self._connection.close()
            self._connection = self._facts_of = None

    def read(
        self,
        segment: Segment,
        processes: Sequence[Segment],
        choice: Choice,
        *,
        stream: int,
        first: int,
        last: int,
        rows_a_part: int,
    ) -> list[Part]:
        """The rows of that range in parts, those without a row left out. SegmentsGone if a file is not there any
        more; DamagedTrace if one cannot be read."""
        self._questions += 1
        if self._questions % QUESTIONS_A_CONNECTION == 0:
            self.close()
        where = f"stream = {stream:d} and seq between {first:d} and {last:d}"
        rows = f"select * from {self._source([segment], self._table)} where {where}"
        if self._table == "events":
            rows = self._with_texts(rows, segment, processes)
        sql = f"""
            select part, count(*), count(line), count(*) filter (ts_ns < {choice.from_ns:d}), min(ts_ns), max(ts_ns),
                   coalesce(list(line) filter (line is not null), [])
            from (select (seq - {first:d}) // {rows_a_part:d} as part, ts_ns,
                         case when {choice.condition()} then {self._line} end as line
                  from ({rows}) {self._word_joins()})
            group by part order by part"""
        found = self._asked(sql, [], [segment])
        parts = []
        for part, rows_there, documents, too_old, from_ns, to_ns, lines in found:
            begins = first + part * rows_a_part
            ends = min(begins + rows_a_part - 1, last)
            parts.append(Part(stream, begins, ends, rows_there, documents, too_old, from_ns, to_ns, "".join(lines)))
        return parts

    def _word_joins(self) -> str:
        return " ".join(f"left join {each.name} on {each.column} = {each.name}.key" for each in self._document.words)

    def _with_texts(self, rows: str, segment: Segment, processes: Sequence[Segment]) -> str:
        """The rows with the texts of their path, and of their process as of `ts_ns`."""
        self._know_facts(rows, segment, processes)
        if self._hide is not None:
            self._know_hidden(_EVENT_NAMES, rows, [segment])
            rows = _hidden(rows, _EVENT_NAMES)
        paths = ", ".join(f"{sql} as {alias}" for alias, sql in self._document.shared.get("paths", {}).items())
        facts = "left join facts on pid = fact_pid and ts_ns >= fact_from_ns and ts_ns < fact_to_ns"
        if not paths:
            return f"select * from ({rows}) {facts}"
        made = f"(select path as path_key, {paths} from (select distinct path from ({rows})))"
        return f"select * from ({rows}) left join {made} on path = path_key {facts}"

    def _know_facts(self, rows: str, segment: Segment, processes: Sequence[Segment]) -> None:
        """Fills the table `facts`: what each pid was from one row of `processes` to the next; what it did before the
        first one was seen is its own, too."""
        many = sum(each.rows for each in processes) > FEW_PROCESSES
        files = [each.file for each in processes]
        if files == self._facts_of and not many:
            return
        these = f"pid in (select distinct pid from ({rows}))" if many else "true"
        known = _FACTS.format(source=self._source(processes, "processes"), these=these)
        if self._hide is not None:
            self._know_hidden(_FACT_NAMES, known, [segment, *processes])
            known = _hidden(known, _FACT_NAMES)
        texts = "".join(f", {sql} as {alias}" for alias, sql in self._document.shared.get("facts", {}).items())
        sql = f"create or replace temp table facts as select fact_pid, fact_from_ns, fact_to_ns{texts} from ({known})"
        self._asked(sql, [], [segment, *processes])
        self._facts_of = files

    def _know_hidden(self, columns: Sequence[str], rows: str, segments: Sequence[Segment]) -> None:
        """Fills the table `hidden` with what stands for each of the names."""
        each = " union ".join(f"select {name} from names where {name} is not null" for name in columns)
        names = self._asked(f"with names as (select distinct {', '.join(columns)} from ({rows})) {each}", [], segments)
        hidden = (self._hide or dict)([name for (name,) in names])
        sql = "create or replace temp table hidden as select unnest(?::varchar[]) as name, unnest(?::varchar[]) as mask"
        self._asked(sql, [list(hidden), list(hidden.values())], [])

    def _source(self, segments: Sequence[Segment], table: str) -> str:
        """Columns that an older recorder did not write are there, and null."""
        known = COLUMNS[table]
        shape = "select " + ", ".join(f'null::{kind} as "{name}"' for name, kind in known.items()) + " where false"
        if not segments:
            return f"({shape})"
        files = ", ".join("'" + self._file(segment).replace("'", "''") + "'" for segment in segments)
        found = f"from read_parquet([{files}], hive_partitioning = false, union_by_name = {len(segments) > 1})"
        if self._has_all(segments, known):
            return f"({found})"
        return f"({shape} union all by name {found})"

    def _has_all(self, segments: Sequence[Segment], known: Mapping[str, str]) -> bool:
        for segment in segments:
            if segment.file not in self._complete:
                names = self._asked("select name from parquet_schema(?)", [self._file(segment)], [segment])
                self._complete[segment.file] = set(known) <= {name for (name,) in names}
        return all(self._complete[segment.file] for segment in segments)

    def _file(self, segment: Segment) -> str:
        # These begin a pattern in a list of files; a folder may be called so.
        return "".join(f"[{each}]" if each in "[*?" else each for each in str(self._trace.segment_path(segment)))

    def _asked(self, sql: str, values: Sequence[Any], segments: Sequence[Segment]) -> list[tuple[Any, ...]]:
        duckdb = duckdb_module()
        try:
            found: list[tuple[Any, ...]] = self._opened().execute(sql, values).fetchall()
        except duckdb.Error as problem:
            gone = [each for each in segments if not self._trace.segment_path(each).exists()]
            if gone:
                raise SegmentsGone([Damage(each, IS_MISSING) for each in gone]) from problem
            what = str(problem).strip().partition("\n")[0]
            raise DamagedTrace(f"the trace cannot be read ({what})", where=str(self._trace.path)) from problem
        return found

    def _opened(self) -> Any:
        if self._connection is None:
            connection = duckdb_module().connect(":memory:")
            connection.execute("set threads = 1; set enable_external_file_cache = false; set temp_directory = ''")
            connection.execute(f"set memory_limit = '{MEMORY_LIMIT_MB}MB'")
            connection.execute("set allowed_directories = ['" + str(self._trace.path).replace("'", "''") + "']")
            connection.execute("set enable_external_access = false; set lock_configuration = true")
            for table in self._document.words:
                _fill(connection, table)
            self._connection = connection
        return self._connection


def _fill(connection: Any, table: WordTable) -> None:
    kind = "integer" if isinstance(table.rows[0][0], int) else "varchar"
    columns = ", ".join(f"{name} varchar" for name in table.fields)
    connection.execute(f"create temp table {table.name} (key {kind}, {columns})")
    connection.executemany(f"insert into {table.name} values ({', '.join('?' * len(table.rows[0]))})", table.rows)
