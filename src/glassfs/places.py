"""Where traces are kept, what they are called, and how they are thrown away. Knows folders, not what is in a trace.

A trace is named on the command line as `@last` (= `@1`), `@2` (the one before), its name, its id, the beginning of
either, or a path.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glassfs.errors import AmbiguousTrace, BadUsage, EnvironmentProblem, GlassfsError, TraceInUse, TraceNotFound
from glassfs.trace import TRACE_JSON, State, Trace, folder_bytes

# What an unknown or ambiguous name is answered with at most.
NEAR_NAMES = 5

# Fewer letters of an id would be a guess.
ID_PREFIX_MIN = 4

# Where a folder of ours holds traces of a user whose home directory is itself traced.
VAR_TMP = Path("/var/tmp")

_NUMBERED = re.compile(r"@(\d+)")
_BEING_REMOVED = ".removing-"


@dataclass(frozen=True)
class Entry:
    """One folder of the state directory. `problem`: why it could not be opened, then `trace` is None."""

    path: Path
    trace: Trace | None
    problem: GlassfsError | None = None

    @property
    def name(self) -> str:
        return self.trace.about.name if self.trace else self.path.name

    @property
    def start_ns(self) -> int:
        return self.trace.about.start_ns if self.trace else 0

    @property
    def last_ns(self) -> int:
        """When it ended, as far as it says so."""
        return (self.trace.about.end_ns or self.trace.about.start_ns) if self.trace else 0

    @property
    def is_live(self) -> bool:
        return self.trace is not None and self.trace.state() is State.LIVE

    def size_bytes(self) -> int:
        return folder_bytes(self.path)


def state_directories() -> list[Path]:
    """The usual place first; the other is used where the home directory itself is traced."""
    state = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state) if os.path.isabs(state) else Path.home() / ".local/state"
    return [home / "glassfs/traces", VAR_TMP / f"glassfs-{os.geteuid()}/traces"]


def system_directory() -> Path:
    """Where the sampler's traces lie: beside the others, so that they are never listed among them."""
    return state_directories()[0].with_name("system")


def system_traces(*, beside: Path | None = None) -> list[Trace]:
    """The sampler's, the oldest first: the machine's own figures. What cannot be opened is left out. `beside` a trace:
    also those beside the folder that it lies in, which may have come from elsewhere."""
    roots = {system_directory()} | ({beside.resolve().parent.with_name("system")} if beside else set())
    found = [entry_at(path) for root in roots if _is_ours(root) for path in _folders(root)]
    return sorted((entry.trace for entry in found if entry.trace), key=lambda trace: trace.about.start_ns)


def trace_folders() -> list[Path]:
    """Of this user, in no order that means anything; whatever is in them."""
    return [path for root in state_directories() if _is_ours(root) for path in _folders(root)]


def entries() -> list[Entry]:
    """All traces of this user, the newest first; what cannot be opened comes last."""
    found = [entry_at(path) for path in trace_folders()]
    return sorted(found, key=lambda entry: (-entry.start_ns, entry.name))


def _is_ours(root: Path) -> bool:
    # /var/tmp is everybody's: a folder that another user has put there is not believed.
    try:
        return root.stat().st_uid in (os.geteuid(), 0)
    except OSError:
        return False


def _folders(root: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(root))
    except OSError as problem:
        raise EnvironmentProblem(f"cannot list traces ({problem.strerror})", where=str(root)) from problem
    return [root / name for name in names if not name.startswith(".") and (root / name).is_dir()]


def entry_at(path: Path) -> Entry:
    """A folder that is a trace or was to be one."""
    try:
        return Entry(path, Trace(path))
    except GlassfsError as problem:
        return Entry(path, None, problem)


def find(word: str) -> Trace:
    """The trace that `word` names, or an error that lists what may have been meant."""
    return _opened(find_entry(word))


def find_entry(word: str) -> Entry:
    """The same for a trace that may be damaged."""
    if word.startswith("@"):
        return _numbered(word)
    if "/" in word or word in (".", ".."):
        return _at(Path(word))
    known = entries()
    exact = [entry for entry in known if word in _names(entry)]
    if not exact and (Path(word) / TRACE_JSON).exists():
        return _at(Path(word))
    return _only(word, exact or [entry for entry in known if _begins(entry, word)], known)


def _at(path: Path) -> Entry:
    entry = entry_at(path)
    if isinstance(entry.problem, TraceNotFound):
        raise entry.problem
    return entry


def _names(entry: Entry) -> set[str]:
    return {entry.name, entry.path.name} | ({entry.trace.about.id} if entry.trace else set())


def _begins(entry: Entry, word: str) -> bool:
    by_id = entry.trace is not None and len(word) >= ID_PREFIX_MIN and entry.trace.about.id.startswith(word)
    return bool(word) and (by_id or entry.name.startswith(word))


def _numbered(word: str) -> Entry:
    number = _NUMBERED.fullmatch("@1" if word == "@last" else word)
    if number is None or int(number[1]) == 0:
        raise BadUsage(
            f"{word} names no trace", next_step="@last is the newest trace, @2 the one before it; see glassfs traces."
        )
    known = entries()
    position = int(number[1])
    if position > len(known):
        raise TraceNotFound(_how_many(len(known)), where=word, next_step=_first_step(known))
    return known[position - 1]


def _how_many(count: int) -> str:
    if count == 0:
        return "there is no trace yet"
    return f"there {'is only 1 trace' if count == 1 else f'are only {count} traces'}"


def _opened(entry: Entry) -> Trace:
    if entry.trace is None:
        assert entry.problem is not None
        raise entry.problem
    return entry.trace


def _only(word: str, matches: list[Entry], known: list[Entry]) -> Entry:
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise AmbiguousTrace(f"{len(matches)} traces are meant by '{word}'", next_step="\n  ".join(_shown(matches)))
    near = difflib.get_close_matches(word, [entry.name for entry in known], n=NEAR_NAMES, cutoff=0.5)
    raise TraceNotFound(f"no trace is called '{word}'", next_step=_suggestion(near, known))


def _shown(matches: Iterable[Entry]) -> list[str]:
    """By id too, since two traces may bear the same name."""
    lines = [f"{entry.name}  {entry.trace.about.id if entry.trace else entry.path}" for entry in matches]
    rest = len(lines) - NEAR_NAMES
    return lines[:NEAR_NAMES] + ([f"... and {rest} more; glassfs traces lists them"] if rest > 0 else [])


def _suggestion(near: list[str], known: list[Entry]) -> str:
    return f"Did you mean {' or '.join(near)}?" if near else _first_step(known)


def _first_step(known: list[Entry]) -> str:
    if not known:
        return "Record one: glassfs run -- CMD..."
    names = ", ".join(entry.name for entry in known[:NEAR_NAMES])
    return f"The newest are: {names}. glassfs traces lists all."


def beyond(
    known: Sequence[Entry],
    *,
    now_ns: int,
    older_than_ns: int | None = None,
    keep: int | None = None,
    max_bytes: int | None = None,
) -> list[Entry]:
    """Those of `known` (the newest first) that are beyond any of the limits, never one that is being recorded. What
    cannot be opened has no known age: only its place in the list and its size can take it."""
    doomed: list[Entry] = []
    kept_bytes = 0
    for place, entry in enumerate(known):
        size = entry.size_bytes()
        old = older_than_ns is not None and entry.trace is not None and entry.last_ns < now_ns - older_than_ns
        too_many = keep is not None and place >= keep
        too_much = max_bytes is not None and kept_bytes + size > max_bytes
        if not entry.is_live and (old or too_many or too_much):
            doomed.append(entry)
        else:
            kept_bytes += size
    return doomed


def refuse_live(entry: Entry) -> None:
    if entry.is_live:
        raise TraceInUse(
            "this trace is still being recorded", where=entry.name, next_step="It ends with its command or its umount."
        )


def remove(entry: Entry) -> None:
    """Deletes a trace for good; never one that is being recorded."""
    refuse_live(entry)
    doomed = entry.path.with_name(_BEING_REMOVED + entry.path.name)
    try:
        # First out of sight in one step: a removal that is itself interrupted leaves no half trace behind.
        entry.path.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as problem:
        raise EnvironmentProblem(f"cannot remove the trace ({problem.strerror})", where=str(entry.path)) from problem


def sweep() -> None:
    """Finishes removals that were interrupted."""
    for root in state_directories():
        if _is_ours(root):
            for path in root.glob(_BEING_REMOVED + "*"):
                shutil.rmtree(path, ignore_errors=True)


def entry_of(trace: Trace) -> Entry:
    return Entry(trace.path, trace)
