"""A cluster that cannot keep up, and `when_behind: totals`: single calls are left out, counted and said, and the totals
stay those of the trace. A real program, `glassfs serve` and a real server, with a proxy between that refuses for a while.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from live import Home, Traced
from shipping import held, is_found
from test_numbers import assert_totals_are_the_reports, reported

from support import traces
from support.fault_proxy import fault_proxy
from support.servers import RealServer
from support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.mount, pytest.mark.deadline(300)]

BEHIND_S = 2
# At most five batches are under way or read ahead; what comes after them waits in the trace.
SEGMENTS_WHILE_IT_REFUSES = 7
DONE_IN_S = 60
SKIPPED = "left out and counted as skipped"
# More than a shipper can try meanwhile.
REFUSALS = ["503"] * 10_000

# Works once for each line that it gets, and says when it has.
PROGRAM = """
import os, sys
for line in sys.stdin:
    with open(line.strip(), "wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 100)
        os.fsync(file.fileno())
    print("done", flush=True)
"""


def test_it_falls_back_to_totals_says_so_and_they_are_the_traces(server: RealServer, tmp_path: Path) -> None:
    with fault_proxy(server.port, []) as proxy:
        home = Home(tmp_path / "home", {"elastic.hosts": proxy.url})
        home.elastic("setup")
        policy = {"elastic__when_behind": "totals", "elastic__behind_s": BEHIND_S, "sampler__enabled": "false"}
        with home.serving(**policy), home.traced(PROGRAM) as program:
            program.work("before")
            wait_until(lambda: is_found(server, "before"), "the calls before", DONE_IN_S)
            proxy.then(REFUSALS)
            refused_while(program, home)
            proxy.then([])
            wait_until(lambda: warnings(home), "a word in the log", DONE_IN_S)
            wait_until(lambda: SKIPPED in home.elastic("status").stderr, "the same from status", DONE_IN_S)
            program.work("after")
            wait_until(lambda: is_found(server, "after"), "the calls after", DONE_IN_S)
            # Not before the last refused batch was tried again: the cursor passes over nothing that is not answered,
            # and whoever goes on from it finds an ended trace, of which nothing is left out.
            wait_until(lambda: skipped(home), "a cursor beyond what was left out", DONE_IN_S)
        with home.serving(**policy):
            wait_until(lambda: home.is_shipped(home.trace_id()), "the end of the trace", DONE_IN_S)
        (told,) = json.loads(home.elastic("status", "--json").stdout)["traces"]
    trace = traces.Trace(home.trace())
    stored = {f"{trace.about['id']}-{stream}-{seq}" for stream, seq in trace.rows("select stream, seq from events")}
    found = held(server)
    assert set(found) < stored and set(found.values()) == {1}
    assert told["shipped"] == len(found) and told["skipped"] == len(stored) - len(found) > 0
    assert_totals_are_the_reports(server, reported(home.trace(), "--calls"))


def refused_while(program: Traced, home: Home) -> None:
    enough = segments(home) + SEGMENTS_WHILE_IT_REFUSES

    def worked() -> bool:
        program.work("meanwhile")
        return segments(home) >= enough

    wait_until(worked, "segments that nobody takes", DONE_IN_S)
    wait_until(lambda: age_s(home) > BEHIND_S, "all of them to be too old", DONE_IN_S)


def added(home: Home) -> list[dict[str, Any]]:
    """Of whole lines: the recorder may be at the next one."""
    whole = (home.trace() / "manifest").read_text().rpartition("\n")[0]
    lines = [json.loads(line) for line in whole.splitlines()]
    return [line for line in lines if line.get("add", "").startswith("events/")]


def segments(home: Home) -> int:
    return len(added(home))


def age_s(home: Home) -> float:
    """Of the youngest call that is stored."""
    return (time.time_ns() - max(each["to_ns"] for each in added(home))) / 1e9


def skipped(home: Home) -> int:
    (cursor,) = home.cursors(home.trace_id())
    count: int = cursor["counts"]["skipped"]
    return count


def warnings(home: Home) -> list[str]:
    return [line["message"] for line in home.said() if line["event.action"] == "warned" and SKIPPED in line["message"]]
