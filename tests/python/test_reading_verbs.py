"""The verbs that read, as a person runs them: a process with arguments, two streams and a status."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import DEADLINE_S, Run, command_line
from samples import database_run, short_run
from tracewriter import START_NS, TraceWriter, event

Stored = Callable[[str, str], None]

ENDLESS = "select count(*) from range(1000000) a, range(1000000) b where a.range + b.range = -1"


@pytest.fixture
def two(traces: Path) -> list[TraceWriter]:
    """A database run, and after it a short one."""
    older = database_run(traces / "db_bench-4711")
    newer = short_run(traces / "cat-912")
    newer.describe(start_ns=START_NS + 1)
    return [older, newer]


def test_report_shows_the_newest_trace(two: list[TraceWriter], glassfs: Run, same_as_stored: Stored):
    done = glassfs("report")
    assert (done.returncode, done.stderr) == (0, "")
    same_as_stored("report", done.stdout.rstrip("\n"))


def test_report_takes_a_name_sections_and_filters(two: list[TraceWriter], glassfs: Run, same_as_stored: Stored):
    options = ["--calls", "--files", "--processes", "--errors", "-n", "3", "--path", "*.log", "--path", "CURRENT*"]
    done = glassfs("report", "db_b", *options)
    assert (done.returncode, done.stderr) == (0, "")
    same_as_stored("report-sections", done.stdout.rstrip("\n"))


def test_a_filtered_summary_says_of_how_many(two: list[TraceWriter], glassfs: Run, same_as_stored: Stored):
    done = glassfs("report", "db_bench-4711", "--op", "read", "--min-latency", "20us")
    same_as_stored("report-filtered", done.stdout.rstrip("\n"))


def test_every_answer_is_one_json_object_with_its_schema(two: list[TraceWriter], glassfs: Run):
    summary = json.loads(glassfs("report", "db", "--json").stdout)
    assert summary["schema"] == 1
    assert summary["count"] == 1728
    assert [row["name"] for row in summary["classes"]] == ["read", "write", "sync", "open", "metadata", "namespace"]
    assert summary["warnings"] == []
    tables = json.loads(glassfs("report", "db", "--json", "--calls", "--files", "--processes", "--errors").stdout)
    assert set(tables) == {"schema", "headline", "ops", "files", "threads", "errors", "warnings"}
    assert tables["files"][0]["latency"].keys() == {"average_ns", "min_ns", "p50_ns", "p99_ns", "max_ns"}
    listed = json.loads(glassfs("traces", "--json").stdout)
    assert [row["name"] for row in listed["traces"]] == ["cat-912", "db_bench-4711"]


def test_calls_prints_a_line_a_call_and_filters(two: list[TraceWriter], glassfs: Run):
    assert len(glassfs("calls", "db").stdout.splitlines()) == 1728
    slow = glassfs("calls", "db", "--slow", "80ms").stdout.splitlines()
    assert slow == [each for each in glassfs("calls", "db", "--op", "sync").stdout.splitlines() if "<81.0ms>" in each]
    assert len(glassfs("calls", "db", "-n", "7").stdout.splitlines()) == 7


def test_calls_as_json_keeps_names_exactly(two: list[TraceWriter], glassfs: Run):
    rows = [json.loads(line) for line in glassfs("calls", "@1", "--json").stdout.splitlines()]
    assert [row["seq"] for row in rows] == list(range(10))
    assert rows[3]["path"] == "/home/ana/db/b\n\x1b[31m"
    assert rows[6]["path2"] == "/home/ana/db/\\xff\u202e"


def test_a_reader_that_has_seen_enough_ends_calls_without_a_word(two: list[TraceWriter]):
    for verb in (["calls", "db"], ["calls", "db", "-f"], ["sql", "--format", "csv", "from range(100000000)"]):
        process = subprocess.Popen(command_line(*verb), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE_S) == -signal.SIGPIPE


def lines_until(process: subprocess.Popen[str], wanted: int) -> list[str]:
    """Waits for so many lines, no longer than the deadline."""
    assert process.stdout
    deadline = time.monotonic() + DEADLINE_S
    text = ""
    while text.count("\n") < wanted:
        ready, _, _ = select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"only {text.count(chr(10))} of {wanted} lines came"
        text += os.read(process.stdout.fileno(), 65536).decode()
    return text.splitlines()


@pytest.fixture
def following(traces: Path) -> Iterator[tuple[TraceWriter, subprocess.Popen[str]]]:
    """`calls -f` on a live trace of three events; the writer goes on in the test."""
    writer = TraceWriter(traces / "live-1")
    writer.live()
    writer.add(event(seq) for seq in range(3))
    process = subprocess.Popen(
        command_line("calls", "live-1", "-f", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield writer, process
    finally:
        process.kill()
        process.communicate()


def test_following_shows_each_row_once_and_ends_with_the_trace(
    following: tuple[TraceWriter, subprocess.Popen[str]],
):
    writer, process = following
    lines = lines_until(process, 3)
    names = [writer.add([event(3)]), writer.add([event(4)])]
    lines += lines_until(process, 2)
    writer.merge(names, delete=True)
    writer.add([event(5)])
    lines += lines_until(process, 1)
    writer.add([event(6)])
    writer.end()
    assert process.wait(DEADLINE_S) == 0
    out, talk = process.communicate()
    assert [json.loads(line)["seq"] for line in [*lines, *out.splitlines()]] == list(range(7))
    assert talk == ""


def test_following_ends_by_ctrl_c_without_a_traceback(following: tuple[TraceWriter, subprocess.Popen[str]]):
    _, process = following
    lines_until(process, 3)
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, talk) == (-signal.SIGINT, "")


def test_following_a_finished_trace_prints_it_and_ends(two: list[TraceWriter], glassfs: Run):
    assert glassfs("calls", "cat-912", "-f").stdout == glassfs("calls", "cat-912").stdout


def test_sql_prints_a_table_csv_and_json(two: list[TraceWriter], glassfs: Run, same_as_stored: Stored):
    query = "select op, count(*) as n, max(path2) as other, avg(size) as size from events group by op order by op"
    texts = [glassfs("sql", "db", query, "--format", form).stdout for form in ("table", "csv", "json")]
    same_as_stored("sql", "\n".join(texts).rstrip("\n"))
    assert json.loads(texts[2])["rows"][0] == {"op": "create", "n": 16, "other": None, "size": None}


def test_sql_takes_its_query_from_stdin_and_the_newest_trace(two: list[TraceWriter], glassfs: Run):
    done = glassfs("sql", "-", "--format", "csv", input="select count(*) as n from events")
    assert done.stdout == "n\n10\n"


def test_sql_cuts_a_long_table_and_says_so(two: list[TraceWriter], glassfs: Run):
    done = glassfs("sql", "db", "select seq from events", "--limit", "5")
    assert len(done.stdout.splitlines()) == 6
    assert "first 5 rows" in done.stderr
    assert len(glassfs("sql", "db", "select seq from events", "--limit", "0").stdout.splitlines()) == 1729


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("selec 1", "syntax error"),
        ("select pth from events", "Candidate bindings"),
        ("copy (select 1) to 'x.csv'", "only read"),
        ("from read_csv('/etc/passwd')", "Permission Error"),
    ],
)
def test_sql_that_cannot_be_answered_is_a_usage_error(two: list[TraceWriter], glassfs: Run, query: str, what: str):
    done = glassfs("sql", "db", query)
    assert (done.returncode, done.stdout) == (2, "")
    assert what in done.stderr
    assert "Traceback" not in done.stderr


def test_sql_stops_at_its_time_limit(two: list[TraceWriter], glassfs: Run):
    began = time.monotonic()
    done = glassfs("sql", "db", ENDLESS, "--timeout", "500ms")
    assert done.returncode == 1
    assert "0.5 s" in done.stderr
    assert time.monotonic() - began < DEADLINE_S / 4


@pytest.mark.parametrize("query", [ENDLESS, "select max(range) from range(10000000000000)"])
def test_ctrl_c_ends_an_endless_query_within_a_second(two: list[TraceWriter], query: str):
    process = subprocess.Popen(command_line("sql", "db", query), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: cpu_seconds(process.pid) > 1.0)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, talk = process.communicate(timeout=DEADLINE_S)
        # One second is what it must take; the rest is for a machine that does other things besides.
        assert time.monotonic() - began < 2
        assert (process.returncode, out, talk) == (-signal.SIGINT, b"", b"")
    finally:
        process.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_traces_lists_newest_first_with_their_state(two: list[TraceWriter], traces: Path, glassfs: Run):
    live = TraceWriter(traces / "live-1", start_ns=START_NS + 10**9)
    live.live()
    live.add([event(0)], dropped=3)
    live.describe(end_ns=None)
    (traces / "broken").mkdir()
    (traces / "broken/trace.json").write_text("{")
    done = glassfs("traces")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["@1", "live-1"],
        ["@2", "cat-912"],
        ["@3", "db_bench-4711"],
        ["@4", "broken"],
    ]
    assert ["live" in lines[1], "ended" in lines[2], "damaged" in lines[4]] == [True] * 3
    assert lines[1].split()[5:8] == ["4", "3", lines[1].split()[7]]
    assert "broken" in done.stderr
    assert done.returncode == 0


def test_without_traces_the_list_says_how_to_make_one(glassfs: Run):
    done = glassfs("traces")
    assert (done.returncode, done.stdout) == (0, "")
    assert "glassfs run" in done.stderr


def test_traces_are_removed_by_name_all_or_none(two: list[TraceWriter], traces: Path, glassfs: Run):
    wrong = glassfs("traces", "remove", "cat-912", "nonesuch")
    assert wrong.returncode == 2
    assert len(list(traces.iterdir())) == 2
    done = glassfs("traces", "remove", "@1", "cat-912", "@2")
    assert (done.returncode, done.stdout) == (0, "")
    assert list(traces.iterdir()) == []


def test_a_damaged_trace_can_be_removed_and_a_live_one_cannot(two: list[TraceWriter], traces: Path, glassfs: Run):
    (traces / "cat-912/trace.json").write_text("{")
    two[0].live()
    two[0].describe(end_ns=None)
    done = glassfs("traces", "remove", "cat-912", "db_bench-4711")
    assert done.returncode == 1
    assert "still being recorded" in done.stderr
    assert len(list(traces.iterdir())) == 2
    assert glassfs("traces", "remove", "cat-912").returncode == 0
    assert [each.name for each in traces.iterdir()] == ["db_bench-4711"]


def test_prune_says_first_what_it_would_do(two: list[TraceWriter], traces: Path, glassfs: Run):
    dry = glassfs("traces", "prune", "--keep", "1", "--dry-run")
    assert dry.stdout.split()[0] == "db_bench-4711"
    assert "1 trace would be removed" in dry.stderr
    assert len(list(traces.iterdir())) == 2
    done = json.loads(glassfs("traces", "prune", "--keep", "1", "--json").stdout)
    assert [each["name"] for each in done["removed"]] == ["db_bench-4711"]
    assert [each.name for each in traces.iterdir()] == ["cat-912"]
    assert glassfs("traces", "prune").returncode == 2


def test_a_check_names_damage_and_ends_with_one(two: list[TraceWriter], traces: Path, glassfs: Run):
    assert glassfs("traces", "check", "cat-912").returncode == 0
    segment = next((traces / "cat-912/events").iterdir())
    data = segment.read_bytes()
    segment.write_bytes(data[:400] + b"\x00\x01" + data[402:])
    done = glassfs("traces", "check", "cat-912")
    assert done.returncode == 1
    assert segment.name in done.stderr


def test_damage_is_warned_of_on_stderr_and_the_rest_is_answered(two: list[TraceWriter], traces: Path, glassfs: Run):
    segment = sorted((traces / "db_bench-4711/events").iterdir())[0]
    segment.write_bytes(segment.read_bytes()[:1000])
    for verb in (["report"], ["calls"], ["sql", "select count(*) from events"]):
        done = glassfs(verb[0], "db_bench-4711", *verb[1:])
        assert done.returncode == 0
        assert f"warning: events/{segment.name} is cut off" in done.stderr
    assert json.loads(glassfs("report", "db", "--json").stdout)["warnings"]


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (["report", "nonesuch"], 2, "no trace is called 'nonesuch'"),
        (["report", "/nonexistent"], 2, "no trace here"),
        (["report", "--op", "redd"], 2, "Did you mean read"),
        (["calls", "--slow", "10"], 2, "Say the unit"),
        (["calls", "--from", "noon"], 2, "no time"),
        (["sql", "a", "b", "c"], 2, "Quote the query"),
        (["traces", "prune", "--max-size", "big"], 2, "no size"),
    ],
)
def test_misuse_is_one_clear_message(
    two: list[TraceWriter], glassfs: Run, arguments: list[str], status: int, what: str
):
    done = glassfs(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert what in done.stderr
    assert "Traceback" not in done.stderr


def test_a_newer_schema_is_refused_with_what_to_do(two: list[TraceWriter], glassfs: Run):
    two[1].describe(schema={"major": 9, "minor": 0})
    done = glassfs("report", "cat-912")
    assert done.returncode == 3
    assert "schema 9" in done.stderr


def test_on_a_terminal_views_are_coloured_and_names_stay_safe(two: list[TraceWriter]):
    assert b"\x1b[1m" in on_a_terminal("report", "db", NO_COLOR="")
    assert b"\x1b[1m" not in on_a_terminal("report", "db", NO_COLOR="1")
    for verb in (["calls", "cat-912"], ["sql", "cat-912", "select path, path2 from events", "--format", "csv"]):
        text = on_a_terminal(*verb, NO_COLOR="1")
        assert b"\x1b" not in text
        assert "\u202e".encode() not in text


def on_a_terminal(*arguments: str, **environment: str) -> bytes:
    """What the command writes to a terminal of 100 columns."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(environment, COLUMNS="100", TERM="xterm")
        line = command_line(*arguments)
        os.execv(line[0], line)
    text = b""
    try:
        while chunk := os.read(terminal, 65536):
            text += chunk
    except OSError:
        # How a terminal says that the other end is gone.
        pass
    finally:
        os.waitpid(child, 0)
        os.close(terminal)
    return text
