"""System: the machine's own figures beside the calls, from Metricbeat or from our sampler.

Both may write at once. So everything here is an average, a maximum, or the growth of a maximum: none of them changes
when the same figure stands there twice.
"""

from __future__ import annotations

from glassfs.elastic.dashboards.boards.common import CALLS, words
from glassfs.elastic.dashboards.model import (
    EVENTS,
    SYSTEM,
    Chart,
    Control,
    Dashboard,
    Look,
    Metric,
    Number,
    Table,
    Terms,
    Unit,
    average,
    beside,
    highest,
    rate,
)

BYTES, SHARE = Unit.BYTES, Unit.SHARE


def _lines(title: str, *metrics: Metric, split: Terms | None = None) -> Chart:
    return Chart(title=title, view=SYSTEM, look=Look.LINES, metrics=metrics, split=split)


_DISK = Terms("Disk", "system.diskio.name", 6)
_INTERFACE = Terms("Interface", "system.network.name", 6)
# A name is borne by many processes, whose counters cannot be mixed.
_PID = Terms("Process id", "process.pid", 10, is_number=True)

BOARD = Dashboard(
    "glassfs-system",
    "System",
    "CPU, memory, disks, network and processes, on the same time axis as the calls",
    [
        words(
            "The machine beside the calls, each step of time under the other. With several machines choose one under "
            "Host: counters of two machines cannot be told apart in one line.",
            SYSTEM,
        ),
        beside(
            6,
            Number(title="CPU in use", view=SYSTEM, metric=average("CPU", "host.cpu.usage", SHARE)),
            Number(title="Load, 1 minute", view=SYSTEM, metric=average("Load", "system.load.1")),
            Number(
                title="Memory in use", view=SYSTEM, metric=average("Memory", "system.memory.actual.used.pct", SHARE)
            ),
            Number(
                title="Most swap in use", view=SYSTEM, metric=highest("Swap", "system.memory.swap.used.bytes", BYTES)
            ),
        ),
        beside(12, Chart(title="Calls over time, by class", view=EVENTS, metrics=[CALLS], by_class=True)),
        beside(
            12,
            Chart(
                title="CPU (1 is one core)",
                view=SYSTEM,
                look=Look.AREAS,
                metrics=[
                    average("user", "system.cpu.user.pct", SHARE),
                    average("system", "system.cpu.system.pct", SHARE),
                    average("iowait", "system.cpu.iowait.pct", SHARE),
                    average("steal", "system.cpu.steal.pct", SHARE),
                ],
            ),
            _lines("Load", *(average(f"{n} min", f"system.load.{n}") for n in (1, 5, 15))),
            _lines(
                "Memory and swap",
                average("in use", "system.memory.actual.used.bytes", BYTES),
                average("free", "system.memory.free", BYTES),
                average("swap in use", "system.memory.swap.used.bytes", BYTES),
            ),
        ),
        beside(
            12,
            _lines("Disks: read, bytes a second", rate("Read", "system.diskio.read.bytes", BYTES), split=_DISK),
            _lines("Disks: written, bytes a second", rate("Written", "system.diskio.write.bytes", BYTES), split=_DISK),
            _lines("Disks: milliseconds busy, a second", rate("Busy", "system.diskio.io.time"), split=_DISK),
        ),
        beside(
            12,
            _lines("Network: received, bytes a second", rate("In", "system.network.in.bytes", BYTES), split=_INTERFACE),
            _lines("Network: sent, bytes a second", rate("Out", "system.network.out.bytes", BYTES), split=_INTERFACE),
            _lines(
                "Number of processes",
                average("all", "system.process.summary.total"),
                average("running", "system.process.summary.running"),
                average("sleeping", "system.process.summary.sleeping"),
            ),
        ),
        beside(
            12,
            _lines(
                "CPU by process (1 is one core)",
                average("CPU", "system.process.cpu.total.pct", SHARE),
                split=Terms("Process", "process.name", 10),
            ),
            _lines(
                "Disk I/O by process id: read, bytes a second",
                rate("Read", "system.process.io.read_bytes", BYTES),
                split=_PID,
            ),
            _lines(
                "Disk I/O by process id: written, bytes a second",
                rate("Written", "system.process.io.write_bytes", BYTES),
                split=_PID,
            ),
        ),
        beside(
            14,
            Table(
                title="Processes",
                view=SYSTEM,
                rows=[Terms("Process", "process.name", 15), Terms("Id", "process.pid", 3, is_number=True)],
                metrics=[
                    highest("Most CPU", "system.process.cpu.total.pct", SHARE),
                    highest("Most memory", "system.process.memory.rss.bytes", BYTES),
                    highest("Read from disk", "system.process.io.read_bytes", BYTES),
                    highest("Written to disk", "system.process.io.write_bytes", BYTES),
                ],
            ),
            Table(
                title="Filesystems",
                view=SYSTEM,
                rows=[Terms("Mount point", "system.filesystem.mount_point", 15)],
                metrics=[
                    highest("Most in use", "system.filesystem.used.pct", SHARE),
                    highest("Size", "system.filesystem.total", BYTES),
                ],
            ),
        ),
    ],
    (Control("Host", "host.name", SYSTEM),),
)
