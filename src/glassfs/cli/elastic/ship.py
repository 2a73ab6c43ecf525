"""`glassfs elastic ship`: one trace, with a progress bar."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from glassfs import places
from glassfs.cli.configured import loaded, settings_options
from glassfs.cli.reading import ends_quietly, trace_argument, warn
from glassfs.cli.screen import answer_json, color_option, json_option, talk
from glassfs.errors import GlassfsError

if TYPE_CHECKING:
    from glassfs.elastic.shipper import Shipper
    from glassfs.trace import Trace

# How often progress is shown.
TICK_S = 0.2


@click.command()
@trace_argument
@settings_options
@json_option
@color_option
@ends_quietly
def ship(trace: str, config: str | None, sets: tuple[str, ...], as_json: bool) -> int:
    """Load one trace into the cluster, from where it was left. A live one until it ends.

    All of it goes, however old it is; what the cluster has already is not doubled. Ctrl-C is safe: the next time goes
    on from there. Exit status 1 if documents were refused: they and the reasons are kept, and said where.
    """
    import os

    from glassfs.config.secrets import credentials
    from glassfs.elastic.shipper import Shipper

    settings = loaded(config, sets).settings
    found = places.find(trace)
    shipper = Shipper(settings, credentials(settings.elastic, os.environ), traces=[found])
    began_s = time.monotonic()
    with _bar(found, as_json=as_json) as show:
        _run(shipper, show)
    return _said(shipper, found, time.monotonic() - began_s, as_json=as_json)


def _run(shipper: Shipper, show: Callable[[Any], None]) -> None:
    """In a thread of its own, so that Ctrl-C ends it between two batches and keeps how far it came."""
    # Not the thread's own join: in Python 3.11 one that Ctrl-C interrupts takes the running thread for ended.
    stop, ended = threading.Event(), threading.Event()
    problems: list[BaseException] = []

    def run() -> None:
        try:
            shipper.run(stop)
        except BaseException as problem:
            problems.append(problem)
        ended.set()

    threading.Thread(target=run, name="glassfs-ship", daemon=True).start()
    try:
        while not ended.wait(TICK_S):
            show(shipper.status())
    except KeyboardInterrupt:
        stop.set()
        ended.wait()
        raise
    if problems:
        raise problems[0]


@contextlib.contextmanager
def _bar(trace: Trace, *, as_json: bool) -> Iterator[Callable[[Any], None]]:
    """On a terminal; elsewhere nothing. Left however it be, the bar is gone and the terminal has its cursor back."""
    if as_json or not sys.stderr.isatty():
        yield lambda _status: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    total = sum(segment.rows for segment in trace.manifest().segments("events"))
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} documents/s, left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[problem]}", markup=False),
        console=Console(file=sys.stderr),
        transient=True,
    )
    task = progress.add_task("shipping", total=total, rate="0", problem="")

    def show(status: Any) -> None:
        progress.update(task, problem=str(status.get("problem", "")).partition("\n")[0])
        if status["traces"]:
            done = max(0, total - int(status["waiting"]))
            progress.update(task, completed=done, rate=f"{status['documents_per_s']:,.0f}")

    with progress:
        yield show


def _said(shipper: Shipper, trace: Trace, took_s: float, *, as_json: bool) -> int:
    from glassfs.elastic import status as states
    from glassfs.report.numbers import count

    directory = shipper.directory
    one = next(each for each in states.of(directory).traces if each.trace == trace.about.id)
    letters = directory / f"{trace.about.id}.rejected.jsonl"
    if as_json:
        answer_json({"name": one.name, "took_s": round(took_s, 3), **_counts(one), "rejected_file": str(letters)})
    else:
        others = {name: many for name, many in _counts(one).items() if many and name not in ("shipped", "seen")}
        more = "".join(f", {count(many)} {name.replace('_', ' ')}" for name, many in others.items())
        talk(f"shipped {count(one.shipped)} of {count(one.seen or one.shipped)} calls{more} in {took_s:.1f} s")
    warn(shipper.report.warnings())
    if one.rejected:
        raise GlassfsError(
            f"the cluster refused {count(one.rejected)} documents", where=str(letters), next_step="It says why of each."
        )
    return 0


def _counts(one: Any) -> dict[str, int]:
    names = ("seen", "shipped", "rejected", "expired", "left_out", "skipped", "removed", "unreadable")
    return {name: getattr(one, name) for name in names}
