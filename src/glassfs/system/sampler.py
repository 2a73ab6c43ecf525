"""The part of `serve` that samples the machine: when, what, and into its folder. Knows no server."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from glassfs import places
from glassfs.config.model import Settings
from glassfs.system.devices import DiskIo, Filesystem, Network
from glassfs.system.documents import Documents
from glassfs.system.folder import Folder
from glassfs.system.machine import Cpu, Load, Memory
from glassfs.system.processes import Processes, ProcessSummary
from glassfs.system.reading import Moment, Reading
from glassfs.system.traced import TracedProcesses
from glassfs.system.writer import Sampled

NS_PER_S = 1_000_000_000

# How often a sample that takes long looks whether the sampler is to stop, which it must within a second.
STOP_LOOK_S = 0.2


class Metricset(Protocol):
    """One of Metricbeat's. It keeps the sample before, of which its rates are the difference."""

    dataset: str

    def readings(self, moment: Moment) -> list[Reading]: ...


class Sampler:
    """`directory`: the sampler's folder, if not the usual one beside the traces."""

    name = "sampler"

    def __init__(self, settings: Settings, *, directory: Path | None = None) -> None:
        self._settings = settings
        self._directory = directory or places.system_directory()
        self._period_ns = round(settings.sampler.period_s * NS_PER_S)
        self._samples = 0
        self._documents = 0
        self._skipped = 0
        self._busy_ns = 0
        self._last_ns = 0

    def run(self, stop: threading.Event) -> None:
        """Samples until `stop` is set. Raises EnvironmentProblem where another sampler writes to the folder already, or
        where it cannot be written to."""
        with Folder(self._directory, {"period_s": self._settings.sampler.period_s}) as folder:
            sample = Sample(self._settings)
            due_ns = time.monotonic_ns()
            while not stop.wait(max(due_ns - time.monotonic_ns(), 0) / NS_PER_S):
                self._take(sample, folder, stop)
                due_ns = self._next(due_ns)

    def status(self) -> Mapping[str, int | float | str]:
        """`skipped`: samples left out because the one before took longer than the period. `busy_share`: of one core.
        `last_ns`: wall time of the last sample, 0 before the first."""
        passed_ns = self._samples * self._period_ns
        return {
            "samples": self._samples,
            "documents": self._documents,
            "skipped": self._skipped,
            "busy_share": round(self._busy_ns / passed_ns, 4) if passed_ns else 0.0,
            "last_ns": self._last_ns,
            "folder": str(self._directory),
        }

    def _take(self, sample: Sample, folder: Folder, stop: threading.Event) -> None:
        moment = Moment(wall_ns=time.time_ns(), mono_ns=time.monotonic_ns())
        look = _Look(sample, moment)
        rows = look.rows(stop)
        if rows is None:
            return
        began_ns = time.thread_time_ns()
        folder.append(rows, moment.wall_ns)
        self._samples += 1
        self._documents += len(rows)
        self._last_ns = moment.wall_ns
        self._busy_ns += look.busy_ns + time.thread_time_ns() - began_ns

    def _next(self, due_ns: int) -> int:
        """On the beat of the first sample, so that nothing drifts; beats that have passed are left out, so that nothing
        piles up."""
        late = max((time.monotonic_ns() - due_ns) // self._period_ns, 0)
        self._skipped += late
        return due_ns + (late + 1) * self._period_ns


class _Look:
    """One look at the machine in a thread of its own: /proc holds whoever reads about a process that starts a program
    from a filesystem that hangs, and nothing may keep the sampler from stopping. It writes nothing."""

    def __init__(self, sample: Sample, moment: Moment) -> None:
        self.busy_ns = 0
        self._result: queue.SimpleQueue[list[Sampled] | BaseException] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(sample, moment), name="sampler-look", daemon=True).start()

    def _run(self, sample: Sample, moment: Moment) -> None:
        try:
            rows = list(sample.rows(moment))
            self.busy_ns = time.thread_time_ns()
            self._result.put(rows)
        except BaseException as problem:
            self._result.put(problem)

    def rows(self, stop: threading.Event) -> list[Sampled] | None:
        """None: told to stop before it was over."""
        while True:
            try:
                result = self._result.get(timeout=STOP_LOOK_S)
            except queue.Empty:
                if stop.is_set():
                    return None
                continue
            if isinstance(result, BaseException):
                raise result
            return result


class Sample:
    """All metricsets, and what they saw last."""

    def __init__(self, settings: Settings) -> None:
        self._documents = Documents(labels=settings.labels, period_s=settings.sampler.period_s)
        self._traced = TracedProcesses(settings.traces.follow)
        processes = Processes(settings.sampler.top_processes, self._traced.have)
        self._metricsets: tuple[Metricset, ...] = (
            *(Cpu(), Load(), Memory(), Network(), DiskIo(), Filesystem()),
            *(processes, ProcessSummary(processes)),
        )

    def rows(self, moment: Moment) -> Iterator[Sampled]:
        self._traced.look()
        for metricset in self._metricsets:
            began_ns = time.monotonic_ns()
            readings = metricset.readings(Moment(moment.wall_ns, began_ns))
            took_ns = time.monotonic_ns() - began_ns
            for reading in readings:
                document = self._documents.text(reading, metricset.dataset, moment.wall_ns, took_ns)
                yield Sampled(metricset.dataset, reading.instance, document)
