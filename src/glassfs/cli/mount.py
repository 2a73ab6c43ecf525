"""`glassfs mount`: a lasting traced mount."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from glassfs import recorder
from glassfs.cli import new_trace
from glassfs.cli.screen import answer_json, color_option, json_option, shown, talk


@click.command()
@click.argument("source", metavar="SRC|DIR", type=click.Path(path_type=Path))
@click.argument("mount_point", metavar="[MNT]", required=False, type=click.Path(path_type=Path))
@new_trace.output_options
@new_trace.exact_option
@new_trace.plane_option
@json_option
@color_option
def mount(
    source: Path,
    mount_point: Path | None,
    output: str | None,
    replace: bool,
    exact: bool,
    plane: str,
    as_json: bool,
) -> None:
    """Mount SRC at MNT, traced, until `glassfs umount MNT`. With DIR alone: over the directory itself.

    What is written through the mount is in SRC, also after the unmount. Files that are open already go past a mount
    over their directory; they are named.
    """
    where = new_trace.choose(output, new_trace.name_for(os.path.realpath(source)), (source,), replace=replace)
    if where.moved:
        talk(f"the trace goes to {shown(where.trace)}: {where.moved}")
    mounted = recorder.mount(source, mount_point, trace=where.trace, exact=exact, plane=plane)
    if as_json:
        names = {"mount_point": mounted.mount_point, "source": mounted.source, "trace": mounted.trace}
        answer_json({"pid": mounted.pid, **{name: str(path) for name, path in names.items()}})
        return
    at, trace = shown(mounted.mount_point), shown(mounted.trace)
    over = "over itself" if mounted.source == mounted.mount_point else f"and shows {shown(mounted.source)}"
    talk(f"{at} is mounted {over}; what is done there is traced\n  trace @last, {trace}")
    print(f"next: glassfs calls @last -f  glassfs report @last  glassfs umount {at}", file=sys.stderr)
