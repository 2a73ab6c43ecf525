"""The tables of README.md and docs/performance.md, between two marks of each page, from what was measured last.

    python -m bench.tables

Knows the goals, and nothing of how anything is measured.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "bench/results/latest.json"
BEGINS, ENDS = "<!-- from here to the next mark: python -m bench.tables -->", "<!-- to here -->"

Key = tuple[str, str, int]
Rows = Mapping[tuple[Key, str, str | None], Mapping[str, Any]]

# Workload, backing, jobs: what it is called, and the kernel plane's goal.
WORKLOADS: Mapping[Key, tuple[str, float | None]] = {
    ("randread-4k", "tmpfs", 1): ("4 KiB reads, tmpfs", 0.75),
    ("randwrite-4k", "tmpfs", 1): ("4 KiB writes, tmpfs", 0.72),
    ("metadata-storm", "tmpfs", 1): ("create, write, close, stat, rename, unlink, tmpfs", 0.08),
    ("metadata-storm", "disk", 1): ("the same, ext4", 0.15),
    ("db_bench-fillrandom", "disk", 1): ("RocksDB fillrandom, ext4", 0.95),
    ("db_bench-readrandom", "disk", 1): ("RocksDB readrandom, ext4", 0.95),
    ("pgbench", "disk", 4): ("pgbench, 4 clients, ext4", 0.95),
    ("randread-4k", "disk", 1): ("4 KiB reads, ext4", None),
    ("randwrite-4k", "disk", 1): ("4 KiB writes, ext4", None),
    ("randread-4k", "tmpfs", 4): ("4 KiB reads, 4 jobs, tmpfs", 0.70),
    ("randread-4k-threads", "tmpfs", 16): ("4 KiB reads, 16 threads, tmpfs", 0.70),
    ("db_bench-fillrandom", "tmpfs", 1): ("RocksDB fillrandom, tmpfs", 0.85),
    ("db_bench-readrandom", "tmpfs", 1): ("RocksDB readrandom, tmpfs", 0.85),
}
IN_README = 7
ELSEWHERE: Key = ("preads-elsewhere", "tmpfs", 1)
ELSEWHERE_GOAL_NS = 160

SYSTEMS: Mapping[str, tuple[str, str | None]] = {
    "glassfs": ("kernel", "default"),
    "daemon plane": ("daemon", "default"),
    "strace -f": ("strace", None),
    "perf trace": ("perf-trace", None),
    "LoggedFS": ("loggedfs", "every call"),
}
# Less than this share of the calls, and a ratio says how much it saw.
ALL_SEEN = 0.999


def rows_of(result: Mapping[str, Any]) -> Rows:
    return {
        ((row["workload"], row["backing"], row["jobs"]), row["system"], row["mode"]): row
        for row in result["rows"]
        if "ops_per_s" in row
    }


def readme(result: Mapping[str, Any]) -> list[str]:
    rows = rows_of(result)
    lines = _head(["", "native", *SYSTEMS])
    for key, (title, _) in list(WORKLOADS.items())[:IN_README]:
        native = rows.get((key, "native", None))
        lines.append(_line([title, f"{native['ops_per_s']:,.0f}" if native else "-", *_ratios(rows, key)]))
    return lines


def performance(result: Mapping[str, Any]) -> list[str]:
    rows = rows_of(result)
    first, *others = SYSTEMS
    lines = _head(["of native", first, "its goal", *others])
    for key, (title, goal) in WORKLOADS.items():
        ours, *theirs = _ratios(rows, key)
        lines.append(_line([title, ours, "-" if goal is None else f"{goal:.2f}", *theirs]))
    more = [_more_a_call(rows, which) for which in SYSTEMS.values()]
    cells = [more[0], f"{ELSEWHERE_GOAL_NS} ns", *more[1:]]
    lines.append(_line(["64-byte reads elsewhere on the machine, more a call", *cells]))
    return [*lines, "", *_recorder(result)]


def _ratios(rows: Rows, key: Key) -> list[str]:
    return [_ratio(rows.get((key, *which))) for which in SYSTEMS.values()]


def _ratio(row: Mapping[str, Any] | None) -> str:
    if row is None or row["ratio_to_native"] is None:
        return "-"
    text = f"{row['ratio_to_native']:.{2 if row['ratio_to_native'] >= 0.1 else 3}f}"
    seen = row["calls_seen_ratio"]
    if seen is not None and seen < ALL_SEEN:
        text += f", saw {seen:.0%}"
    return text + (f", {row['events_lost'] / row['events']:.1%} only in totals" if row["events_lost"] else "")


def _more_a_call(rows: Rows, which: tuple[str, str | None]) -> str:
    row, native = rows.get((ELSEWHERE, *which)), rows.get((ELSEWHERE, "native", None))
    if row is None or native is None:
        return "-"
    return f"{1e9 / row['ops_per_s'] - 1e9 / native['ops_per_s']:.0f} ns"


def _recorder(result: Mapping[str, Any]) -> list[str]:
    figures = [figure for figure in result["figures"] if "value" in figure]
    lines = _head(["figure", "", "promised"])
    for figure in figures:
        bound = f"{'at most' if figure['at_most'] else 'at least'} {figure['promise']:,.10g} {figure['unit']}"
        value = f"{figure['value']:,.{0 if figure['value'] >= 1000 else 3}f} {figure['unit']}"
        lines.append(_line([figure["figure"].replace("_", " "), value, bound]))
    return lines


def _head(titles: Sequence[str]) -> list[str]:
    return [_line(titles), "|" + "---|" * len(titles)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


PAGES: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "README.md": readme,
    "docs/performance.md": performance,
}


def filled(page: str, lines: Sequence[str]) -> str:
    """The page with its table in place of what stood between the marks."""
    before, begins, rest = page.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise SystemExit(f"no marks for the table: {BEGINS} ... {ENDS}")
    return "\n".join([before + BEGINS, "", *lines, "", ENDS + after])


def main() -> int:
    result = json.loads(RESULTS.read_text())
    for name, table in PAGES.items():
        page = REPOSITORY / name
        page.write_text(filled(page.read_text(), table(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
