"""The rules: what a path means, the same in Python and in SQL, and a user's own rules before ours."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import pytest

from glassfs import families
from glassfs.errors import BadUsage
from glassfs.families import Families
from glassfs.families.names import Relation
from glassfs.families.rules import Rule, parse
from glassfs.query import Reader
from glassfs.query.families import family_of_path, relation_of_path, with_families
from glassfs.trace import Trace

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from samples import database_run

# As PostgreSQL 15, RocksDB and SQLite name their files.
KNOWN = {
    "/pg/pg_wal/000000010000000000000001": "postgresql.wal",
    "/pg/pg_wal/archive_status": "postgresql.wal",
    "/pg/base/5/16397": "postgresql.relation",
    "/pg/base/5/16397.1": "postgresql.relation",
    "/pg/base/5/16397_fsm": "postgresql.fsm",
    "/pg/base/5/16397_vm": "postgresql.vm",
    "/pg/base/5/t3_16400": "postgresql.temp",
    "/pg/base/pgsql_tmp/pgsql_tmp4711.0": "postgresql.temp",
    "/pg/global/pg_control": "postgresql.control",
    "/pg/global/1262": "postgresql.relation",
    "/pg/global/1262_fsm": "postgresql.fsm",
    "/space/PG_15_202209061/5/16500": "postgresql.relation",
    "/pg/pg_xact/0000": "postgresql.transaction-status",
    "/pg/base/5/pg_filenode.map": "postgresql.catalog-map",
    "/db/000012.sst": "rocksdb.sst",
    "/db/1000012.sst": "rocksdb.sst",
    "/db/000009.log": "rocksdb.wal",
    "/db/MANIFEST-000004": "rocksdb.manifest",
    "/db/OPTIONS-000007": "rocksdb.options",
    "/db/LOG": "rocksdb.log",
    "/db/CURRENT": "rocksdb.current",
    "/home/ana/bank.db": "sqlite.main",
    "/home/ana/bank.db-wal": "sqlite.wal",
    "/home/ana/bank.db-shm": "sqlite.shm",
    "/home/ana/bank.db-journal": "sqlite.journal",
    "/home/ana/notes.log": "other",
    "/home/ana/12.sst": "other",
    "/pg/base/5": "other",
    "/home/\\xff/it's \\\\ here": "other",
}
RELATIONS = {
    "/pg/base/5/16397": Relation("/pg/base/5/16397", "postgresql.heap", "bank.public.o'brien"),
    "/pg/base/5/16401": Relation("/pg/base/5/16401", "postgresql.index", "bank.public.o_pkey"),
}


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Families:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return families.load({"XDG_CONFIG_HOME": str(tmp_path)})


def test_each_file_of_a_database_has_its_family(ours: Families) -> None:
    assert {path: ours.of(path).family for path in KNOWN} == KNOWN


@pytest.mark.parametrize("relations", [{}, RELATIONS], ids=["rules", "rules and names"])
def test_sql_says_the_same_as_python(ours: Families, relations: dict[str, Relation]) -> None:
    known = Families(ours.rules, relations)
    with duckdb.connect() as database:
        database.execute("create table rows(path varchar)")
        database.executemany("insert into rows values (?)", [[path] for path in [*KNOWN, None, *KNOWN]])
        found = database.execute(f"select path, family, relation from {with_families('rows', known)}").fetchall()
        one_by_one = f"select path, {family_of_path(known)}, {relation_of_path(known)} from rows"
        assert sorted(database.execute(one_by_one).fetchall(), key=str) == sorted(found, key=str)
    assert len(found) == 2 * len(KNOWN) + 1
    for path, family, relation in found:
        expected = (None, None) if path is None else (known.of(path).family, known.of(path).relation)
        assert (family, relation) == expected, path


def test_a_named_relation_gives_its_segments_a_family_and_its_forks_a_name(ours: Families) -> None:
    known = Families(ours.rules, RELATIONS)
    assert known.of("/pg/base/5/16397.2") == families.Found("postgresql.heap", "bank.public.o'brien")
    assert known.of("/pg/base/5/16397_fsm") == families.Found("postgresql.fsm", "bank.public.o'brien")
    assert known.of("/pg/base/5/163970") == families.Found("postgresql.relation", None)


def test_a_users_rules_come_first(tmp_path: Path) -> None:
    (tmp_path / "glassfs").mkdir()
    (tmp_path / "glassfs/families.toml").write_text('[[family]]\nname = "mine.log"\npaths = ["*/*.log"]\n')
    found = families.load({"XDG_CONFIG_HOME": str(tmp_path)})
    assert found.of("/db/000009.log").family == "mine.log"
    assert found.of("/db/000009.sst").family == "rocksdb.sst"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[family]\n", "no TOML"),
        ('[[family]]\nname = "a"\n', "paths"),
        ('[[family]]\nname = "a"\npaths = []\n', "no paths"),
        ('[[family]]\nname = "A b"\npaths = ["*"]\n', "no name for a family"),
        ('[[family]]\nname = "a"\npaths = ["x.log"]\n', "whole path"),
        ('[[famly]]\nname = "a"\npaths = ["*"]\n', "famly"),
    ],
)
def test_a_wrong_rule_is_named_with_its_file(text: str, says: str) -> None:
    with pytest.raises(BadUsage) as told:
        parse(text, "/etc/glassfs/families.toml")
    assert says in str(told.value)
    assert "/etc/glassfs/families.toml" in str(told.value)


def test_the_report_counts_each_event_with_a_path_once(tmp_path: Path, ours: Families) -> None:
    database_run(tmp_path / "trace")
    with Reader(Trace(tmp_path / "trace")) as reader:
        rows = reader.families(ours)
        by_path = reader.sql("select path, count(*) from events where path is not null group by path").fetchall()
    expected: dict[str, int] = {}
    for path, count in by_path:
        expected[ours.of(path).family] = expected.get(ours.of(path).family, 0) + count
    assert {row.family: row.count for row in rows} == expected
    assert [row.count for row in rows] == sorted(expected.values(), reverse=True)


def test_a_rule_that_never_fits_changes_nothing(ours: Families) -> None:
    more = Families([Rule("never.here", ["/nowhere/*"]), *ours.rules])
    assert {path: more.of(path).family for path in KNOWN} == KNOWN
