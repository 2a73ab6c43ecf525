"""Asks a PostgreSQL server which file is which table or index, through psql. Knows catalogues, not traces."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from typing import Any

from glassfs.errors import EnvironmentProblem
from glassfs.escaping import escape
from glassfs.families.names import Known, Relation

# A catalogue of some 100,000 relations is listed in a few seconds.
ANSWER_S = 120

# relkind of pg_class; what it says of a toast table's index is found by its table.
_FAMILIES = {
    "r": "postgresql.heap",
    "m": "postgresql.heap",
    "i": "postgresql.index",
    "t": "postgresql.toast",
    "S": "postgresql.sequence",
}

_SERVER = """
select json_build_object(
    'server', (select system_identifier::text from pg_control_system()),
    'data', current_setting('data_directory', true),
    'databases', (select json_agg(datname order by datname) from pg_database where datallowconn))"""

# The file is pg_relation_filepath's: the oid stops being the file's name at the first TRUNCATE or VACUUM FULL, and
# mapped catalogues have none in pg_class. A tablespace's link is followed, since a trace holds the path behind it.
_RELATIONS = """
select coalesce(json_agg(json_build_object(
    'database', current_database(), 'path', pg_relation_filepath(c.oid),
    'kind', case when n.nspname = 'pg_toast' then 't' else c.relkind::text end,
    'schema', coalesce(ns.nspname, n.nspname), 'name', coalesce(owner.relname, c.relname),
    'tablespace', c.reltablespace::text, 'location', pg_tablespace_location(c.reltablespace))), '[]')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_index i on i.indexrelid = c.oid and n.nspname = 'pg_toast'
left join pg_class owner on owner.reltoastrelid = coalesce(i.indrelid, c.oid) and n.nspname = 'pg_toast'
left join pg_namespace ns on ns.oid = owner.relnamespace
where pg_relation_filepath(c.oid) is not null and c.relkind in ('r', 'm', 'i', 't', 'S')"""


def ask(dsn: str) -> Known:
    """All relations of all databases that `dsn` may connect to. EnvironmentProblem if the server cannot be asked."""
    server = json.loads(_psql(dsn, _SERVER + ";"))
    if not server["data"]:
        raise EnvironmentProblem(
            "the server does not say where its files are",
            where="data_directory",
            next_step="Ask as a user with pg_monitor: GRANT pg_monitor TO ...",
        )
    script = "\n".join(_in_database(name) for name in server["databases"])
    lines = [line for line in _psql(dsn, script).splitlines() if line.startswith("[")]
    rows = [row for line in lines for row in json.loads(line)]
    return Known(f"postgresql-{server['server']}", time.time_ns(), sorted(_relations(rows, server["data"]), key=_path))


def _path(relation: Relation) -> str:
    return relation.path


def _relations(rows: Iterable[Mapping[str, Any]], data: str) -> Iterable[Relation]:
    for row in rows:
        file = str(row["path"])
        link = f"pg_tblspc/{row['tablespace']}/"
        whole = f"{row['location']}/{file.removeprefix(link)}" if file.startswith(link) else f"{data}/{file}"
        # Catalogues under global/ are every database's.
        of = [] if file.startswith("global/") else [row["database"]]
        yield Relation(escape(whole), _FAMILIES[row["kind"]], ".".join([*of, row["schema"], row["name"]]))


def _in_database(name: str) -> str:
    """psql keeps host, user and password, and takes another database."""
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    argument = f"dbname='{quoted}'".replace("\\", "\\\\").replace("'", "''")
    # A line an answer: json_agg parts its elements with line ends.
    flat = f"select replace(({_RELATIONS})::text, chr(10), ' ')"
    return f"\\connect -reuse-previous=on '{argument}'\n{flat};"


def _psql(dsn: str, script: str) -> str:
    command = ["psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", "-d", dsn]
    environment = {**os.environ, "PGCLIENTENCODING": "UTF8"}
    try:
        done = subprocess.run(
            command, input=script.encode(), capture_output=True, timeout=ANSWER_S, env=environment, check=False
        )
    except FileNotFoundError as problem:
        raise EnvironmentProblem(
            "psql is not installed", next_step="On Debian and Ubuntu: apt install postgresql-client"
        ) from problem
    except subprocess.TimeoutExpired as problem:
        raise EnvironmentProblem(f"the server did not answer within {ANSWER_S} s") from problem
    if done.returncode:
        raise EnvironmentProblem(
            f"PostgreSQL cannot be asked: {_first_line(done.stderr)}",
            next_step='Say how psql would reach it: glassfs names --pg "host=/run/postgresql user=postgres"',
        )
    return done.stdout.decode("utf-8")


def _first_line(said: bytes) -> str:
    text = said.decode("utf-8", "replace").strip()
    return text.partition("\n")[0].removeprefix("psql: error: ") or "psql said nothing"
