"""The tables behind the summary: ops, files, threads, errors. Draws answers, asks nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from glassfs.query.answers import ClassRow, ErrorRow, FamilyRow, FileRow, OpRow, ThreadRow
from glassfs.report.numbers import NOTHING, count, count_or_nothing, latency, percentile, share, size_or_nothing, spans
from glassfs.report.text import GAP, Column, Paint, safe, shortened, table, width_of

# Cells that the parts of an error line take before its examples.
_EXAMPLES_FROM = 54


def classes(rows: Sequence[ClassRow], noun: str, *, paint: Paint, width: int) -> str:
    columns = [
        Column("class", 10, right=False),
        Column(noun, 12),
        Column("share", 5, spare=3),
        Column("time", 9),
        Column("share", 5),
        *_latency_columns(),
        Column("bytes", 8),
    ]
    cells = [
        [
            row.name,
            count(row.count),
            share(row.count_share),
            time,
            share(row.time_share),
            *_latency_cells(row),
            size_or_nothing(row.bytes),
        ]
        for row, time in _with_times(rows)
    ]
    return table(columns, cells, paint=paint, width=width, bold_row=_longest(rows))


def ops(rows: Sequence[OpRow], noun: str, *, paint: Paint, width: int) -> str:
    columns = [
        Column("type", 16, right=False),
        Column(noun, 12),
        Column("share", 5, spare=3),
        Column("time", 9),
        Column("share", 5),
        *_latency_columns(),
        Column("errors", 8),
    ]
    cells = [
        [
            safe(row.name),
            count(row.count),
            share(row.count_share),
            time,
            share(row.time_share),
            *_latency_cells(row),
            count_or_nothing(row.errors),
        ]
        for row, time in _with_times(rows)
    ]
    return table(columns, cells, paint=paint, width=width, bold_row=_longest(rows))


def _longest(rows: Sequence[ClassRow]) -> int:
    """Where most of the time went: what a tired reader looks for."""
    return max(range(len(rows)), key=lambda place: rows[place].time_ns)


Row = TypeVar("Row", ClassRow, OpRow, ThreadRow)


def _with_times(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """Each row with its time as the column shows it."""
    return zip(rows, spans([row.time_ns for row in rows]), strict=True)


def _latency_columns() -> list[Column]:
    return [Column("avg", 6, spare=2), Column("p50", 6, spare=1), Column("p99", 6), Column("max", 6)]


def _latency_cells(row: ClassRow) -> list[str]:
    if row.latency is None:
        return [NOTHING] * 4
    return [
        latency(row.latency.average_ns),
        percentile(row.latency.p50_ns),
        percentile(row.latency.p99_ns),
        latency(row.latency.max_ns),
    ]


def _amount_columns(title: str, noun: str) -> list[Column]:
    return [
        Column(title, 0, right=False),
        Column(noun, 11),
        Column("time", 8),
        Column("read", 7),
        Column("written", 7),
    ]


def files(rows: Sequence[FileRow], noun: str, *, title: str, paint: Paint, width: int) -> str:
    return _amounts(rows, [row.path for row in rows], noun, title=title, paint=paint, width=width)


def families(rows: Sequence[FamilyRow], noun: str, *, title: str, paint: Paint, width: int) -> str:
    """`postgresql.heap bank.public.accounts` where a server has named it."""
    names = [f"{row.family} {row.relation}" if row.relation else row.family for row in rows]
    return _amounts(rows, names, noun, title=title, paint=paint, width=width)


def _amounts(
    rows: Sequence[FileRow | FamilyRow],
    names: Sequence[str],
    noun: str,
    *,
    title: str,
    paint: Paint,
    width: int,
) -> str:
    columns = [*_amount_columns(title, noun), Column("p99", 6), Column("errors", 6)]
    cells = [
        [
            safe(name),
            count(row.count),
            time,
            size_or_nothing(row.read_bytes),
            size_or_nothing(row.written_bytes),
            percentile(row.latency.p99_ns),
            count_or_nothing(row.errors),
        ]
        for name, row, time in zip(names, rows, spans([row.time_ns for row in rows]), strict=True)
    ]
    return table(columns, cells, paint=paint, width=width)


def threads(rows: Sequence[ThreadRow], noun: str, *, title: str, paint: Paint, width: int) -> str:
    columns = [*_amount_columns(title, noun), Column("", 6), Column("errors", 6)]
    cells = [
        [
            who(row),
            count(row.count),
            time,
            size_or_nothing(row.read_bytes),
            size_or_nothing(row.written_bytes),
            "",
            count_or_nothing(row.errors),
        ]
        for row, time in _with_times(rows)
    ]
    return table(columns, cells, paint=paint, width=width)


def who(row: ThreadRow) -> str:
    """`db_bench 4711` for a process' first thread, by the name it then had; `db_bench 4711, rocksdb:low 4713` for
    another."""
    if row.pid is None and row.thread is None:
        return "the kernel, on its own account"
    pid = "?" if row.pid is None else row.pid
    if row.tid is None or row.tid == row.pid:
        return f"{safe(row.thread or row.process or '?')} {pid}"
    process = f"{safe(row.process)} {pid}" if row.process else f"pid {pid}"
    return f"{process}, {safe(row.thread or '?')} {row.tid}"


def errors(rows: Sequence[ErrorRow], noun: str, *, paint: Paint, width: int) -> str:
    """A line an error, with the paths it met most often."""
    columns = [
        Column("type", 14, right=False),
        Column("error", 14, right=False),
        Column(noun, 11),
        Column("on", 0, right=False),
    ]
    room = width - _EXAMPLES_FROM + 7
    cells = [[safe(row.op), row.errno_name, count(row.count), examples(row, room)] for row in rows]
    return table(columns, cells, paint=paint, width=width)


def examples(row: ErrorRow, room: int) -> str:
    """As many whole paths as fit; the first is shortened where even it does not."""
    shown: list[str] = []
    for each in row.examples:
        name = safe(each.path)
        if shown and sum(width_of(one) + GAP for one in shown) + width_of(name) + len(", ...") > room:
            break
        shown.append(name)
    more = ", ..." if sum(each.count for each in row.examples[: len(shown)]) < row.count else ""
    return shortened(", ".join(shown), room - len(more)) + more if shown else NOTHING
