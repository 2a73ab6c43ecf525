"""`glassfs sql`: a person's own question to a trace."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from glassfs import places, units
from glassfs.cli.reading import LAST, ends_quietly, paint, warn
from glassfs.cli.screen import JSON_SCHEMA, color_option, talk
from glassfs.errors import BadUsage
from glassfs.report.text import Column, safe, table, width_of

if TYPE_CHECKING:
    from glassfs.query.statement import Statement

# A table is for eyes; csv and json have no limit of their own.
TABLE_ROWS = 1_000

# A table of a person's own columns is as wide as they are.
UNLIMITED = 1 << 20

# Cells of one value in a table; a longer one loses its middle.
CELL_WIDTH = 80


@click.command()
@click.argument("arguments", metavar="[TRACE] QUERY", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", help="How to print.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--limit", metavar="N", type=click.IntRange(0), help=f"N rows at most (table: {TABLE_ROWS}; 0: all).")
@click.option("--timeout", metavar="TIME", help="Stop the query after this time: 30s, 5min.")
@click.option("--check", is_flag=True, help="Read all of the trace first, and leave out what is damaged.")
@color_option
@ends_quietly
def sql(
    arguments: tuple[str, ...],
    form: str,
    as_json: bool,
    limit: int | None,
    timeout: str | None,
    check: bool,
) -> None:
    """Ask a trace in SQL (DuckDB's): SELECTs over what it holds, and nothing else.

    \b
    events      one row a request or call: ts_ns, duration_ns, op, path, result, errno, pid, comm ...
    totals      exact counts, times and histograms per second, op and errno
    processes   what a pid was, and when
    ledger      seen, stored, dropped and removed per second
    system      the machine's own figures meanwhile, where `glassfs serve` ran: ts_ns, dataset, instance, document

    \b
    glassfs sql @last "select path, count(*) from events where op = 'fsync' group by path"
    glassfs sql @last "describe events"
    glassfs sql @last "select ts_ns, document->>'$.system.cpu.total.pct' from system where dataset = 'system.cpu'"

    QUERY may be - for stdin.
    """
    from glassfs.query import Reader

    trace, query = _parted(arguments)
    timeout_s = None if timeout is None else _seconds(timeout)
    with Reader(places.find(trace), timeout_s=timeout_s) as reader:
        if check:
            reader.leave_out_damaged()
        statement = reader.statement(query)
        warn(reader.warnings)
        _PRINTERS["json" if as_json else form](statement, _limit(limit, "json" if as_json else form))


def _parted(arguments: tuple[str, ...]) -> tuple[str, str]:
    if len(arguments) > 2:
        raise BadUsage("too many arguments", next_step='Quote the query: glassfs sql @last "select ..."')
    trace, query = arguments if len(arguments) == 2 else (LAST, arguments[0])
    return trace, sys.stdin.read() if query == "-" else query


def _seconds(text: str) -> float:
    return float(text) if text.replace(".", "", 1).isdigit() else units.parse_duration_ns(text) / 1e9


def _limit(limit: int | None, form: str) -> int | None:
    if limit is None:
        return TABLE_ROWS if form == "table" else None
    return limit or None


def _taken(statement: Statement, limit: int | None) -> Iterator[tuple[Any, ...]]:
    return islice(statement.rows(), limit)


def _print_table(statement: Statement, limit: int | None) -> None:
    ask_one_more = None if limit is None else limit + 1
    rows = [[_cell(value) for value in row] for row in _taken(statement, ask_one_more)]
    more = limit is not None and len(rows) > limit
    rows = rows[:limit]
    names = [safe(name) for name, _ in statement.columns]
    columns = [
        Column(name, _width(name, [row[place] for row in rows]), right=_is_number(kind))
        for place, (name, (_, kind)) in enumerate(zip(names, statement.columns, strict=True))
    ]
    click.echo(table(columns, rows, paint=paint(), width=UNLIMITED, indent=0, dim_idle=False), color=True)
    if more:
        talk(f"these are the first {limit} rows; --limit 0 prints all")


def _width(name: str, cells: list[str]) -> int:
    return min(max([width_of(name), *map(width_of, cells), 1]), max(CELL_WIDTH, width_of(name)))


def _cell(value: Any) -> str:
    return "NULL" if value is None else safe(str(value))


def _is_number(kind: str) -> bool:
    return kind.endswith("INT") or kind.startswith(("INTEGER", "DOUBLE", "FLOAT", "DECIMAL", "UINTEGER"))


def _print_csv(statement: Statement, limit: int | None) -> None:
    # A terminal would obey what a name says; a file gets it as it is.
    shown: Callable[[Any], Any] = _plain
    if sys.stdout.isatty():
        shown = lambda value: safe(value) if isinstance(value, str) else _plain(value)  # noqa: E731
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([name for name, _ in statement.columns])
    for row in _taken(statement, limit):
        out.writerow([shown(value) for value in row])
    sys.stdout.flush()


def _print_json(statement: Statement, limit: int | None) -> None:
    """One object, written as the rows come: a person may ask for more of them than fit into memory."""
    names = _distinct([name for name, _ in statement.columns])
    columns = [{"name": name, "type": kind} for name, (_, kind) in zip(names, statement.columns, strict=True)]
    sys.stdout.write(f'{{"schema": {JSON_SCHEMA}, "columns": {json.dumps(columns)}, "rows": [')
    mark = "\n"
    for row in _taken(statement, limit):
        sys.stdout.write(mark + json.dumps(dict(zip(names, map(_plain, row), strict=True)), default=str))
        mark = ",\n"
    sys.stdout.write("]}\n")
    sys.stdout.flush()


def _distinct(names: list[str]) -> list[str]:
    """Two columns of one name would be one key."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return result


def _plain(value: Any) -> Any:
    """What JSON has no word for becomes text; bytes become hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and value != value:
        return None
    return value


_PRINTERS = {"table": _print_table, "csv": _print_csv, "json": _print_json}
