"""What the sampler's documents and those of Metricbeat 7.17.28 must have in common, and where they may differ, with the
reason for each. Patterns are fnmatch's over dotted names; the first that matches a name counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

Document = dict[str, Any]

# Fields that only one of them writes.
ONLY_METRICBEAT = {
    "@metadata.*": "only in files: where Metricbeat's output was to go",
    "system.process.cgroup.*": "accounts of control groups, not of the process: dozens of fields a process and sample",
}
ONLY_OURS = {
    "agent.build.original": "says that glassfs wrote the document",
    "labels.*": "from the settings",
    "system.process.io.*": "Metricbeat has these from version 8 on; they are what a trace is compared with",
}

# Fields that depend on the machine and on what it has done since it was started.
ONLY_SOME_MACHINES = {
    "system.memory.swap.used.pct": "of a machine with swap",
    "system.memory.page_stats.*_efficiency.pct": "of a machine that was ever short of memory",
    "system.memory.hugepages.*": "of a kernel that has them",
}

DATASETS = (
    *("system.cpu", "system.load", "system.memory", "system.network", "system.diskio", "system.filesystem"),
    *("system.process", "system.process.summary"),
)

# Which field says what a document is of.
INSTANCE = {
    "system.network": "system.network.name",
    "system.diskio": "system.diskio.name",
    "system.filesystem": "system.filesystem.mount_point",
    "system.process": "process.pid",
}

# Not compared at all.
OWN = {
    "agent.id": "each program's own",
    "agent.ephemeral_id": "each program's own",
    "@timestamp": "when it was sampled",
    "event.duration": "how long the sampling took",
    "@metadata.*": "only in Metricbeat's files",
    "system.process.cgroup.*": "only in Metricbeat's",
}

# Command lines: ours are masked and of bounded length, Metricbeat's are neither: such ones are not compared. Empty
# arguments at the end are left out of ours, since a title is padded with them.
COMMAND_LINES = ("process.args", "process.command_line", "system.process.cmdline")


class Tolerance(NamedTuple):
    """`within`: how far apart the means over the run may be: this much, or this share of the larger one."""

    absolute: float
    relative: float
    reason: str


# What grows only: one's value lies between the other's before and after, exactly.
COUNTERS = (
    *("system.network.in.*", "system.network.out.*", "system.diskio.read.*", "system.diskio.write.*"),
    *("system.diskio.io.time", "system.memory.page_stats.pg*", "system.memory.swap.in.pages"),
    *("system.memory.swap.out.pages", "system.memory.swap.readahead.*", "system.memory.hugepages.swap.*"),
    "system.process.cpu.total.value",
)

GAUGES = {
    "system.cpu.*": Tolerance(0.35, 0.0, "shares of two seconds that overlap; other programs come and go"),
    "host.cpu.usage": Tolerance(0.2, 0.0, "as system.cpu, of all cores"),
    "system.load.*": Tolerance(0.5, 0.1, "the kernel counts anew each 5 s, between our sample and theirs"),
    "system.memory.*.pct": Tolerance(0.05, 0.0, "as the bytes"),
    "system.memory.*": Tolerance(1 << 30, 0.02, "other programs allocate and free between two samples"),
    "system.filesystem.files": Tolerance(0, 0.0, "the number of inodes is fixed"),
    "system.filesystem.*free_files": Tolerance(5_000, 0.01, "other programs make and delete files"),
    "system.filesystem.used.pct": Tolerance(0.02, 0.0, "as the bytes"),
    "system.filesystem.[!dmto]*": Tolerance(1 << 30, 0.02, "other programs write and delete"),
    "system.diskio.io.ops": Tolerance(64, 0.0, "requests under way at one moment"),
    "system.diskio.iostat.busy": Tolerance(35.0, 0.0, "percent of two seconds that overlap"),
    "system.diskio.iostat.*.bytes": Tolerance(8 << 20, 0.6, "rates of bursts: which sample one falls into is chance"),
    "system.diskio.iostat.*": Tolerance(200.0, 0.6, "rates of bursts: which sample one falls into is chance"),
    "host.network.*": Tolerance(1 << 20, 0.5, "what moved in two seconds that overlap"),
    "host.disk.*": Tolerance(64 << 20, 0.6, "bursts: which sample one falls into is chance"),
    "system.process.summary.*": Tolerance(12, 0.1, "processes start and end, and change state, all the time"),
    "*cpu*.pct": Tolerance(0.25, 0.0, "shares of two seconds that overlap, in ticks of 10 ms"),
    "*memory*.pct": Tolerance(0.01, 0.0, "as the bytes"),
    "system.process.memory.*": Tolerance(64 << 20, 0.25, "a process that works allocates"),
    "system.process.fd.open": Tolerance(8, 0.0, "files are opened and closed"),
}


def flat(document: Document, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values, as a server sees them: a name with dots is no other than a nested one."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def matches(name: str, patterns: Any) -> str | None:
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)


def names(documents: list[Document]) -> set[str]:
    return {name for document in documents for name, _ in flat(document)}


def differing_fields(ours: list[Document], theirs: list[Document]) -> list[str]:
    """Of one dataset: the fields that only one of them has and that are on no list."""
    mine, others = names(ours), names(theirs)
    return [
        *(f"only ours: {name}" for name in sorted(mine - others) if not matches(name, ONLY_OURS)),
        *(f"only Metricbeat's: {name}" for name in sorted(others - mine) if not matches(name, ONLY_METRICBEAT)),
    ]


def kind(value: Any) -> str:
    """JSON knows one kind of number; 0 and 0.0 are the same to every server."""
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def differing_kinds(ours: list[Document], theirs: list[Document]) -> list[str]:
    mine, others = ({name: kind(value) for each in those for name, value in flat(each)} for those in (ours, theirs))
    return [
        f"{name}: {mine[name]}, Metricbeat's is {others[name]}"
        for name in sorted(mine.keys() & others.keys())
        if mine[name] != others[name]
    ]
