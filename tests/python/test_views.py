"""What people see, compared with stored texts, and the small rules behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import COMMAND, database_run, short_run
from tracewriter import START_NS, TraceWriter, event

from glassfs.filters import Filter
from glassfs.query import Event, Reader
from glassfs.query.answers import Summary
from glassfs.report import numbers, render_summary, tables
from glassfs.report.calls import line
from glassfs.report.summary import draw
from glassfs.report.text import PLAIN, WIDTH, Paint, safe, shortened, width_of, wrapped
from glassfs.trace import Trace

Stored = Callable[[str, str], None]


def summary_of(writer: TraceWriter) -> Summary:
    with Reader(Trace(writer.path)) as reader:
        return reader.summary()


def drawn(summary: Summary, **more: Any) -> str:
    return draw(summary, word="@last", with_context=True, **more)


def test_the_summary_of_a_database_run(tmp_path: Path, same_as_stored: Stored):
    writer = database_run(tmp_path / "db_bench-4711")
    same_as_stored("summary", render_summary(Trace(writer.path)))


def test_a_short_run_shows_each_request(tmp_path: Path, same_as_stored: Stored):
    writer = short_run(tmp_path / "cat-912")
    same_as_stored("summary-short", render_summary(Trace(writer.path)))


def test_a_summary_with_losses_says_so_first(tmp_path: Path, same_as_stored: Stored):
    writer = database_run(tmp_path / "db_bench-4711")
    writer.ledger(seen=3_000, stored=600, dropped=2_400, reason="trace disk full")
    writer.ledger(seen=0, stored=0, removed=17)
    same_as_stored("summary-losses", drawn(summary_of(writer)))


def test_a_trace_without_a_goodbye_says_so(tmp_path: Path, same_as_stored: Stored):
    writer = database_run(tmp_path / "db_bench-4711")
    command = {**COMMAND, "end_ns": None, "exit_status": None, "read_bytes": None, "open_elsewhere": [], "mapped": []}
    writer.describe(end_ns=None, end_reason=None, command=command)
    same_as_stored("summary-no-goodbye", drawn(summary_of(writer)))


def test_a_lasting_mount_is_called_by_its_place(tmp_path: Path, same_as_stored: Stored):
    writer = database_run(tmp_path / "db-mount")
    notes = [
        {
            "kind": "symlink",
            "text": "pg_wal leads to /wal, which is not traced (add -d /wal)",
            "path": "/x",
            "target": "/wal",
        }
    ]
    writer.live()
    writer.describe(end_ns=None, command=None, notes=notes, mode="exact")
    same_as_stored("summary-mount", drawn(summary_of(writer)))


def test_why_there_are_only_requests_is_said_where_nobody_wished_so(tmp_path: Path):
    writer = database_run(tmp_path / "db_bench-4711")
    why = "the kernel plane did not start: the kernel does not take the eBPF program"
    writer.describe(plane_reason=f"{why}\nits log", notes=[{"kind": "plane", "text": f"{why}; requests are recorded"}])
    text = " ".join(drawn(summary_of(writer)).split())
    assert f"daemon plane; {why};" in text and "its log" not in text
    assert f"{why}; requests are recorded" in text
    writer.describe(plane_reason="asked for", notes=[])
    assert "asked for" not in drawn(summary_of(writer))


def test_large_numbers_and_long_names_keep_their_columns(tmp_path: Path, same_as_stored: Stored):
    """Figures of a long day on a large database: nothing may run into its neighbour."""
    small = summary_of(database_run(tmp_path / "db_bench-4711"))
    factor = 987_654
    huge = replace(
        small,
        count=small.count * factor,
        classes=tuple(
            replace(row, count=row.count * factor, time_ns=row.time_ns * factor // 100, bytes=row.bytes * factor)
            for row in small.classes
        ),
        files=tuple(
            replace(
                row,
                path="/srv/" + "very-long-directory-name/" * 4 + row.path[-10:],
                count=row.count * factor,
                time_ns=row.time_ns * factor // 100,
                read_bytes=row.read_bytes * factor,
                written_bytes=row.written_bytes * factor,
                errors=123_456,
            )
            for row in small.files
        ),
        threads=tuple(
            replace(row, count=row.count * factor, time_ns=row.time_ns * factor, thread="データベース")
            for row in small.threads
        ),
    )
    text = drawn(huge)
    same_as_stored("summary-huge", text)
    assert max(map(width_of, text.splitlines())) <= WIDTH


def test_a_narrow_terminal_loses_columns_not_lines(tmp_path: Path, same_as_stored: Stored):
    text = drawn(summary_of(database_run(tmp_path / "db_bench-4711")), width=80)
    same_as_stored("summary-narrow", text)
    assert max(map(width_of, text.splitlines())) <= 80


@pytest.mark.parametrize("name", ["ops", "files", "threads", "errors"])
def test_the_tables_behind_the_summary(tmp_path: Path, same_as_stored: Stored, name: str):
    reader = Reader(Trace(database_run(tmp_path / "run").path))
    look: dict[str, Any] = {"paint": PLAIN, "width": WIDTH}
    texts = {
        "ops": lambda: tables.ops(reader.ops(), "requests", **look),
        "files": lambda: tables.files(reader.files(sort="time", limit=8), "requests", title="path", **look),
        "threads": lambda: tables.threads(reader.threads(), "requests", title="process, thread", **look),
        "errors": lambda: tables.errors(reader.errors(), "requests", **look),
    }
    same_as_stored(f"table-{name}", texts[name]())


def test_each_op_shows_what_is_known_of_it(same_as_stored: Stored):
    path = "/db/f"
    rows: list[dict[str, Any]] = [
        {"op": "read", "size": 4096, "offset": 81920, "result": 4096},
        {"op": "write", "size": 100, "offset": 0, "errno": 28, "result": 0},
        {"op": "copy_file_range", "path2": "/db/g", "size": 10, "offset": 5, "result": 10},
        {"op": "fallocate", "flags": 3, "size": 8192, "offset": 4096},
        {"op": "fsync"},
        {"op": "fdatasync", "duration_ns": 23_700_000},
        {"op": "syncfs", "path": "/db"},
        {"op": "open", "flags": 0o100000 | 2 | 0o2000 | 0o4010000},
        {"op": "create", "flags": 0o301 | 0o40000, "mode": 0o100600},
        {"op": "tmpfile", "path": "/db", "flags": 0o20200002, "mode": 0o100644},
        {"op": "opendir", "path": "/db", "flags": 0o200000},
        {"op": "flush", "fh": 3},
        {"op": "release", "fh": 3, "flags": 2},
        {"op": "lookup", "errno": 2, "result": 0},
        {"op": "getattr"},
        {"op": "chmod", "mode": 0o4755},
        {"op": "truncate", "size": 0},
        {"op": "readdir", "path": "/db", "size": 4096, "offset": 0, "result": 0},
        {"op": "getxattr", "size": 0, "errno": 61, "result": 0},
        {"op": "setxattr", "flags": 1},
        {"op": "lseek", "offset": 0, "flags": 3, "result": 4096},
        {"op": "ioctl", "flags": 0x80086601},
        {"op": "mkdir", "path": "/db/d", "mode": 0o40755},
        {"op": "symlink", "path2": "../elsewhere"},
        {"op": "link", "path2": "/db/h"},
        {"op": "rename", "path2": "/db/h", "flags": 2},
        {"op": "unlink", "result": None},
        {
            "op": "read",
            "path": None,
            "comm": None,
            "pid": None,
            "tid": None,
            "origin": "kernel",
            "size": 4096,
            "offset": 0,
        },
        {"op": "read", "path": 'a"b\n\x1b]0;title\x07\u202e\\xff\u00a0é', "size": 1, "offset": 0, "comm": "ev\x1bil"},
        {"op": "read", "comm": None, "tid": 4712, "errno": 4095, "duration_ns": 0},
    ]
    events = [Event(**event(seq, **{"path": path, **row})) for seq, row in enumerate(rows)]
    same_as_stored("calls", "\n".join(map(line, events)))


def test_nothing_a_terminal_obeys_comes_out(tmp_path: Path):
    evil = "\x1b[2J\x07\r\n\t\x9b31m\u202e\u2066\u200f\ufeff\u2028"
    writer = TraceWriter(tmp_path / "evil")
    writer.add(event(seq, path=f"/db/{evil}", path2=f"/db/{evil}", comm=evil, errno=5) for seq in range(50))
    writer.process(4711, evil, cmdline=evil)
    mount = {**writer.about["mounts"][0], "mount_point": f"/db/{evil}"}
    command = {
        **COMMAND,
        "argv": [evil],
        "mapped": [evil],
        "open_elsewhere": [{"path": evil, "directory": evil, "samples": 1}],
    }
    writer.end(command=command, name=evil, notes=[{"kind": "x", "text": evil}], host={"name": evil}, mounts=[mount])
    reader = Reader(Trace(writer.path))
    look: dict[str, Any] = {"paint": PLAIN, "width": WIDTH}
    text = "\n".join(
        [
            draw(reader.summary(), word=evil, with_context=True),
            draw(reader.summary(Filter.parse(path=[f"*{evil}"])), list(reader.events(limit=3)), word=evil),
            tables.files(reader.files(), "requests", title="path", **look),
            tables.threads(reader.threads(), "requests", title="who", **look),
            tables.errors(reader.errors(), "requests", **look),
        ]
    )
    assert all(each.isprintable() or each == "\n" for each in text)


@given(st.text())
def test_safe_text_is_printable_and_ordinary_text_stays(text: str):
    assert safe(text).isprintable()
    if text.isprintable():
        assert safe(text) == text


@given(st.text(alphabet=st.characters(categories=["L", "M", "N", "P", "S"])), st.integers(3, 60))
def test_shortened_text_fits_and_keeps_its_end(text: str, width: int):
    short = shortened(text, width)
    assert width_of(short) <= width
    if width_of(text) <= width:
        assert short == text


@given(st.lists(st.text(alphabet="abc /", min_size=1, max_size=30), min_size=1, max_size=8), st.integers(20, 100))
def test_wrapped_lines_fit(parts: list[str], width: int):
    text = wrapped(parts, separator="; ", width=width, indent=2)
    # A separator may stand at the end of a full line.
    assert all(width_of(each) <= width + 1 for each in text.splitlines())


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        *((0, "0ns"), (999, "999ns"), (1000, "1.0us"), (9_149, "9.1us"), (12_449, "12.4us"), (99_960, "100us")),
        *(
            (999_499, "999us"),
            (999_500, "1.0ms"),
            (8_200_000, "8.2ms"),
            (61_234_567, "61.2ms"),
            (1_000_000_000, "1.0s"),
        ),
        (3_600_000_000_000, "3600s"),
    ],
)
def test_a_latency_has_three_digits_at_most(ns: int, text: str):
    assert numbers.latency(ns) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [(0.0, "-"), (0.0001, "<1 %"), (0.0149, "1 %"), (0.5, "50 %"), (0.99, "99 %"), (0.9999, ">99 %"), (1.0, "100 %")],
)
def test_a_share_is_neither_nothing_nor_all_unless_it_is(part: float, text: str):
    assert numbers.share(part) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (3_940_000_000, "3.9 GB")],
)
def test_a_size_has_its_unit(size: int, text: str):
    assert numbers.size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0042, "4.2 ms"),
        (0.5, "0.50 s"),
        (41.23, "41.2 s"),
        (725, "12 min 5 s"),
        (12_000, "3 h 20 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_length_is_told_in_two_units_at_most(seconds: float, text: str):
    assert numbers.lasted(round(seconds * 1e9)) == text


def test_times_of_a_column_share_a_unit():
    assert numbers.spans([12_410_000_000, 5_020_000_000, 3_000, 0]) == ["12.41 s", "5.02 s", "<0.01 s", "-"]
    assert numbers.spans([1_500_000, 20_000]) == ["1.50 ms", "0.02 ms"]
    assert numbers.spans([1_234_500_000_000, 2_000_000_000]) == ["1 234 s", "2 s"]
    assert numbers.spans([]) == []


def test_colour_says_nothing_that_words_do_not(tmp_path: Path):
    writer = database_run(tmp_path / "run")
    writer.ledger(seen=10, stored=0, dropped=10)
    summary = summary_of(writer)
    coloured = draw(summary, word="@last", paint=Paint(True))
    assert "\x1b[" in coloured
    import re

    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == draw(summary, word="@last")


def test_time_is_local_and_named(monkeypatch: pytest.MonkeyPatch):
    import time

    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    assert numbers.moment(START_NS) == "24 Nov 2026 14:03:22 CET"
    assert numbers.time_of_day(START_NS + 123_456_789) == "14:03:22.123456"
