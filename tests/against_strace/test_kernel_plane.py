"""The kernel plane against strace in the same run: the same calls with the same results, thread by thread, in their order."""

import difflib
import errno
import json
import re
import sys
from pathlib import Path

import pytest

from support import recorder, straces
from support.needs import require
from support.traces import Trace

HERE = Path(__file__).parent
pytestmark = [pytest.mark.root, pytest.mark.mount]
NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
# Calls that cause no request and carry no descriptor of the mount's among their arguments: of maps, and those that pass a
# descriptor on in a message.
UNSEEN = {"msync", "munmap", "sendmsg", "recvmsg"}


def names_of_calls() -> dict[int, str]:
    """The kernel's own header, which the recorder's table was not made from."""
    found = re.findall(r"#define __NR_(\w+) (\d+)", NUMBERS.read_text())
    return {int(number): name for name, number in found}


class Both:
    """One run of a program as strace and as the kernel plane saw it."""

    def __init__(self, directory: Path, words: list[str | Path], scratch: Path, *extra: str) -> None:
        prefix = scratch / "strace/out"
        prefix.parent.mkdir()
        done = recorder.run_traced(
            [directory],
            ["strace", *straces.OPTIONS, "-o", prefix, *words],
            scratch / "traces/trace",
            extra=("--plane", "kernel", "--exact", *extra),
            timeout=240,
            cwd="/",
        )
        assert done.returncode == 0, done.stderr
        self.directory = str(directory)
        self.trace = Trace(scratch / "traces/trace")
        self.said = {int(file.suffix[1:]): straces.calls_of(file) for file in prefix.parent.glob("out.*")}

    def by_strace(self) -> dict[int, list[tuple[str, int, str | None]]]:
        return {
            tid: [(call.name, max(call.result, 0), call.errno) for call in calls if self.is_ours(call)]
            for tid, calls in self.said.items()
        }

    def is_ours(self, call: straces.Call) -> bool:
        if call.name in UNSEEN:
            return False
        named = re.findall(r"\d<([^>]*)>", call.arguments)
        # An exec's arguments may look like paths.
        paths = straces.paths(call)[: 1 if call.name.startswith("execve") else None]
        return any(straces.within(name, self.directory) for name in [*named, *paths])

    def by_trace(self) -> dict[int, list[tuple[str, int, str | None]]]:
        names = names_of_calls()
        rows = self.trace.rows(
            "select tid, syscall_nr, result, errno from events where kind = 'call' and comm <> 'strace' order by ts_ns, seq"
        )
        seen: dict[int, list[tuple[str, int, str | None]]] = {}
        for tid, number, result, error in rows:
            seen.setdefault(tid, []).append((names[number], result, errno.errorcode[error] if error else None))
        return seen

    def assert_equal(self) -> None:
        said = {tid: calls for tid, calls in self.by_strace().items() if calls}
        seen = self.by_trace()
        wrong = [
            f"{tid}: {line}"
            for tid in sorted(said.keys() | seen.keys())
            for line in difflib.ndiff([*map(str, said.get(tid, []))], [*map(str, seen.get(tid, []))])
            if line[0] in "-+"
        ]
        assert not wrong, "only strace (-), only the trace (+):\n" + "\n".join(wrong)
        self.trace.assert_balanced()


def test_calls_of_every_family_are_those_that_strace_shows(directory: Path, scratch: Path) -> None:
    require("strace")
    both = Both(directory, [sys.executable, "-I", HERE / "family.py", directory], scratch)
    both.assert_equal()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_mix_of_calls_in_four_processes_is_what_strace_shows(seed: int, directory: Path, scratch: Path) -> None:
    require("strace")
    both = Both(directory, [sys.executable, HERE / "workload.py", directory, str(seed), "4", "250"], scratch)
    both.assert_equal()


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
