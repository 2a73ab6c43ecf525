"""The filter grammar, and filtering against a brute-force filter in Python."""

from __future__ import annotations

import fnmatch
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracewriter import OPS, START_NS, TraceWriter, event

from glassfs.errors import BadUsage
from glassfs.escaping import escape, unescape
from glassfs.filters import Filter, parse_time_ns
from glassfs.query import Reader
from glassfs.trace import Trace
from glassfs.units import parse_duration_ns, parse_size_bytes

S = 10**9


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        *(
            ("10ms", 10_000_000),
            ("1.5s", 1_500_000_000),
            ("7d", 7 * 86_400 * S),
            ("500us", 500_000),
            ("500µs", 500_000),
        ),
        *(("3ns", 3), ("2h", 7200 * S), ("5min", 300 * S), ("5m", 300 * S), ("0", 0), (".5s", S // 2), ("1 ms", 10**6)),
    ],
)
def test_durations_are_read_with_their_unit(text: str, ns: int):
    assert parse_duration_ns(text) == ns


@pytest.mark.parametrize("text", ["", "10", "ms", "-5ms", "10 parsecs", "1e9s", "ten", "10ms!"])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(BadUsage):
        parse_duration_ns(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("10G", 10**10), ("500MB", 5 * 10**8), ("1.5GiB", 3 * 2**29), ("12", 12), ("1k", 1000), ("2KiB", 2048)],
)
def test_sizes_are_read_with_their_unit(text: str, size: int):
    assert parse_size_bytes(text) == size


# The trace of these tests began at 13:03:22 UTC and ended 41.2 s later.
END_NS = START_NS + 41_200_000_000


@pytest.mark.parametrize(
    ("text", "after_start_ns"),
    [
        ("+5s", 5 * S),
        ("+0", 0),
        ("-1.2s", 40 * S),
        ("13:03:22", 0),
        ("13:03:30.25", 8_250_000_000),
        ("13:04", 38 * S),
        ("12:00:00", -3802 * S),
        ("2026-11-24T13:03:23", S),
        ("2026-11-24 13:03:23.5", 1_500_000_000),
        ("2026-11-24T14:03:23+01:00", S),
        ("2026-11-24T13:03:23Z", S),
    ],
)
def test_times_are_relative_of_the_day_or_absolute(text: str, after_start_ns: int):
    assert parse_time_ns(text, START_NS, END_NS) - START_NS == after_start_ns


def test_a_time_of_day_after_midnight_is_the_next_day_where_the_trace_goes_on_that_long():
    assert parse_time_ns("01:00", START_NS, START_NS + 86_400 * S) == START_NS + (11 * 3600 + 56 * 60 + 38) * S


@pytest.mark.parametrize("text", ["", "now", "25:00", "13:61", "13", "2026-13-01", "+5", "yesterday"])
def test_what_is_no_time_is_refused(text: str):
    with pytest.raises(BadUsage):
        parse_time_ns(text, START_NS, END_NS)


def bind(**given: Any) -> Any:
    return Filter.parse(**given).bind(start_ns=START_NS, end_ns=END_NS, class_of_op=OPS)


def test_an_op_is_a_word_a_call_that_folds_into_it_or_a_class():
    assert bind(op=["read"]).ops.any_of == ("read",)
    assert bind(op=["pwrite64"]).ops.any_of == ("write",)
    assert bind(op=["sync"]).ops.any_of == ("fsync", "fdatasync", "fsyncdir", "syncfs")
    assert bind(op=["class:write"]).ops.any_of == ("write", "copy_file_range", "fallocate")
    assert bind(op=["read,openat", "!lookup"]).ops.any_of == ("read", "open")
    assert bind(op=["!lookup"]).ops.none_of == ("lookup",)


def test_an_errno_is_a_name_or_a_number():
    assert bind(errno=["ENOENT,13"]).errnos.any_of == (2, 13)
    assert bind(errno=["eopnotsupp"]).errnos.any_of == (95,)
    assert bind(errno=["ok"]).errnos.any_of == (0,)


@pytest.mark.parametrize(
    "given_", [{"op": ["redd"]}, {"errno": ["ENOTHING"]}, {"pid": ["postgres"]}, {"op": [""]}, {"path": ["!"]}]
)
def test_a_filter_that_makes_no_sense_is_refused_with_a_hint(given_: dict[str, Any]):
    with pytest.raises(BadUsage):
        bind(**given_)


@given(st.binary(min_size=0, max_size=12))
def test_escaping_a_name_is_reversible(name: bytes):
    assert unescape(escape(name)) == name


# A fixed population, written once; filters are what varies.

PATHS = [
    "/db/a.sst",
    "/db/sub/b.sst",
    "/db/sub/deep/c.log",
    "/db/with space",
    "/db/back\\slash",
    "/db/new\nline",
    "/db/[bracket]",
    b"/db/\xff\xfe".decode("utf-8", "surrogateescape"),
    "/db/é",
]
COMMS = ["db_bench", "rocksdb:low0", "rocksdb:high0", None]


def population() -> list[dict[str, Any]]:
    rows = []
    ops = ["read", "write", "fsync", "lookup", "open", "rename"]
    for seq in range(240):
        path = None if seq % 17 == 0 else escape(PATHS[seq % len(PATHS)])
        rows.append(
            event(
                seq,
                op=ops[seq % 6],
                path=path,
                path2=escape(PATHS[(seq * 5) % len(PATHS)]) if seq % 6 == 5 else None,
                comm=COMMS[seq % 4],
                pid=None if seq % 4 == 3 else 4711,
                tid=None if seq % 4 == 3 else 4711 + seq % 3,
                errno=(0, 0, 0, 2, 13)[seq % 5],
                duration_ns=seq * seq * 1000,
                ts_ns=START_NS + seq * S // 10,
            )
        )
    return rows


@pytest.fixture(scope="module")
def populated() -> Iterator[Reader]:
    with tempfile.TemporaryDirectory() as folder:
        writer = TraceWriter(Path(folder) / "trace")
        rows = population()
        for start in range(0, len(rows), 60):
            writer.add(rows[start : start + 60])
        writer.end(24)
        with Reader(Trace(writer.path)) as reader:
            yield reader


GLOBS = [
    "*.sst",
    "sub",
    "/db/sub",
    "/db/*",
    "b.*",
    "*[ab].sst",
    "[!a].sst",
    "?.sst",
    "with space",
    "*\\\\*",
    "\\[*",
    "é",
    "/",
]


def one_of(values: list[str], most: int = 2) -> st.SearchStrategy[list[str]]:
    negated = st.sampled_from(values).flatmap(lambda value: st.sampled_from([value, "!" + value]))
    return st.lists(negated, max_size=most)


FILTERS = st.fixed_dictionaries(
    {
        "path": one_of([*GLOBS, "*\xff*"]),
        "op": one_of(["read", "sync", "metadata", "open", "class:write", "fsync", "namespace"]),
        "pid": one_of(["4711", "4712", "9"]),
        "comm": one_of(["db_bench", "rocksdb:*", "*0", "x"]),
        "errno": one_of(["ENOENT", "13", "any", "ok"]),
        "min_latency": st.sampled_from([None, None, "1ms", "25ms"]),
        "since": st.sampled_from([None, None, "+5s", "13:03:30"]),
        "until": st.sampled_from([None, None, "+15s", "-5s"]),
    }
)


def parted(values: list[str]) -> tuple[list[str], list[str]]:
    return [each for each in values if each[0] != "!"], [each[1:] for each in values if each[0] == "!"]


def passes(row: dict[str, Any], given_: dict[str, Any]) -> bool:
    """The grammar once more, as plainly as it can be said."""
    tests = {
        "path": lambda glob: any(path_matches(name, glob) for name in (row["path"], row["path2"]) if name),
        "op": lambda word: row["op"] == word or (OPS[row["op"]] == word.removeprefix("class:") and word not in OPS),
        "pid": lambda pid: int(pid) in (row["pid"], row["tid"]),
        "comm": lambda glob: row["comm"] is not None and fnmatch.fnmatchcase(row["comm"], glob),
        "errno": lambda word: {"ENOENT": row["errno"] == 2, "13": row["errno"] == 13, "any": row["errno"] != 0}.get(
            word, row["errno"] == 0
        ),
    }
    for name, test in tests.items():
        wanted, unwanted = parted(given_[name])
        if (wanted and not any(map(test, wanted))) or any(map(test, unwanted)):
            return False
    shortest = {None: 0, "1ms": 10**6, "25ms": 25 * 10**6}[given_["min_latency"]]
    since = {None: 0, "+5s": 5 * S, "13:03:30": 8 * S}[given_["since"]]
    until = {None: 10**18, "+15s": 15 * S, "-5s": 19 * S}[given_["until"]]
    return row["duration_ns"] >= shortest and since <= row["ts_ns"] - START_NS < until


def path_matches(name: str, glob: str) -> bool:
    plain = unescape(name).decode("latin-1")
    pattern = (glob if glob.startswith("/") else "*/" + glob).rstrip("/")
    # fnmatch knows no backslash: [x] is how it takes a character as it is.
    pattern = pattern.replace("\\\\", "\0").replace("\\[", "[[]").replace("\0", "\\")
    pattern = pattern.encode("utf-8", "surrogateescape").decode("latin-1") if "\xff" not in pattern else pattern
    return fnmatch.fnmatchcase(plain, pattern) or fnmatch.fnmatchcase(plain, pattern + "/*")


@settings(max_examples=120, deadline=None)
@given(given_=FILTERS)
def test_a_filter_lets_through_what_a_brute_force_filter_does(populated: Reader, given_: dict[str, Any]):
    typed = {**given_, "path": [each.replace("\xff", "\udcff") for each in given_["path"]]}
    found = [each.seq for each in populated.events(Filter.parse(**typed))]
    assert found == [row["seq"] for row in population() if passes(row, given_)]


@settings(max_examples=30, deadline=None)
@given(given_=FILTERS)
def test_the_views_count_what_the_filter_lets_through(populated: Reader, given_: dict[str, Any]):
    typed = {**given_, "path": [each.replace("\xff", "\udcff") for each in given_["path"]]}
    wanted = Filter.parse(**typed)
    rows = list(populated.events(wanted))
    assert sum(row.count for row in populated.ops(wanted)) == len(rows)
    assert sum(row.count for row in populated.files(wanted, limit=100)) == sum(row.path is not None for row in rows)
    assert sum(row.count for row in populated.threads(wanted, limit=100)) == len(rows)
    assert sum(row.count for row in populated.errors(wanted, limit=100)) == sum(row.errno != 0 for row in rows)
    assert sum(row.time_ns for row in populated.ops(wanted)) == sum(row.duration_ns for row in rows)
