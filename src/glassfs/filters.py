"""The one grammar by which every view is narrowed: what a person types becomes a `Filter`, and with a trace at hand a
`Bound`, which holds numbers and words only. Knows no SQL.

Values of one option are alternatives, options must all hold, a leading `!` turns a value around.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Generic, TypeVar

from glassfs import errnos, units
from glassfs.errors import BadUsage
from glassfs.escaping import glob_to_regex, is_plain_glob

NS_PER_S = 1_000_000_000

CLASSES = ("read", "write", "sync", "open", "metadata", "namespace")

# System calls that an op's word stands for, so that people may type what strace shows.
_FOLDED = {
    "read": ("pread64", "readv", "preadv", "preadv2"),
    "write": ("pwrite64", "writev", "pwritev", "pwritev2"),
    "open": ("openat", "openat2"),
    "create": ("creat",),
    "statx": ("newfstatat",),
    "rename": ("renameat", "renameat2"),
    "unlink": ("unlinkat",),
    "mkdir": ("mkdirat",),
    "truncate": ("ftruncate",),
    "chmod": ("fchmod", "fchmodat"),
    "chown": ("fchown", "fchownat", "lchown"),
    "readdir": ("getdents64",),
}
_OP_OF_CALL = {call: op for op, calls in _FOLDED.items() for call in calls}


@dataclass(frozen=True)
class Choice:
    """Alternatives that a value must be among, or, of `none_of`, must not."""

    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Iterable[str], *, split: bool) -> Choice:
        """`split`: commas part alternatives (not in names, which may hold commas); a `!` before them holds for all."""
        wanted: list[str] = []
        unwanted: list[str] = []
        for value in values:
            target = unwanted if value.startswith("!") else wanted
            body = value.removeprefix("!")
            target.extend(part.strip() for part in body.split(",")) if split else target.append(body)
        if "" in wanted or "" in unwanted:
            raise BadUsage("a filter's value is empty")
        return cls(tuple(wanted), tuple(unwanted))


@dataclass(frozen=True)
class Filter:
    """As typed. Empty: everything."""

    path: Choice = Choice()
    op: Choice = Choice()
    pid: Choice = Choice()
    comm: Choice = Choice()
    errno: Choice = Choice()
    min_latency_ns: int | None = None
    since: str | None = None
    until: str | None = None

    @classmethod
    def parse(
        cls,
        *,
        path: Sequence[str] = (),
        op: Sequence[str] = (),
        pid: Sequence[str] = (),
        comm: Sequence[str] = (),
        errno: Sequence[str] = (),
        min_latency: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Filter:
        return cls(
            path=Choice.of(path, split=False),
            op=Choice.of(op, split=True),
            pid=Choice.of(pid, split=True),
            comm=Choice.of(comm, split=False),
            errno=Choice.of(errno, split=True),
            min_latency_ns=None if min_latency is None else units.parse_duration_ns(min_latency),
            since=since,
            until=until,
        )

    @property
    def is_empty(self) -> bool:
        return self == Filter()

    def __bool__(self) -> bool:
        return not self.is_empty

    def described(self) -> str:
        """For headlines: `op read, sync; path *.sst; at least 10ms`."""
        parts = []
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Choice) and value != Choice():
                words = [*value.any_of, *(f"not {word}" for word in value.none_of)]
                parts.append(f"{each.name} {', '.join(words)}")
        if self.min_latency_ns is not None:
            parts.append(f"at least {units.duration(self.min_latency_ns)}")
        parts.extend(f"{word} {value}" for word, value in (("from", self.since), ("to", self.until)) if value)
        return "; ".join(parts)

    def bind(self, *, start_ns: int, end_ns: int, class_of_op: Mapping[str, str]) -> Bound:
        """With what only the trace knows: its clock and its ops."""
        return Bound(
            path=_names(self.path, _path_pattern),
            comm=_names(self.comm, NamePattern.of),
            ops=_numbers(self.op, lambda word: _ops(word, class_of_op)),
            pids=_numbers(self.pid, _pid),
            errnos=_numbers(self.errno, _errno),
            min_latency_ns=self.min_latency_ns,
            from_ns=None if self.since is None else parse_time_ns(self.since, start_ns, end_ns),
            to_ns=None if self.until is None else parse_time_ns(self.until, start_ns, end_ns),
        )


Value = TypeVar("Value")


@dataclass(frozen=True)
class Demand(Generic[Value]):
    """`any_of` None: no demand."""

    any_of: tuple[Value, ...] | None = None
    none_of: tuple[Value, ...] = ()


@dataclass(frozen=True)
class NamePattern:
    """`regex` must match a name's escaped text in full. `globs`: where that text holds no backslash, the same said in
    plain globs of stars and letters, which a database is faster with; empty where they cannot say it."""

    regex: str
    globs: tuple[str, ...]

    @classmethod
    def of(cls, *patterns: str) -> NamePattern:
        globs = tuple(pattern for pattern in patterns if is_plain_glob(pattern))
        regex = "|".join(map(glob_to_regex, patterns))
        return cls(f"(?:{regex})", globs if len(globs) == len(patterns) else ())


@dataclass(frozen=True)
class Bound:
    """Ready to be asked."""

    path: Demand[NamePattern] = Demand()
    comm: Demand[NamePattern] = Demand()
    ops: Demand[str] = Demand()
    pids: Demand[int] = Demand()
    errnos: Demand[int] = Demand()
    min_latency_ns: int | None = None
    from_ns: int | None = None
    to_ns: int | None = None


def _names(choice: Choice, to_pattern: Callable[[str], NamePattern]) -> Demand[NamePattern]:
    wanted = tuple(to_pattern(word) for word in choice.any_of)
    return Demand(wanted or None, tuple(to_pattern(word) for word in choice.none_of))


def _numbers(choice: Choice, expand: Callable[[str], tuple[Value, ...]]) -> Demand[Value]:
    wanted = tuple(value for word in choice.any_of for value in expand(word))
    return Demand(wanted if choice.any_of else None, tuple(value for word in choice.none_of for value in expand(word)))


def _path_pattern(pattern: str) -> NamePattern:
    """From the root if it begins there, else anywhere below; a directory stands for everything in it."""
    anchored = pattern if pattern.startswith("/") else f"*/{pattern.removeprefix('./')}"
    stem = anchored.rstrip("/")
    return NamePattern.of(stem, stem + "/*")


def _ops(word: str, class_of_op: Mapping[str, str]) -> tuple[str, ...]:
    """An op's word wins over a class of the same name, which is then called `class:write`."""
    lower = word.lower()
    if lower in class_of_op:
        return (lower,)
    its_class = lower.removeprefix("class:")
    if its_class in CLASSES:
        return tuple(op for op, each in class_of_op.items() if each == its_class)
    if lower in _OP_OF_CALL:
        return (_OP_OF_CALL[lower],)
    known = sorted({*class_of_op, *CLASSES})
    raise BadUsage(f"no op or class is called '{word}'", next_step=_near(lower, known))


def _pid(word: str) -> tuple[int, ...]:
    if not (word.isascii() and word.isdigit()):
        raise BadUsage(f"'{word}' is no process id", next_step="A name goes into --comm.")
    return (int(word),)


# What `--errno any` becomes: every number there is but 0.
ANY_ERROR = -1


def _errno(word: str) -> tuple[int, ...]:
    if word.lower() in ("any", "error"):
        return (ANY_ERROR,)
    number = 0 if word.lower() in ("ok", "none") else errnos.number_of(word)
    if number is None:
        raise BadUsage(f"no error is called '{word}'", next_step=_near(word.upper(), errnos.all_names()))
    return (number,)


def _near(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=3)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}."


_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?")


def parse_time_ns(text: str, start_ns: int, end_ns: int) -> int:
    """`+5s` after the start, `-10s` before the end, `14:03:22.5` local on a day of the trace, or an ISO date and time
    (local unless it names a zone)."""
    word = text.strip()
    if word[:1] == "+":
        return start_ns + units.parse_duration_ns(word[1:])
    if word[:1] == "-":
        return end_ns - units.parse_duration_ns(word[1:])
    if clock := _CLOCK.fullmatch(word):
        return _time_of_day_ns(clock, text, start_ns, end_ns)
    try:
        moment = datetime.fromisoformat(word)
    except ValueError as problem:
        raise _no_time(text) from problem
    return _to_ns(moment)


def _time_of_day_ns(clock: re.Match[str], text: str, start_ns: int, end_ns: int) -> int:
    hour, minute, second = (int(part or 0) for part in clock.group(1, 2, 3))
    fraction_ns = int((clock[4] or "").ljust(9, "0"))
    first = datetime.fromtimestamp(start_ns / NS_PER_S).date()
    last = datetime.fromtimestamp(max(end_ns, start_ns) / NS_PER_S).date()
    try:
        moments = [
            _to_ns(datetime(day.year, day.month, day.day, hour, minute, second)) + fraction_ns
            for day in _days(first, last)
        ]
    except ValueError as problem:
        raise _no_time(text) from problem
    inside = [moment for moment in moments if start_ns <= moment <= end_ns]
    return (inside or moments)[0]


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=step) for step in range((last - first).days + 1)]


def _to_ns(moment: datetime) -> int:
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * NS_PER_S + moment.microsecond * 1000


def _no_time(text: str) -> BadUsage:
    return BadUsage(
        f"'{text}' is no time",
        next_step="For example 14:03:22, 2026-11-24T14:03:22, +5s (after the start), -10s (before the end).",
    )
