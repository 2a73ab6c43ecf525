"""Shipping to real servers: each event exactly once, as it is in the trace, and what is not shipped is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shipping import TraceWriter, documents, event, held, ids, now_ns, search, set_up, settings, ship, written

from glassfs.elastic import cursor, fields
from glassfs.elastic.cursor import Counts
from glassfs.families import names
from glassfs.families.names import Known, Relation
from glassfs.query.schema import COLUMNS
from support.servers import RealServer

DAY_NS = 86_400 * 1_000_000_000


def counts_of(directory: Path, writer: TraceWriter) -> Counts:
    (file,) = directory.glob(f"*/*/{writer.about['id']}.json")
    state = cursor.read(file)
    assert state is not None and state.complete
    return state.counts


def leaves(document: Any, path: str = "") -> set[str]:
    if isinstance(document, dict) and path != "labels":
        return {leaf for name, value in document.items() for leaf in leaves(value, f"{path}.{name}".strip("."))}
    return {path}


def test_a_trace_arrives_exactly_once_and_a_second_time_changes_nothing(server: RealServer, tmp_path: Path):
    set_up(server)
    writer = written(tmp_path / "trace", 12_000)
    for state in ("shipping", "forgotten"):
        ship(settings(server.url), writer.path, tmp_path / state)
        assert held(server) == dict.fromkeys(ids(writer, 12_000), 1)
        assert counts_of(tmp_path / state, writer) == Counts(shipped=12_000)


def test_the_fields_are_those_of_the_table(server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    set_up(server)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    names.save(Known("a-server", 1, [Relation(event(0)["path"], "postgresql.heap", "bank.public.t")]))
    writer = TraceWriter(tmp_path / "trace", start_ns=now_ns())
    writer.segment(
        "processes",
        [{"ts_ns": now_ns(), "pid": 4711, "tid": 4711, "ppid": 1, "comm": "db", "exe": "/bin/db", "cmdline": "db -x"}],
    )
    everything = {
        "ts_ns": now_ns(),
        "errno": 2,
        "path2": "/new",
        "offset": 1,
        "size": 2,
        "flags": 3,
        "mode": 4,
        "fh": 5,
        "syscall_nr": 6,
    }
    writer.add([event(0, op="symlink", **everything), event(1, op="read", **everything)])
    writer.describe(
        end_ns=now_ns(), end_reason="unmounted", command={"argv": ["db", "-x"], "cwd": "/home", "pid": 1, "uid": 0}
    )
    ship(settings(server.url, labels={"team": "storage"}), writer.path, tmp_path / "shipping")
    shipped = {
        group: {leaf for hit in documents(server, f"glassfs-{group}-*") for leaf in leaves(hit["_source"])}
        - {"_doc_count"}
        for group in ("events", "totals", "traces")
    }
    for group, found in shipped.items():
        known = {field.name for field in fields.GROUPS[group]}
        assert found <= known, f"{group}: not in the table"
    assert {field.name for field in fields.GROUPS["events"]} == shipped["events"]
    assert {field.name for field in fields.GROUPS["totals"]} == shipped["totals"]


def test_a_process_is_what_it_was_when_it_made_the_call(server: RealServer, tmp_path: Path):
    set_up(server)
    start = now_ns()
    writer = TraceWriter(tmp_path / "trace", start_ns=start)
    facts = [(start + 1_000, "sh", "/bin/sh"), (start + 2_000, "make", "/usr/bin/make")]
    writer.segment(
        "processes", [{"ts_ns": ts, "pid": 4711, "tid": 4711, "comm": comm, "exe": exe} for ts, comm, exe in facts]
    )
    times = (start, start + 1_500, start + 2_000, start + 9_000)
    writer.add([event(seq, ts_ns=ts) for seq, ts in enumerate(times)])
    writer.end()
    ship(settings(server.url), writer.path, tmp_path / "shipping")
    named = {hit["_source"]["event"]["sequence"]: hit["_source"]["process"]["name"] for hit in documents(server)}
    assert named == {0: "sh", 1: "sh", 2: "make", 3: "make"}


def test_names_that_are_not_utf8_stay_different(server: RealServer, tmp_path: Path):
    set_up(server)
    writer = TraceWriter(tmp_path / "trace", start_ns=now_ns())
    names = ["/db/\\xff", "/db/\\xfe", "/db/\\\\xff", "/db/ÿ", '/db/"quoted"\n', "/db/ 😀", "/db/.hidden", "/"]
    writer.add([event(seq, ts_ns=now_ns(), path=name) for seq, name in enumerate(names)])
    writer.end()
    ship(settings(server.url), writer.path, tmp_path / "shipping")
    buckets = search(server, "glassfs-events-*", {"paths": {"terms": {"field": "file.path", "size": 20}}})["paths"]
    assert sorted(bucket["key"] for bucket in buckets["buckets"]) == sorted(names)
    files = {hit["_source"]["event"]["sequence"]: hit["_source"]["file"] for hit in documents(server)}
    assert (files[0]["name"], files[0]["directory"]) == ("\\xff", "/db")
    assert "extension" not in files[6] and "name" not in files[7]


def test_integers_above_2_to_the_53_are_exact(server: RealServer, tmp_path: Path):
    set_up(server)
    big, ts_ns = (1 << 53) + 1, now_ns() // 10 * 10 + 7
    writer = TraceWriter(tmp_path / "trace", start_ns=ts_ns)
    writer.add(
        [event(0, ts_ns=ts_ns, offset=big, result=(1 << 63) - 1, op="lseek", ino=(1 << 64) - 1, fh=(1 << 64) - 2)]
    )
    writer.end()
    ship(settings(server.url), writer.path, tmp_path / "shipping")
    (hit,) = documents(server)
    one = hit["_source"]
    assert (one["glassfs"]["offset"], one["glassfs"]["result"]) == (big, (1 << 63) - 1)
    assert (one["file"]["inode"], one["glassfs"]["fh"]) == (str((1 << 64) - 1), str((1 << 64) - 2))
    assert one["@timestamp"].endswith(f"{ts_ns % 1_000_000_000:09}Z")
    for value, found in ((big, 1), (big - 1, 0)):
        query = {"term": {"glassfs.offset": value}}
        assert server.ask("POST", "/glassfs-events-*/_count", {"query": query})["count"] == found


def test_a_trace_of_another_release_ships(server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An older one lacks columns, a newer minor has more."""
    set_up(server)
    with monkeypatch.context() as other:
        other.delitem(COLUMNS["events"], "syscall_nr")
        other.delitem(COLUMNS["processes"], "exe")
        other.setitem(COLUMNS["events"], "colour", "VARCHAR")
        writer = TraceWriter(tmp_path / "trace", start_ns=now_ns(), schema={"major": 1, "minor": 7}, novelty={"a": 1})
        writer.process(4711, "db_bench")
        rows = [event(seq, ts_ns=now_ns(), colour="red") for seq in range(10)]
        writer.add(rows)
    writer.end()
    ship(settings(server.url), writer.path, tmp_path / "shipping")
    assert held(server) == {f"{writer.about['id']}-0-{seq}": 1 for seq in range(10)}
    assert documents(server)[0]["_source"]["process"]["name"] == "db_bench"


def test_a_document_that_is_refused_is_kept_and_blocks_nothing(server: RealServer, tmp_path: Path):
    set_up(server)
    writer = TraceWriter(tmp_path / "trace", start_ns=now_ns())
    start = now_ns()
    writer.add(
        [
            event(seq, ts_ns=start, op="rename" if seq % 10 == 0 else "read", path2="/new" if seq % 10 == 0 else None)
            for seq in range(100)
        ]
    )
    writer.end()
    from glassfs.elastic import indices

    conflict = {"properties": {"glassfs": {"properties": {"path2": {"type": "long"}}}}}
    server.ask("PUT", f"/{indices.events('default', start)}", {"mappings": conflict})
    ship(settings(server.url), writer.path, tmp_path / "shipping")
    assert counts_of(tmp_path / "shipping", writer) == Counts(shipped=90, rejected=10)
    (file,) = (tmp_path / "shipping").glob("*/*/*.rejected.jsonl")
    letters = [json.loads(line) for line in file.read_text().splitlines()]
    assert {letter["document"]["event"]["sequence"] for letter in letters} == set(range(0, 100, 10))
    assert all(letter["status"] == 400 and "path2" in letter["error"]["reason"] for letter in letters)
    assert sum(held(server).values()) == 90


@pytest.mark.parametrize(
    ("chosen", "passes"),
    [
        ({"ship": "slow", "slow_ms": 5.0}, lambda row: row["duration_ns"] >= 5_000_000),
        ({"ship": "errors"}, lambda row: row["errno"] != 0),
        ({"ship": "totals"}, lambda row: False),
    ],
    ids=["slow", "errors", "totals"],
)
def test_only_the_chosen_calls_are_shipped_and_the_totals_of_all(
    server: RealServer, tmp_path: Path, chosen: dict[str, Any], passes: Any
):
    set_up(server)
    start = now_ns() - 10_000_000_000
    writer = TraceWriter(tmp_path / "trace", start_ns=start)
    rows = [
        event(seq, ts_ns=start + seq, duration_ns=seq * 10_000, errno=2 if seq % 7 == 0 else 0) for seq in range(1000)
    ]
    writer.add(rows)
    writer.end()
    ship(settings(server.url, **chosen), writer.path, tmp_path / "shipping")
    expected = {f"{writer.about['id']}-0-{row['seq']}" for row in rows if passes(row)}
    assert set(held(server)) == expected
    if chosen["ship"] != "totals":
        assert counts_of(tmp_path / "shipping", writer) == Counts(shipped=len(expected), left_out=1000 - len(expected))
    totals = search(
        server,
        "glassfs-totals-*",
        {"calls": {"sum": {"field": "glassfs.totals.calls"}}, "ops": {"terms": {"field": "event.action"}}},
    )
    assert totals["calls"]["value"] == totals["ops"]["buckets"][0]["doc_count"] == 1000


def test_a_sample_is_about_one_in_n_and_the_same_each_time(server: RealServer, tmp_path: Path):
    set_up(server)
    writer = written(tmp_path / "trace", 20_000)
    for state in ("one", "two"):
        ship(settings(server.url, ship="sampled", sample_one_in=20), writer.path, tmp_path / state)
        assert 900 < sum(held(server).values()) < 1100
    places = sorted(int(each.rpartition("-")[2]) for each in held(server))
    gaps = {later - earlier for earlier, later in zip(places, places[1:], strict=False)}
    assert len(gaps) > 1, "a program's own rhythm must not meet the sample's"


def test_what_is_older_than_retention_is_counted_and_makes_no_index(server: RealServer, tmp_path: Path):
    """As `serve` follows it; loading a trace by name is for old ones, too."""
    from glassfs.config.model import Traces

    set_up(server)
    start = now_ns() - 9 * DAY_NS
    writer = TraceWriter(tmp_path / "trace", start_ns=start)
    writer.add([event(seq, ts_ns=start + seq * DAY_NS) for seq in range(10)])
    writer.end()
    followed = settings(server.url)
    followed = type(followed)(elastic=followed.elastic, traces=Traces(follow=[str(writer.path)]))
    shipped = follow_until_complete(followed, writer, tmp_path / "shipping")
    within, last_day = ({f"{writer.about['id']}-0-{seq}" for seq in seqs} for seqs in ((3, 4, 5, 6, 7, 8, 9), (2,)))
    assert within <= set(held(server)) <= within | last_day
    assert shipped.shipped + shipped.expired == 10 and shipped.expired >= 2
    ship(settings(server.url), writer.path, tmp_path / "asked for")
    assert len(held(server)) == 10


def follow_until_complete(config: Any, writer: TraceWriter, directory: Path) -> Counts:
    from shipping import running

    from glassfs.config.secrets import Credentials
    from glassfs.elastic.shipper import Shipper
    from support.waiting import wait_until

    with running(Shipper(config, Credentials(), directory=directory)):
        wait_until(
            lambda: any('"complete":true' in file.read_text() for file in directory.glob("*/*/[0-9a-f]*.json")),
            "the end",
        )
    return counts_of(directory, writer)


def test_what_the_size_limit_took_before_it_was_shipped_is_counted(server: RealServer, tmp_path: Path):
    set_up(server)
    start = now_ns()
    writer = TraceWriter(tmp_path / "trace", start_ns=start)
    first = writer.add([event(seq, ts_ns=start) for seq in range(30)])
    writer.add([event(seq, ts_ns=start) for seq in range(30, 50)])
    writer.remove(first, 30)
    writer.end()
    ship(settings(server.url), writer.path, tmp_path / "shipping")
    assert counts_of(tmp_path / "shipping", writer) == Counts(shipped=20, removed=30)
    (hit,) = documents(server, "glassfs-traces-*")
    assert hit["_source"]["glassfs"]["ledger"]["removed"] == 30


def test_a_damaged_segment_is_counted_and_the_rest_ships(server: RealServer, tmp_path: Path):
    set_up(server)
    start = now_ns()
    writer = TraceWriter(tmp_path / "trace", start_ns=start)
    first = writer.add([event(seq, ts_ns=start) for seq in range(30)])
    writer.add([event(seq, ts_ns=start) for seq in range(30, 50)])
    writer.end()
    (writer.path / first).write_bytes(b"PAR1 no segment PAR1")
    shipper = ship(settings(server.url), writer.path, tmp_path / "shipping")
    assert counts_of(tmp_path / "shipping", writer) == Counts(shipped=20, unreadable=30)
    assert any("30 rows left out" in warning for warning in shipper.report.warnings())


def test_with_hash_paths_no_real_name_leaves(server: RealServer, tmp_path: Path):
    set_up(server)
    from glassfs.config.model import HashPaths

    key = tmp_path / "key"
    key.write_text("0123456789abcdef0123456789abcdef")
    start = now_ns()
    secrets = ("topsecret", "merger", "budget", "ledgerfile", "secretprog")
    writer = TraceWriter(
        tmp_path / "trace-secretprog",
        start_ns=start,
        mounts=[{"connection": 0, "source": "/topsecret", "mount_point": "/topsecret", "fs_type": "ext4"}],
    )
    writer.segment(
        "processes",
        [
            {
                "ts_ns": start,
                "pid": 4711,
                "tid": 4711,
                "comm": "secretprog",
                "exe": "/topsecret/secretprog",
                "cmdline": "secretprog budget",
            }
        ],
    )
    paths = [("/topsecret/merger/budget.ledgerfile", None), ("/topsecret/merger", "/topsecret/budget")]
    writer.add(
        [
            event(seq, ts_ns=start, path=path, path2=other, op="rename", comm="secretprog")
            for seq, (path, other) in enumerate(paths)
        ]
    )
    command = {"argv": ["secretprog", "budget"], "cwd": "/topsecret/merger", "pid": 1, "uid": 0}
    writer.describe(end_ns=start + 1, command=command)
    hidden = settings(server.url, hash_paths=HashPaths(enabled=True, key_file=str(key)))
    ship(hidden, writer.path, tmp_path / "shipping")
    shipped = [hit for group in ("events", "totals", "traces") for hit in documents(server, f"glassfs-{group}-*")]
    text = json.dumps(shipped)
    assert len(shipped) >= 4 and not [secret for secret in secrets if secret in text]
    one, two = sorted((hit["_source"] for hit in documents(server)), key=lambda each: each["event"]["sequence"])
    assert one["file"]["directory"] == two["file"]["path"], "what lies together stays together"
    assert "extension" not in one["file"] and "command_line" not in one["process"]


def test_a_second_of_the_totals_is_corrected_by_late_counts_and_never_doubled(server: RealServer, tmp_path: Path):
    set_up(server)
    start = now_ns() // 1_000_000_000 * 1_000_000_000 - 20_000_000_000
    writer = TraceWriter(tmp_path / "trace", start_ns=start)
    writer.add([event(seq, ts_ns=start + seq, duration_ns=1000, result=10) for seq in range(100)])
    writer.end()
    config = settings(server.url, ship="totals")
    ship(config, writer.path, tmp_path / "one")
    # One more segment with counts of the same second, and all of it shipped from the beginning again.
    writer.totals_of([event(1000 + seq, ts_ns=start + 1, duration_ns=1000, result=10) for seq in range(50)])
    for state in ("two", "three"):
        ship(config, writer.path, tmp_path / state)
        sums = {name: {"sum": {"field": f"glassfs.totals.{name}"}} for name in ("calls", "bytes", "duration_ns")}
        found = search(server, "glassfs-totals-*", {**sums, "count": {"terms": {"field": "event.action"}}})
        assert [found[name]["value"] for name in sums] == [150, 1500, 150_000]
        assert found["count"]["buckets"][0]["doc_count"] == 150


def test_two_shippers_never_take_one_trace(server: RealServer, tmp_path: Path):
    from glassfs.elastic.cursor import Cursor, State
    from glassfs.errors import TraceInUse

    fresh = State(trace="a" * 32, name="one", folder="/x", kind="events", index_per="day", started_ns=0)
    first = Cursor(tmp_path, fresh)
    with pytest.raises(TraceInUse, match="another glassfs is shipping"):
        Cursor(tmp_path, fresh)
    first.close()
    Cursor(tmp_path, fresh).close()
