"""`glassfs run`: traces one command, prints what it did, and ends as the command ended."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict
from pathlib import Path

import click

from glassfs import recorder
from glassfs.cli import failures, new_trace
from glassfs.cli.screen import answer_json, color_option, json_option, shown, talk, wants_color, width_of
from glassfs.errors import GlassfsError, RunFailed
from glassfs.places import state_directories
from glassfs.trace import Trace


class _Misuse(click.UsageError):
    exit_code = RunFailed.exit_code


class _Run(click.Command):
    """Whoever runs something through us tells our failures from the command's by their status, misuse too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _Misuse(error.format_message(), error.ctx) from error


@click.command(cls=_Run, context_settings={"allow_interspersed_args": False}, options_metavar="[OPTIONS] --")
@click.option(
    "-d",
    "directories",
    metavar="DIR",
    multiple=True,
    # Not looked at here: the recorder says what is wrong with it, and what helps.
    type=click.Path(path_type=Path, readable=False),
    help="Trace this directory tree; may be given often. Default: the current directory.",
)
@new_trace.output_options
@click.option("-q", "--quiet", is_flag=True, help="Print no summary.")
@new_trace.exact_option
@new_trace.plane_option
@json_option
@color_option
@click.argument("command", metavar="CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    directories: tuple[Path, ...],
    output: str | None,
    replace: bool,
    quiet: bool,
    exact: bool,
    plane: str,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Trace one command: what it and its children do in a directory tree.

    The tree is overlaid for the command alone, so no path changes and nobody else is slowed down. Its stdin, stdout,
    stderr and exit status stay as they are (ended by a signal: glassfs ends by the same one). The summary comes on
    stderr; with --json it is the last line of stdout.

    \b
    Exit status: the command's; 125 glassfs failed, 126 not executable, 127 not found.
    """
    try:
        where = new_trace.choose(output, new_trace.name_for(command[0]), directories or (Path.cwd(),), replace=replace)
        if where.moved and not quiet:
            talk(f"the trace goes to {shown(where.trace)}: {where.moved}")
        ended = recorder.run(command, trace=where.trace, directories=directories, exact=exact, plane=plane)
    except GlassfsError as problem:
        raise RunFailed(problem.what, where=problem.where, next_step=problem.next_step) from problem
    # From here on the status is the command's: nothing that goes wrong in telling about it may change that.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        say_what_it_did(where.trace, ended, quiet=quiet, as_json=as_json)
    except RunFailed:
        raise
    except GlassfsError as problem:
        talk(f"the command has ended, but of its trace: {problem}")
    except BrokenPipeError:
        pass
    except Exception as error:
        failures.say_bug(error)
    if ended.signal is not None:
        failures.die_of(ended.signal)
    failures.leave(ended.status)


def say_what_it_did(folder: Path, ended: recorder.Ended, *, quiet: bool, as_json: bool) -> None:
    """The summary; or, where the recorder's end came before the command's, what became of both."""
    trace = Trace(folder) if (folder / "trace.json").exists() else None
    command = trace.about.command if trace else None
    if command is None or command.end_ns is None:
        if ended.signal is not None:
            raise RunFailed(
                f"the launcher was killed by {signal.Signals(ended.signal).name}; the command may still run",
                where=shown(folder),
                next_step="The trace holds what was seen until then: glassfs report @last",
            )
        if ended.status in recorder.OWN_FAILURES:
            # It failed before the command ran, and has said why.
            return
    if trace and (as_json or not quiet):
        summarize(trace, as_json=as_json)


def summarize(trace: Trace, *, as_json: bool) -> None:
    # Imported now: a database engine is no part of starting a command.
    if as_json:
        from glassfs.query import Reader

        with Reader(trace) as reader:
            answer_json({"trace": str(trace.path), **asdict(reader.summary()), "warnings": reader.warnings})
        return
    from glassfs.report import render_summary
    from glassfs.report.text import Paint

    word = "@last" if trace.path.parent in state_directories() else shown(trace.path)
    text = render_summary(trace, word=word, paint=Paint(wants_color(sys.stderr)), width=width_of(sys.stderr))
    print(text, file=sys.stderr, flush=True)
