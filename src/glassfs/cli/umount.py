"""`glassfs umount`: ends a lasting mount and closes its trace."""

from __future__ import annotations

from pathlib import Path

import click

from glassfs import recorder
from glassfs.cli.screen import answer_json, color_option, json_option


@click.command()
@click.argument("mount_point", metavar="MNT", type=click.Path(path_type=Path))
@json_option
@color_option
def umount(mount_point: Path, as_json: bool) -> None:
    """Unmount MNT and close its trace. Refused while a process holds a file there; it is named."""
    recorder.umount(mount_point)
    if as_json:
        answer_json({"mount_point": str(mount_point), "mounted": False})
