"""`glassfs calls`: a trace line by line, as strace would print it; with -f as it is recorded."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from glassfs import places
from glassfs.cli.reading import FILTERS_HELP, filter_options, paint, trace_argument, wanted, warn
from glassfs.cli.screen import color_option, json_option, talk

if TYPE_CHECKING:
    from glassfs.query import Event
    from glassfs.query.live import LiveEvents

# How often a live trace's manifest is looked at; a segment is closed every 500 ms.
POLL_S = 0.1


@click.command(epilog=FILTERS_HELP)
@trace_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what is recorded from now on, until the trace ends.")
@click.option("-n", "limit", metavar="N", type=click.IntRange(1), help="Stop after N lines.")
@filter_options("--slow")
@json_option
@color_option
def calls(trace: str, follow: bool, limit: int | None, as_json: bool, **filters: Any) -> None:
    """Print a trace call by call, as strace would.

    \b
    14:03:22.123456 db_bench/4711 read("/home/ana/db/000012.sst", 4096, @81920) = 4096 <9.1us>
    when (local)    thread/tid    op(path, size, @offset)                       = result <how long>

    Where the recorder sees requests, not system calls, their own words are used: a lookup is shown as a lookup. Names
    are shown safely; --json prints one object a line, with every column and the names as the trace has them.
    """
    from glassfs.query import Reader

    narrowed = wanted(filters)
    with Reader(places.find(trace)) as reader:
        out = _printer(as_json)
        if follow:
            _follow(reader.live_events(narrowed), limit, out)
        else:
            for event in reader.events(narrowed, limit=limit):
                out(event)
            sys.stdout.flush()
            warn(reader.warnings)


def _printer(as_json: bool) -> Callable[[Event], None]:
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    write = sys.stdout.write
    if as_json:
        return lambda event: _ignore(write(json.dumps(event._asdict(), separators=(",", ":")) + "\n"))
    from glassfs.report.calls import line

    look = paint()
    return lambda event: _ignore(write(line(event, look) + "\n"))


def _ignore(_written: int) -> None:
    pass


def _follow(live: LiveEvents, limit: int | None, out: Callable[[Event], None]) -> None:
    for event in islice(_coming(live), limit):
        out(event)
    sys.stdout.flush()


def _coming(live: LiveEvents) -> Iterator[Event]:
    """Until the trace has ended. What has come is shown before waiting for more."""
    warned = missed = 0
    while True:
        ended = live.ended()
        yield from live.news()
        sys.stdout.flush()
        warn(live.warnings[warned:])
        warned = len(live.warnings)
        if live.missed_rows > missed:
            talk(f"warning: {live.missed_rows - missed} rows were removed by the trace's size limit before they came")
            missed = live.missed_rows
        if ended:
            return
        time.sleep(POLL_S)
