"""Files and directories: where the calls go, and how a file is used."""

from __future__ import annotations

from glassfs.elastic.dashboards.boards.common import ALL_CONTROLS, BYTES, CALLS, TIME, words
from glassfs.elastic.dashboards.model import (
    EVENTS,
    Chart,
    Dashboard,
    Heat,
    Look,
    Share,
    Steps,
    Table,
    Terms,
    Unit,
    beside,
    count,
    percentile,
    total,
)

DATA = "glassfs.class: (read or write)"

BOARD = Dashboard(
    "glassfs-files",
    "Files and directories",
    "Directories, extensions, opens against closes, reads against writes, and where in a file",
    [
        words(
            "Click a directory or a path in a table to see only that. All below a directory: "
            '`file.path.tree: "/data/db"` in the line at the top, where the server has it. '
            "For the two pictures of offsets choose one file under Path.",
            EVENTS,
        ),
        beside(
            16,
            Table(
                title="Directories",
                rows=[Terms("Directory", "file.directory", 20)],
                metrics=[CALLS, BYTES, TIME, percentile(99)],
            ),
            Table(
                title="Paths by bytes",
                rows=[Terms("Path", "file.path", 20)],
                metrics=[BYTES, CALLS, percentile(99)],
                query=DATA,
            ),
        ),
        beside(
            12,
            Share(
                title="Extensions, by bytes", split=Terms("Extension", "file.extension", 12), metric=BYTES, query=DATA
            ),
            Share(title="Directories, by calls", split=Terms("Directory", "file.directory", 12), metric=CALLS),
            Share(title="Kinds of files", split=Terms("Kind", "file.type", 7), metric=CALLS),
        ),
        beside(
            12,
            Chart(
                title="Opens against closes",
                look=Look.LINES,
                metrics=[
                    count("Opens", only="event.action: (open or create or tmpfile)"),
                    count("Closes", only="event.action: (release or close)"),
                ],
            ),
            Chart(
                title="Reads against writes",
                look=Look.LINES,
                metrics=[count("Reads", only="glassfs.class: read"), count("Writes", only="glassfs.class: write")],
            ),
            Chart(
                title="Names made against names taken away",
                look=Look.LINES,
                metrics=[
                    count("Made", only="event.type: creation"),
                    count("Taken away", only="event.type: deletion"),
                ],
            ),
        ),
        beside(
            14,
            Heat(
                title="Where in the file, over time: reads",
                query="glassfs.class: read and event.outcome: success",
                up=Steps("Offset", "glassfs.offset"),
                metric=total("Bytes", "glassfs.bytes", Unit.BYTES),
            ),
            Heat(
                title="Where in the file, over time: writes",
                query="glassfs.class: write and event.outcome: success",
                up=Steps("Offset", "glassfs.offset"),
                metric=total("Bytes", "glassfs.bytes", Unit.BYTES),
            ),
        ),
        beside(
            12,
            Chart(title="Bytes over time, by path", metrics=[BYTES], split=Terms("Path", "file.path", 8), query=DATA),
            Table(
                title="Sizes asked for",
                rows=[Terms("Type", "event.action", 3), Terms("Bytes", "glassfs.size", 8, is_number=True)],
                metrics=[CALLS],
                query="event.action: (read or write)",
            ),
        ),
    ],
    ALL_CONTROLS,
)
