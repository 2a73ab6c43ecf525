"""Reads a trace as docs/trace-format.md describes it, on its own: the oracle for what the product says of it."""

import json
from functools import cached_property
from pathlib import Path

import duckdb

TABLES = ("events", "totals", "ledger", "processes")


def live_segments(trace: Path) -> list[str]:
    """Adds and merges of the manifest, less what a merge replaced or a removal took; a torn last line is not there."""
    live: dict[str, None] = {}
    for line in (trace / "manifest").read_text().split("\n")[:-1]:
        entry = json.loads(line)
        for gone in [*entry.get("from", []), entry.get("remove")]:
            live.pop(gone, None)
        added = entry.get("add") or entry.get("merge")
        if added:
            live[added] = None
    return list(live)


class Trace:
    """Views `events`, `totals`, `ledger`, `processes` over the segments that are live now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about = json.loads((path / "trace.json").read_text())

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        """When first asked for: whoever only wants to know whether a trace has ended opens no file that may go just then."""
        database = duckdb.connect(":memory:")
        segments = live_segments(self.path)
        for table in TABLES:
            files = [str(self.path / one) for one in segments if one.startswith(table + "/")]
            if files:
                listed = ", ".join("'" + one.replace("'", "''") + "'" for one in files)
                database.execute(f"create view {table} as select * from read_parquet([{listed}], union_by_name = true)")
        return database

    def rows(self, query: str, *values: object) -> list[tuple]:
        return self._database.execute(query, list(values)).fetchall()

    def one(self, query: str, *values: object) -> object:
        return self.rows(query, *values)[0][0]

    def counts(self, where: str = "true") -> dict[str, int]:
        """How many of each op, over stored events."""
        return dict(self.rows(f"select op, count(*) from events where {where} group by op"))

    def ledger(self) -> dict[str, int]:
        names = ("seen", "stored", "dropped", "removed")
        if not any(one.startswith("ledger/") for one in live_segments(self.path)):
            return dict.fromkeys(names, 0)
        values = self.rows(
            "select " + ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in names) + " from ledger"
        )[0]
        return dict(zip(names, values, strict=True))

    def assert_balanced(self, *, lost: int | None = 0) -> None:
        """seen = stored + lost, totals = seen, and the rows that are there are those the ledger calls stored."""
        ledger = self.ledger()
        assert ledger["seen"] == ledger["stored"] + ledger["dropped"], ledger
        assert self.one("select coalesce(sum(count), 0)::bigint from totals") == ledger["seen"], ledger
        assert self.one("select count(*) from events") == ledger["stored"] - ledger["removed"], ledger
        assert self.one("select count(distinct (stream, seq)) from events") == ledger["stored"] - ledger["removed"], (
            ledger
        )
        if lost is not None:
            assert ledger["dropped"] == lost, ledger
