"""Prints docs/events.md from what the recorder says of its own columns: events_doc.py RECORDER > docs/events.md."""

from __future__ import annotations

import json
import subprocess
import sys

HEAD = """# What is recorded

Written by `make events-doc` from the recorder's own schema; a test compares the two. How a trace lies on disk, and what
times, names and histograms mean exactly, is in [trace-format.md](trace-format.md).

Views such as `glassfs sql` show the tables under these names. `?`: may be null, which means it cannot be known.
"""

# The sampler writes this table, not the recorder.
SYSTEM = """
## system

The machine's own figures, where `glassfs serve` ran: [how-to/metricbeat.md](how-to/metricbeat.md).

| column | type | what it is |
|---|---|---|
| `stream` | int32 | As in events |
| `seq` | int64 | Place in the stream |
| `ts_ns` | int64 | When the sample began: nanoseconds since 1970 UTC, wall clock |
| `dataset` | string | system.cpu, load, memory, network, diskio, filesystem, process or process.summary |
| `instance` | string? | Which interface, device, mount point or pid; null: the machine as a whole |
| `document` | string | Metricbeat's document, as JSON |
"""


def render(schema: dict) -> str:
    version = f"Schema {schema['schema']['major']}.{schema['schema']['minor']}."
    parts = [HEAD, version, "", *_ops(schema["ops"])]
    for table, columns in schema["tables"].items():
        parts += ["", f"## {table}", "", "| column | type | what it is |", "|---|---|---|"]
        parts += [_row(column) for column in columns]
    return "\n".join(parts) + "\n" + SYSTEM


def _row(column: dict) -> str:
    kind = column["type"] + ("?" if column["nullable"] else "")
    return f"| `{column['name']}` | {kind} | {column['description'].replace('|', '&#124;')} |"


def _ops(ops: list[dict]) -> list[str]:
    classes: dict[str, list[str]] = {}
    for one in ops:
        classes.setdefault(one["class"], []).append(f"`{one['op']}`")
    rows = [f"| {name} | {', '.join(words)} |" for name, words in classes.items()]
    return ["## The six classes", "", "| class | ops |", "|---|---|", *rows]


def main() -> None:
    said = subprocess.run([sys.argv[1], "schema"], check=True, capture_output=True, timeout=30)
    sys.stdout.write(render(json.loads(said.stdout)))


if __name__ == "__main__":
    main()
