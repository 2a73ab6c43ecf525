"""The kernel plane against strace in the same run: the same calls with the same results, thread by thread, in their order,
each on the file, at the place and of the size that strace shows."""

import json
import sys
from pathlib import Path

import pytest
from folders import ROUNDS

from support import recorder
from support.differences import (
    CLOSED_RANGE,
    ELSEWHERE,
    MANY_BUFFERS,
    MESSAGES,
    NAMELESS,
    NO_FOLDER,
    NOT_REACHED,
    OF_MAPS,
    ONE_NAME,
    OTHER_NAME,
    REFUSED,
    REFUSED_TARGET,
    TOLD_TO_APPEND,
    is_answered_from_a_cached_entry,
)
from support.equality import Both, Difference, Unseen, strace
from support.needs import require
from support.traces import Trace

HERE = Path(__file__).parent
pytestmark = [pytest.mark.root, pytest.mark.mount]


EXACT = ("--exact",)


def both(
    directory: Path, words: list[str | Path], scratch: Path, *unseen: Unseen, mode: tuple[str, ...] = EXACT
) -> Both:
    prefix, trace = scratch / "strace/out", scratch / "traces/trace"
    done = recorder.run_traced(
        [directory], strace(prefix, *words), trace, extra=("--plane", "kernel", *mode), timeout=240, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return Both(directory, prefix, trace, unseen)


# What strace shows otherwise of each program.
EXCEPTIONS: dict[str, tuple[list[Unseen], list[Difference]]] = {
    "family": ([OF_MAPS, MESSAGES], [MANY_BUFFERS, ONE_NAME, NAMELESS]),
    "harder": (
        [OF_MAPS, MESSAGES, REFUSED, NOT_REACHED, CLOSED_RANGE],
        [ONE_NAME, NO_FOLDER, ELSEWHERE, REFUSED_TARGET, TOLD_TO_APPEND],
    ),
    "folders": ([], []),
}


@pytest.mark.parametrize("program", EXCEPTIONS)
def test_calls_of_every_family_are_those_that_strace_shows(program: str, directory: Path, scratch: Path) -> None:
    require("strace")
    unseen, differences = EXCEPTIONS[program]
    run = both(directory, [sys.executable, HERE / f"{program}.py", directory], scratch, *unseen)
    run.assert_equal(differences)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_mix_of_calls_in_four_processes_is_what_strace_shows(seed: int, directory: Path, scratch: Path) -> None:
    require("strace")
    words = [sys.executable, HERE / "workload.py", directory, str(seed), "4", "250"]
    both(directory, words, scratch).assert_equal([ONE_NAME])


@pytest.mark.parametrize("program", ["family", "harder", "folders"])
def test_without_exact_only_what_a_cached_entry_answers_is_not_there(
    program: str, directory: Path, scratch: Path
) -> None:
    require("strace")
    unseen, differences = EXCEPTIONS[program]
    run = both(directory, [sys.executable, HERE / f"{program}.py", directory], scratch, *unseen, mode=())
    missing = run.leave_out(is_answered_from_a_cached_entry)
    run.assert_equal(may=[*differences, OTHER_NAME])
    names = {said.name for said in missing}
    if program == "folders":
        assert {"newfstatat", "statx", "access", "chdir", "openat", "unlink", "truncate"} >= names >= {"newfstatat"}
        assert 100 < len(missing) < 10 * ROUNDS


@pytest.mark.parametrize(
    "more", [[], ["--registerfiles=1", "--fixedbufs=1"], ["--sqthread_poll=1", "--registerfiles=1"]]
)
def test_reads_and_writes_by_io_uring_are_those_that_fio_counts(
    more: list[str], directory: Path, scratch: Path
) -> None:
    """strace sees no single io_uring operation: here fio's own account is the oracle."""
    require("fio")
    words = ["fio", "--name=j", "--ioengine=io_uring", "--iodepth=8", "--rw=randrw", "--bs=4k", "--size=4m"]
    words += [f"--filename={directory}/f", "--output-format=json", *more]
    done = recorder.run_traced([directory], words, scratch / "traces/trace", extra=("--plane", "kernel"), timeout=100)
    assert done.returncode == 0, done.stderr
    (job,) = json.loads(done.stdout[done.stdout.index("{") :])["jobs"]
    trace = Trace(scratch / "traces/trace")
    rows = trace.rows(
        'select op, count(*), sum(result)::bigint, count(distinct "offset"), min(path) from events '
        "where kind = 'io_uring' group by op order by op"
    )
    expected = [(side, job[side]["total_ios"], job[side]["io_bytes"]) for side in ("read", "write")]
    assert [row[:3] for row in rows] == expected
    assert sum(row[3] for row in rows) == 1024, "each block of the file once"
    assert {row[4] for row in rows} == {f"{directory}/f"}
    trace.assert_balanced()
