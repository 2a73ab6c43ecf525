"""Where a new trace goes: the state directory or what -o says; never inside a traced tree, never over anything else."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from glassfs.cli.screen import Function, shown
from glassfs.errors import BadUsage, EnvironmentProblem, GlassfsError
from glassfs.places import entry_of, remove, state_directories
from glassfs.trace import Trace

# Names are shown, typed and globbed; what the shell would treat specially is replaced.
UNFIT_FOR_A_NAME = re.compile(r"[^A-Za-z0-9._+-]+")
LONGEST_NAME = 60

OUTSIDE = "Give the trace a place outside with -o PATH."
ELSEWHERE = "Give the trace another place with -o PATH."
ANOTHER = "Choose another name or path."


@dataclass(frozen=True)
class Place:
    """The folder that the recorder is to make, and why it is not the usual one, if it is not."""

    trace: Path
    moved: str | None = None


def output_options(function: Function) -> Function:
    """Adds -o and -f, given as `output` and `replace`."""
    name = click.option("-o", "output", metavar="NAME|PATH", help="The trace's name; with a / in it, its path.")
    force = click.option("-f", "--force", "replace", is_flag=True, help="Replace a trace of that name.")
    return name(force(function))


def exact_option(function: Function) -> Function:
    text = "Let the kernel cache no names and no attributes: slower, but no request is missing."
    return click.option("--exact", is_flag=True, help=text)(function)


def plane_option(function: Function) -> Function:
    text = "See requests (daemon), system calls (kernel: root, Linux 6.9), or what is possible (auto)."
    return click.option("--plane", type=click.Choice(["auto", "daemon", "kernel"]), default="auto", help=text)(function)


def choose(option: str | None, name: str, traced: Sequence[Path], *, replace: bool) -> Place:
    """The trace's place for -o OPTION, or a free name in the state directory. Makes its parent, not the folder."""
    trees = [Path(os.path.realpath(tree)) for tree in traced]
    if option is None:
        return default_place(name, trees)
    trace = Path(os.path.abspath(option)) if "/" in option else state_directories()[0] / option
    around = tree_around(trace, trees)
    if around is not None:
        raise BadUsage(
            f"the trace would lie inside the traced directory {shown(around)}, and trace itself",
            where=shown(trace),
            next_step=OUTSIDE,
        )
    if os.path.lexists(trace):
        remove_old(trace, replace=replace)
    make_folder(trace.parent)
    return Place(trace)


def default_place(name: str, trees: Sequence[Path]) -> Place:
    usual, other = state_directories()
    around = tree_around(usual, trees)
    if around is not None:
        reason = f"{shown(usual)} is inside the traced directory {shown(around)}"
    else:
        try:
            make_folder(usual)
            return Place(free_name(usual, name))
        except EnvironmentProblem as problem:
            reason = f"{problem.what}: {problem.where}"
    if tree_around(other, trees) is not None:
        raise BadUsage(f"{reason}, and so is {shown(other)}", next_step=OUTSIDE)
    make_folder(other)
    need_own(other.parent)
    return Place(free_name(other, name), moved=reason)


def tree_around(path: Path, trees: Sequence[Path]) -> Path | None:
    real = Path(os.path.realpath(path))
    return next((tree for tree in trees if real.is_relative_to(tree)), None)


def name_for(command: str) -> str:
    """The default name of a run's trace: the command's own name and our process id."""
    word = UNFIT_FOR_A_NAME.sub("_", os.path.basename(command.rstrip("/")))[:LONGEST_NAME].lstrip("-.")
    return f"{word or 'command'}-{os.getpid()}"


def free_name(folder: Path, name: str) -> Path:
    """Process ids come again: an old trace of that name stays, and this one gets a number."""
    candidate, number = folder / name, 2
    while os.path.lexists(candidate):
        candidate, number = folder / f"{name}.{number}", number + 1
    return candidate


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"the folder for traces cannot be made ({error.strerror})", where=shown(folder), next_step=ELSEWHERE
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EnvironmentProblem("the folder for traces is not writable", where=shown(folder), next_step=ELSEWHERE)


def need_own(folder: Path) -> None:
    """A folder below /var/tmp may be somebody else's trap."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise EnvironmentProblem(
            "not a directory of yours that only you can write", where=shown(folder), next_step=ELSEWHERE
        )


def remove_old(trace: Path, *, replace: bool) -> None:
    """Makes room for a trace of that name, if that is asked for and nothing but a finished trace is lost."""
    if not replace:
        raise BadUsage("already there", where=shown(trace), next_step="Choose another name, or replace it with -f.")
    try:
        old = None if trace.is_symlink() else Trace(trace)
    except GlassfsError:
        old = None
    if old is None:
        raise BadUsage("-f does not replace what is no glassfs trace", where=shown(trace), next_step=ANOTHER)
    remove(entry_of(old))
