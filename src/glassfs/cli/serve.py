"""`glassfs serve`: the server, one process whose parts fail alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from glassfs.cli.configured import loaded, settings_options
from glassfs.cli.screen import color_option, shown

if TYPE_CHECKING:
    from glassfs.cli.service_log import Log
    from glassfs.config.load import Loaded
    from glassfs.serve.keeper import Plan


@click.command()
@click.argument("traces", metavar="[TRACE]...", nargs=-1)
@settings_options
@color_option
def serve(traces: tuple[str, ...], config: str | None, sets: tuple[str, ...]) -> int:
    """Record the machine's figures, and ship traces to Elasticsearch or OpenSearch, until SIGTERM or Ctrl-C.

    It follows the given traces, else those of traces.follow: by default all of your state directory, past and live.
    Each part that fails is said, and tried again while the others go on.

    \b
    stderr: a terminal gets lines and a status line, anything else JSON lines.
    Exit status: 0 stopped, 1 a part did not stop in time, 2 wrong settings or trace,
    3 another serve runs, or the state directory cannot be used.
    """
    from glassfs import places
    from glassfs.cli import service_log
    from glassfs.serve import lock, service
    from glassfs.serve.parts import planned

    log = service_log.log_on(sys.stderr)
    found = loaded(config, sets, flags=_followed(traces), warn=lambda text: log.note("warning", text, level="warn"))
    plans = planned(found.settings, os.environ)
    directory = places.state_directories()[0].parent
    service.hold_signals()
    with lock.take(directory):
        return run(plans, log, f"{shown(directory)}, {_settings(found)}")


def _followed(words: Sequence[str]) -> dict[str, str | list[str]]:
    """By their folders: a name may mean another trace tomorrow."""
    from glassfs import places

    return {"traces.follow": [str(places.find(word).path.absolute()) for word in words]} if words else {}


def _settings(found: Loaded) -> str:
    return f"settings of {shown(found.path)}" if found.path else "default settings"


def run(plans: Sequence[Plan], log: Log, about: str) -> int:
    """Runs the parts until a signal comes, and says on stderr how they are; `hold_signals` was called."""
    from glassfs import __version__
    from glassfs.cli.service_log import summary
    from glassfs.serve.notify import Notifier
    from glassfs.serve.service import Voice
    from glassfs.serve.service import serve as serve_parts

    names = " and ".join(plan.name for plan in plans)
    log.note("started", f"glassfs {__version__}: {names}; {about}", fields={"process.pid": os.getpid()})
    voice = Voice(log.say, log.status, summary)
    hung = serve_parts(plans, voice, Notifier(os.environ))
    log.close()
    for name in hung:
        log.note("hung", f"{name} did not stop in time, and was left", level="error", fields={"glassfs.part": name})
    log.note("stopped", "stopped")
    return 1 if hung else 0
