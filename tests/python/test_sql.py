"""A person's SQL: it reads the trace, and nothing else in the world."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from samples import database_run

from glassfs.errors import EnvironmentProblem, QueryError, QueryTimeout
from glassfs.query import Reader, database
from glassfs.query.schema import COLUMNS
from glassfs.trace import Trace

ENDLESS = "select count(*) from range(1000000) a, range(1000000) b where a.range + b.range = -1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return database_run(tmp_path_factory.mktemp("sql") / "run").path


@pytest.fixture
def reader(folder: Path) -> Iterator[Reader]:
    with Reader(Trace(folder)) as reader:
        yield reader


def files_below(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in folder.rglob("*")}


@pytest.mark.parametrize("table", list(COLUMNS))
def test_every_table_has_its_columns(reader: Reader, table: str):
    described = reader.sql(f"describe {table}").fetchall()
    assert {name: kind for name, kind, *_ in described} == COLUMNS[table]


def test_the_system_table_is_empty_without_a_sampler(reader: Reader):
    assert reader.sql("select count(*) from system").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "query",
    [
        "select 1",
        "from events limit 1",
        "with slow as (select * from events where duration_ns > 1000) select count(*) from slow",
        "values (1), (2)",
        "describe events",
        "summarize totals",
        "show tables",
        "explain select * from events",
        "EXPLAIN ANALYZE select count(*) from events",
        "select 1;",
        "-- how many?\nselect count(*) from events",
    ],
)
def test_what_only_reads_is_answered(reader: Reader, query: str):
    assert list(reader.statement(query).rows())


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to '{other}/out.csv'",
        "copy (select 1) to '{trace}/events/out.parquet' (format parquet)",
        "copy events to '{trace}/events/000000.parquet' (format parquet)",
        "explain analyze copy (select 1) to '{trace}/events/out.parquet'",
        "copy events from '/etc/passwd'",
        "attach '{other}/other.db'",
        "attach '{other}/other.db' as other (type sqlite)",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set allowed_paths = ['/etc/passwd']",
        "set lock_configuration = false",
        "reset enable_external_access",
        "pragma threads=1",
        "pragma enable_external_access=true",
        "create table t as select 1",
        "create view v as select 1",
        "create macro f() as 1",
        "drop view events",
        "insert into events select * from events",
        "delete from events",
        "export database '{other}/export'",
        "import database '{other}/export'",
        "call pragma_version()",
        "begin",
        "checkpoint",
        "use memory",
        "prepare p as select 1",
        "select 1; select 2",
        "select 1; copy (select 1) to '{other}/out.csv'",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from read_blob('/etc/passwd')",
        "select * from read_parquet('{other}/secret.parquet')",
        "select * from read_parquet('{trace}/../run/../secret.parquet')",
        "select * from '{other}/secret.parquet'",
        "select * from '/etc/passwd'",
        "select * from read_json('{trace}/trace.json')",
        "select * from glob('/etc/*')",
        "select * from sniff_csv('/etc/passwd')",
        "select * from parquet_metadata('{other}/secret.parquet')",
        "select * from query('copy (select 1) to ''{other}/out.csv''')",
        "explain explain copy (select 1) to '{other}/out.csv'",
        "",
        "   ",
        "-- nothing",
    ],
)
def test_what_would_write_or_read_elsewhere_is_refused(reader: Reader, folder: Path, tmp_path: Path, query: str):
    import duckdb

    duckdb.execute(f"copy (select 42 as secret) to '{tmp_path}/secret.parquet' (format parquet)")
    before = files_below(tmp_path) | files_below(folder)
    with pytest.raises(QueryError):
        list(reader.statement(query.format(other=tmp_path, trace=folder)).rows())
    assert files_below(tmp_path) | files_below(folder) == before
    assert reader.sql("select count(*) from events").fetchall() == [(1728,)]


@pytest.mark.parametrize(
    "query", ["copy (select 1) to '{other}/x'", "select * from read_csv('/etc/passwd')", "set threads = 1"]
)
def test_a_notebooks_relation_is_as_closed(reader: Reader, tmp_path: Path, query: str):
    with pytest.raises(QueryError):
        reader.sql(query.format(other=tmp_path)).fetchall()
    assert not list(tmp_path.iterdir())


def test_a_query_leaves_nothing_in_the_current_directory(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    list(reader.statement("select a.* from events a, range(50) order by a.duration_ns").rows())
    assert not list(tmp_path.iterdir())


def test_an_error_carries_duckdbs_own_hint(reader: Reader):
    with pytest.raises(QueryError, match="Candidate bindings") as caught:
        reader.statement("select pth from events")
    assert caught.value.exit_code == 2
    with pytest.raises(QueryError, match="Did you mean"):
        reader.statement("select * from event")


def test_an_error_while_rows_come_is_the_querys_too(reader: Reader):
    with pytest.raises(QueryError, match="abc"):
        list(reader.statement("select cast(comm || 'abc' as integer) from events").rows())


def test_a_time_limit_ends_an_endless_query(folder: Path):
    began = time.monotonic()
    with pytest.raises(QueryTimeout, match=r"0\.3 s"):
        list(Reader(Trace(folder), timeout_s=0.3).statement(ENDLESS).rows())
    assert time.monotonic() - began < 2


def test_a_time_limit_ends_endless_rows(folder: Path):
    with pytest.raises(QueryTimeout):
        for _ in Reader(Trace(folder), timeout_s=0.5).statement("select * from range(10000000000000)").rows():
            pass


def test_a_query_that_wants_all_memory_is_stopped_with_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "MEMORY_LIMIT_BYTES", 64 << 20)
    with pytest.raises(EnvironmentProblem, match="more memory") as caught:
        list(Reader(Trace(folder)).statement("select list(range) from range(100000000)").rows())
    assert "Narrow it" in str(caught.value)


def test_rows_are_streamed_not_held(reader: Reader):
    rows = reader.statement("select range from range(10000000000000)").rows()
    assert [next(rows)[0] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_reader_can_be_asked_from_another_thread(reader: Reader):
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(reader.summary().count))
    thread.start()
    thread.join()
    assert found == [1728]
