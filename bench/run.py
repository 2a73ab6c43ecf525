"""Runs every cell in three interleaved rounds, writes bench/results/latest.json, prints a table.

    python -m bench [--rounds N] [--only WORKLOAD ...] [--systems SYSTEM ...] [--no-figures] [--output FILE]

Ratios are within one run: native moves by a fifth from hour to hour on a shared machine. Needs root (it mounts).
"""

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench import figures, ground, workloads
from bench.systems import (
    DAEMON,
    EXACT,
    KERNEL,
    KERNEL_EXACT,
    LOGGEDFS,
    LOGGEDFS_CACHED,
    NATIVE,
    NOT_HERE,
    PERF_TRACE,
    STRACE,
    System,
)
from bench.workloads import Workload

RESULTS = Path(__file__).parent / "results/latest.json"
ROUNDS = 3
ALL = (NATIVE, KERNEL, DAEMON, EXACT, STRACE, PERF_TRACE, LOGGEDFS, LOGGEDFS_CACHED)
STORM = (NATIVE, KERNEL, KERNEL_EXACT, DAEMON, EXACT, STRACE, PERF_TRACE, LOGGEDFS)
USUAL = (NATIVE, KERNEL, DAEMON, STRACE, LOGGEDFS)
OURS = (NATIVE, KERNEL, DAEMON)


@dataclass
class Cell:
    """One line of the result: a workload on a backing under a system."""

    workload: Workload
    backing: str
    system: System
    rounds: list[float] = field(default_factory=list)
    lost: int | None = None
    events: int | None = None
    shares_seen: list[float] = field(default_factory=list)
    skipped: str | None = None

    def measure(self, directory: Path) -> None:
        if self.skipped:
            return
        try:
            with self.system.over(directory) as session:
                rate = self.workload.run(directory, session, self.workload.jobs)
            self.rounds.append(round(rate, 1))
            if session.seen is not None and session.did:
                self.shares_seen.append(round(session.seen / session.did[1], 4))
            if session.lost is not None:
                self.lost, self.events = (self.lost or 0) + session.lost, (self.events or 0) + (session.events or 0)
        except Exception as problem:  # a cell's failure is its row's reason; the others go on
            self.skipped = f"failed: {problem}"

    def row(self, native: float | None) -> dict[str, object]:
        row: dict[str, object] = {
            "workload": self.workload.name,
            "system": self.system.name,
            "backing": self.backing,
            "jobs": self.workload.jobs,
            "mode": self.system.mode,
        }
        if self.skipped:
            return row | {"skipped": self.skipped, "rounds": self.rounds}
        rate = statistics.median(self.rounds)
        ratio = round(rate / native, 4) if native else None
        return row | {
            "ops_per_s": rate,
            "ratio_to_native": ratio,
            "events": self.events,
            "events_lost": self.lost,
            "calls_seen_ratio": statistics.median(self.shares_seen) if self.shares_seen else None,
            "rounds": self.rounds,
            "note": self.system.note,
        }


def plan(postgres: workloads.Postgres | None) -> list[Cell]:
    """All cells, those that are compared with each other beside each other."""
    cells = []
    for backing in ("tmpfs", "disk"):
        for direction in ("read", "write"):
            cells += [
                Cell(Workload(f"rand{direction}-4k", workloads.fio(direction)), backing, system) for system in ALL
            ]
        cells += [Cell(Workload("metadata-storm", workloads.storm), backing, system) for system in STORM]
    fio = workloads.fio("read")
    cells += [Cell(Workload("randread-4k", fio, jobs=4), "tmpfs", system) for system in OURS]
    threads = workloads.fio("read", "--thread")
    cells += [Cell(Workload("randread-4k-threads", threads, jobs=16), "tmpfs", system) for system in OURS]
    cells += [Cell(Workload("preads-elsewhere", workloads.elsewhere), "tmpfs", system) for system in OURS]
    for benchmark in ("fillrandom", "readrandom"):
        cells += [
            Cell(Workload(f"db_bench-{benchmark}", workloads.db_bench(benchmark)), "tmpfs", system) for system in OURS
        ]
        cells += [
            Cell(Workload(f"db_bench-{benchmark}", workloads.db_bench(benchmark)), "disk", system) for system in USUAL
        ]
    if postgres:
        cells += [Cell(Workload("pgbench", postgres.cell, jobs=4), "disk", system) for system in USUAL]
    return cells


def absent_rows() -> list[dict[str, object]]:
    return [
        {"workload": workload, "system": system, "backing": backing, "jobs": 1, "mode": None, "skipped": reason}
        for system, reason in NOT_HERE.items()
        for workload in ("randread-4k", "randwrite-4k")
        for backing in ("tmpfs", "disk")
    ]


def prepare(places: dict[str, Path], wanted: set[str]) -> workloads.Postgres | None:
    ground.storm_program()
    for place in places.values():
        workloads.lay_out(place)
        if not wanted or "db_bench-readrandom" in wanted:
            workloads.fill_database(place)
    if wanted and "pgbench" not in wanted:
        return None
    postgres = workloads.Postgres(places["disk"])
    postgres.fill()
    return postgres


def measure(cells: list[Cell], places: dict[str, Path], rounds: int) -> None:
    for cell in cells:
        cell.skipped = cell.system.missing()
    for turn in range(rounds):
        for number, cell in enumerate(cells):
            started = time.monotonic()
            cell.measure(places[cell.backing])
            said = cell.skipped or f"{cell.rounds[-1]:>12,.0f} ops/s"
            print(
                f"round {turn + 1} of {rounds}, cell {number + 1:>2} of {len(cells)}: "
                f"{title(cell):<52}{said}  ({time.monotonic() - started:.0f} s)",
                file=sys.stderr,
                flush=True,
            )


def title(cell: Cell) -> str:
    jobs = f" x{cell.workload.jobs}" if cell.workload.jobs > 1 else ""
    mode = f" ({cell.system.mode})" if cell.system.mode else ""
    return f"{cell.workload.name}{jobs} {cell.backing} {cell.system.name}{mode}"


def rows_of(cells: list[Cell]) -> list[dict[str, object]]:
    natives = {
        (cell.workload.name, cell.workload.jobs, cell.backing): statistics.median(cell.rounds)
        for cell in cells
        if cell.system is NATIVE and cell.rounds
    }
    return [cell.row(natives.get((cell.workload.name, cell.workload.jobs, cell.backing))) for cell in cells]


def table(rows: list[dict[str, object]], found: list[dict[str, object]]) -> str:
    heads = f"{'workload':<21}{'backing':<9}{'system':<18}{'ops/s':>11}{'of native':>11}{'seen':>8}{'lost':>7}"
    lines = [heads, "-" * len(heads)]
    before = None
    for row in rows:
        if row["system"] in NOT_HERE:
            continue
        key = (row["workload"], row["backing"], row["jobs"])
        if before not in (None, key):
            lines.append("")
        before = key
        lines.append(_line(row)[:160])
    lines += ["", *(f"{system:<21}skipped: {reason}" for system, reason in NOT_HERE.items()), ""]
    lines += [_figure_line(row)[:160] for row in found]
    return "\n".join(lines)


def _line(row: dict[str, object]) -> str:
    name = f"{row['workload']}{'' if row['jobs'] == 1 else ' x' + str(row['jobs'])}"
    head = f"{name:<21}{row['backing']!s:<9}{row['system']} {row['mode'] or ''}".ljust(48)
    if "skipped" in row:
        return f"{head}  skipped: {row['skipped']}"
    seen, lost = row["calls_seen_ratio"], row["events_lost"]
    return (
        f"{head}{row['ops_per_s']:>11,.0f}"
        f"{'-' if row['ratio_to_native'] is None else format(row['ratio_to_native'], '.3f'):>11}"
        f"{'' if seen is None else format(seen, '.1%'):>8}{'' if lost is None else lost:>7}"
    )


def _figure_line(row: dict[str, object]) -> str:
    if "skipped" in row:
        return f"{row['figure']:<34}skipped: {row['skipped']}"
    promise = f"{'at most' if row['at_most'] else 'at least'} {row['promise']:,g} {row['unit']}"
    return (
        f"{row['figure']:<34}{row['value']:>14,.7g} {row['unit']:<10}{'kept' if row['kept'] else 'NOT KEPT'}: {promise}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="measure glassfs beside native, strace and LoggedFS")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", nargs="*", default=[], help="only these workloads")
    parser.add_argument("--systems", nargs="*", default=[], help="only these systems")
    parser.add_argument("--no-figures", action="store_true")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("the bench mounts filesystems and starts a server as another user: run it as root", file=sys.stderr)
        return 3
    started = time.monotonic()
    facts = ground.machine()
    with ground.backings() as places:
        cells = [
            cell
            for cell in plan(prepare(places, set(arguments.only)))
            if (not arguments.only or cell.workload.name in arguments.only)
            and (not arguments.systems or cell.system.name in arguments.systems)
        ]
        measure(cells, places, arguments.rounds)
        found = [] if arguments.no_figures else figures.measured(places["disk"])
    rows = rows_of(cells) + ([] if arguments.only or arguments.systems else absent_rows())
    result = {
        "machine": facts,
        "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.monotonic() - started),
        "rounds": arguments.rounds,
        "rows": rows,
        "figures": found,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = arguments.output.with_suffix(".tmp")
    unfinished.write_text(json.dumps(result, indent=1) + "\n")
    unfinished.replace(arguments.output)
    print(table(rows, found))
    print(f"\n{arguments.output}: {result['seconds']} s")
    return 0
