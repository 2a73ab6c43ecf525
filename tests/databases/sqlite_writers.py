"""Several processes insert into one SQLite database at once.

sqlite_writers.py DATABASE JOURNAL_MODE PROCESSES ROWS
"""

import os
import sqlite3
import sys


def connect(path: str, journal: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute(f"pragma journal_mode={journal}")
    return connection


def insert(path: str, journal: str, writer: int, rows: int) -> None:
    connection = connect(path, journal)
    for number in range(rows):
        connection.execute("begin immediate")
        connection.execute("insert into t values (?, ?, ?)", (writer, number, os.urandom(300).hex()))
        connection.execute("update counter set n = n + 1")
        connection.execute("commit")


def main() -> None:
    path, journal, writers, rows = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    setup = connect(path, journal)
    setup.execute("create table t (writer, number, filler, primary key (writer, number))")
    setup.execute("create table counter (n)")
    setup.execute("insert into counter values (0)")
    setup.close()
    children = []
    for writer in range(writers):
        child = os.fork()
        if child == 0:
            insert(path, journal, writer, rows)
            os._exit(0)
        children.append(child)
    worst = max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    after = connect(path, journal)
    print(
        worst,
        after.execute("select count(*) from t").fetchone()[0],
        after.execute("select n from counter").fetchone()[0],
        after.execute("pragma integrity_check").fetchone()[0],
    )


if __name__ == "__main__":
    main()
