"""One run of a program as strace and as the kernel plane saw it, call by call; what may differ is named.

The trace holds, thread by thread, the same calls in the same order with the same results; each with the path, the other path,
the place and the size that follow from what strace wrote.
"""

import difflib
import errno
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from support import straces
from support.strace_lines import OPTIONS, Line, lines_of
from support.strace_model import Model, Said
from support.traces import Trace

NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
# The kernel's own (include/linux/errno.h): the call is begun again, or answered EINTR, when the signal's handler has run.
RESTARTS = {512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 516: "ERESTART_RESTARTBLOCK"}
ERRORS = errno.errorcode | RESTARTS | {errno.EOPNOTSUPP: "EOPNOTSUPP"}
COLUMNS = ("path", "path2", "offset", "size")


@dataclass(frozen=True)
class Unseen:
    """A call that strace shows and the trace has not, and why that may be so."""

    why: str
    is_one: Callable[[Said], bool]


@dataclass(frozen=True)
class Difference:
    """One column of one call that is not what strace says, and why that may be so."""

    why: str
    is_one: Callable[[Said, Said, str], bool]


def names_of_calls() -> dict[int, str]:
    """The kernel's own header, which the recorder's table was not made from."""
    found = re.findall(r"#define __NR_(\w+) (\d+)", NUMBERS.read_text())
    return {int(number): name for name, number in found}


def strace(prefix: Path, *words: str | Path) -> list[str | Path]:
    """The command under strace."""
    prefix.parent.mkdir(exist_ok=True)
    return ["strace", *OPTIONS, "-o", prefix, *words]


class Both:
    """What strace said and what the trace has. The calls of `unseen` are left out; each must have been met."""

    def __init__(
        self, directory: Path, prefix: Path, trace: Path, unseen: Sequence[Unseen] = (), cwd: str = "/"
    ) -> None:
        self.directory = str(directory)
        self.trace = Trace(trace)
        self.left_out: Counter[str] = Counter({each.why: 0 for each in unseen})
        self.said: dict[int, list[Said]] = {}
        for said in Model(self.directory, cwd).follow(lines_of(prefix)):
            reason = next((each.why for each in unseen if each.is_one(said)), None)
            if said.is_ours and reason:
                self.left_out[reason] += 1
            elif said.is_ours:
                self.said.setdefault(said.tid, []).append(said)
        self.seen: dict[int, list[Said]] = {}
        for seen in self._from_trace():
            self.seen.setdefault(seen.tid, []).append(seen)

    def _from_trace(self) -> list[Said]:
        numbers = names_of_calls()
        rows = self.trace.rows(
            'select tid, syscall_nr, result, errno, path, path2, "offset", size from events '
            "where kind = 'call' and comm <> 'strace' order by ts_ns, seq"
        )
        return [
            Said(tid, numbers[number], result, ERRORS[error] if error else None, *columns)
            for tid, number, result, error, *columns in rows
        ]

    def calls(self) -> int:
        return sum(map(len, self.said.values()))

    def assert_equal(self, differences: Sequence[Difference] = (), may: Sequence[Difference] = ()) -> Counter[str]:
        """How often each of the differences was met: each must be, but those that only may."""
        self.assert_same_calls()
        met: Counter[str] = Counter()
        wrong = []
        for tid, calls in self.said.items():
            for said, seen in zip(calls, self.seen[tid], strict=True):
                for column in COLUMNS:
                    if getattr(said, column) == getattr(seen, column):
                        continue
                    reason = next((each.why for each in (*differences, *may) if each.is_one(said, seen, column)), None)
                    met.update([reason] if reason else [])
                    wrong += [] if reason else [_told(said, seen, column)]
        assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong[:: max(1, len(wrong) // 50)])
        never = {each.why for each in differences} - met.keys()
        never |= {why for why, count in self.left_out.items() if not count}
        assert not never, f"these differences are none any more: {never}"
        self.trace.assert_balanced()
        return met + self.left_out

    def leave_out(self, may_be_missing: Callable[[Said], bool]) -> list[Said]:
        """The calls of that kind that the trace has not."""
        missing: list[Said] = []
        for tid, calls in self.said.items():
            seen, kept = self.seen.get(tid, []), []
            for call in calls:
                here = seen[len(kept)] if len(kept) < len(seen) else None
                is_there = here and _outcome(here) == _outcome(call) and is_about(call, here.path)
                (kept if is_there or not may_be_missing(call) else missing).append(call)
            self.said[tid] = kept
        return missing

    def assert_same_calls(self) -> None:
        wrong = []
        for tid in sorted(self.said.keys() | self.seen.keys()):
            said, seen = self.said.get(tid, []), self.seen.get(tid, [])
            told = [*map(_outcome, said)], [*map(_outcome, seen)]
            matcher = difflib.SequenceMatcher(None, *told, autojunk=False)
            for what, a, b, c, d in matcher.get_opcodes():
                if what != "equal":
                    wrong += [f"{tid}: - {_written(one.line)}" for one in said[a:b]]
                    wrong += [f"{tid}: + {one.name} = {one.result} {one.errno or ''}: {one.path}" for one in seen[c:d]]
        assert not wrong, f"{len(wrong)} only strace (-), only the trace (+):\n" + "\n".join(wrong[:100])


def is_about(call: Said, path: str | None) -> bool:
    """Whether the path is one of the call's names, or of a folder above one."""
    asked = [word for place in range(4) if (word := call.line.text(place))]
    return path is not None and any(straces.within(name, path) for name in (call.path, call.path2, *asked))


def _outcome(call: Said) -> tuple[str, int, str | None]:
    return call.name, call.result, call.errno


def _told(said: Said, seen: Said, column: str) -> str:
    strace, trace = getattr(said, column), getattr(seen, column)
    return f"{said.tid} {column}: strace {strace!r}, trace {trace!r}: {_written(said.line)}"


def _written(line: Line) -> str:
    return f"{line.name}({', '.join(line.arguments)[:300]}) = {line.result} {line.errno or ''}"
