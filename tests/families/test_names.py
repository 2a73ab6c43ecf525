"""`glassfs names --pg` on a real server: its files, by the server's own word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from glassfs import families
from glassfs.families import names
from support.people import person
from support.postgres import Cluster, programs

pytestmark = [pytest.mark.root]


@pytest.fixture
def cluster(public: Path) -> Iterator[Cluster]:
    programs()
    owner = person("postgres")
    for name in ("scratch", "space", "data"):
        (public / name).mkdir(mode=0o700)
        os.chown(public / name, owner.uid, owner.gid)
    cluster = Cluster(public / "data/main", public / "scratch", owner)
    cluster.initialise()
    cluster.start()
    yield cluster
    cluster.stop()


def glassfs(*words: str, state: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'glassfs'; from glassfs.cli import main; main()"
    environment = {**os.environ, "XDG_STATE_HOME": str(state)}
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, env=environment
    )


def dsn(cluster: Cluster) -> str:
    return f"host={cluster.scratch} user={cluster.owner.name} dbname=postgres"


def test_tables_indexes_and_toast_are_named_by_their_file_not_their_oid(
    cluster: Cluster, tmp_path: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.value(f"create tablespace far location '{public}/space'")
    cluster.value('create database "it\'s"')
    for statement in (
        "create table t(a int primary key, b text)",
        "truncate t",
        "create table far(a int) tablespace far",
    ):
        cluster.run("psql", "-XAtq", "-d", "it's", "-c", statement)

    def ask(query: str) -> str:
        return cluster.run("psql", "-XAtq", "-d", "it's", "-c", query).strip()

    done = glassfs("names", "--pg", dsn(cluster), "--json", state=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["families"]["postgresql.heap"] > 100
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    known = families.load({})

    heap, oid = ask("select pg_relation_filepath('t'), 't'::regclass::oid").split("|")
    assert not heap.endswith(f"/{oid}"), "truncate has given it another file"
    assert known.of(f"{cluster.data}/{heap}") == families.Found("postgresql.heap", "it's.public.t")
    assert known.of(f"{cluster.data}/{heap}.1").relation == "it's.public.t"
    index = ask("select pg_relation_filepath('t_pkey')")
    assert known.of(f"{cluster.data}/{index}") == families.Found("postgresql.index", "it's.public.t_pkey")
    toast = ask("select pg_relation_filepath(reltoastrelid) from pg_class where relname = 't'")
    assert known.of(f"{cluster.data}/{toast}") == families.Found("postgresql.toast", "it's.public.t")
    mapped = ask("select pg_relation_filepath('pg_class')")
    assert known.of(f"{cluster.data}/{mapped}") == families.Found("postgresql.heap", "it's.pg_catalog.pg_class")
    oid = ask("select oid from pg_tablespace where spcname = 'far'")
    far = ask("select pg_relation_filepath('far')").removeprefix(f"pg_tblspc/{oid}")
    assert known.of(f"{public}/space{far}") == families.Found("postgresql.heap", "it's.public.far")


def test_asking_again_replaces_what_was_known(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert glassfs("names", "--pg", dsn(cluster), state=tmp_path).returncode == 0
    cluster.value("create table later(a int)")
    assert glassfs("names", "--pg", dsn(cluster), state=tmp_path).returncode == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert any(each.name == "postgres.public.later" for each in names.load_all().values())
    assert len(list((tmp_path / "glassfs/names").iterdir())) == 1


def test_a_server_that_is_not_there_is_said_in_its_own_words(tmp_path: Path) -> None:
    programs()
    done = glassfs("names", "--pg", f"host={tmp_path} dbname=nobody", state=tmp_path)
    assert done.returncode == 3
    assert "PostgreSQL cannot be asked" in done.stderr
    assert "Traceback" not in done.stderr
