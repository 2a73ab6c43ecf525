"""The real Metricbeat and the sampler side by side, while something happens on the machine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
from expected import Document

from glassfs.config.model import Sampler as SamplerSettings
from glassfs.config.model import Settings
from glassfs.system.sampler import Sampler
from support.waiting import wait_until

CONFIGURATION = """
metricbeat.modules:
- module: system
  period: {period_s}s
  metricsets: [cpu, load, memory, network, process, process_summary, diskio, filesystem]
  processes: ['.*']
output.file: {{path: {folder}, filename: documents}}
path.home: {folder}/home
logging.to_stderr: true
logging.level: error
"""

# Every process: which ones are kept is not what is compared here.
ALL_PROCESSES = 10_000

DEADLINE_S = 60


def metricbeat_documents(folder: Path) -> list[Document]:
    """Whole lines only: it may be writing."""
    return [json.loads(line) for file in folder.glob("documents*") for line in file.read_bytes().split(b"\n")[:-1]]


def our_documents(directory: Path) -> list[Document]:
    files = [str(file) for file in directory.glob("*/system/*.parquet")]
    rows = duckdb.connect(":memory:").execute("select document from read_parquet(?) order by ts_ns, seq", [files])
    return [json.loads(text) for (text,) in rows.fetchall()]


@contextlib.contextmanager
def metricbeat(binary: Path, folder: Path, period_s: float) -> Iterator[None]:
    folder.mkdir(mode=0o700)
    file = folder / "metricbeat.yml"
    file.write_text(CONFIGURATION.format(period_s=period_s, folder=folder))
    file.chmod(0o600)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([binary, "-c", file, "-e"], stdout=subprocess.DEVNULL, stderr=log)
    try:
        yield
        assert process.poll() is None, (folder / "log").read_text()
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextlib.contextmanager
def sampler(directory: Path, period_s: float, top_processes: int = ALL_PROCESSES) -> Iterator[Sampler]:
    """In a thread, as `serve` has it. Its trace is whole when this is left."""
    settings = Settings(sampler=SamplerSettings(period_s=period_s, top_processes=top_processes))
    part, stop = Sampler(settings, directory=directory), threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            part.run(stop)
        except BaseException as problem:
            failed.append(problem)

    thread = threading.Thread(target=run, name="sampler")
    thread.start()
    try:
        yield part
    finally:
        stop.set()
        thread.join(10)
    assert not failed and not thread.is_alive(), failed


@contextlib.contextmanager
def something_happens(folder: Path) -> Iterator[dict[str, int]]:
    """A process that computes, one that holds memory, one that sleeps; writes and packets meanwhile. Their pids by name."""
    programs = {
        "computes": [sys.executable, "-c", "while True: pass"],
        "holds": [sys.executable, "-c", "x = bytearray(200 << 20); import time; time.sleep(600)"],
        "sleeps": ["sleep", "600"],
    }
    processes = {name: subprocess.Popen(command, cwd="/") for name, command in programs.items()}
    over = threading.Event()
    busy = threading.Thread(target=_write_and_send, args=(folder / "written", over), name="write-and-send")
    busy.start()
    try:
        yield {name: process.pid for name, process in processes.items()}
    finally:
        over.set()
        busy.join(10)
        for process in processes.values():
            process.kill()
            process.wait(10)


def _write_and_send(file: Path, over: threading.Event) -> None:
    with file.open("wb") as out, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while not over.wait(0.1):
            out.seek(0)
            out.write(os.urandom(256 << 10))
            out.flush()
            os.fsync(out.fileno())
            sender.sendto(b"x" * 8192, ("127.0.0.1", 9))


def both(
    binary: Path, folder: Path, *, period_s: float, samples: int
) -> tuple[list[Document], list[Document], dict[str, int]]:
    """Ours, Metricbeat's, and what happened: at least so many samples of each dataset of both."""
    directory = folder / "system"
    with something_happens(folder) as pids, metricbeat(binary, folder / "metricbeat", period_s):
        wait_until(lambda: metricbeat_documents(folder / "metricbeat"), "Metricbeat's first document", DEADLINE_S)
        with sampler(directory, period_s) as part:
            wait_until(lambda: part.status()["samples"] > samples, "our samples", DEADLINE_S)
            ended = time.time()
        wait_until(lambda: _newest(folder / "metricbeat") > ended + period_s, "Metricbeat's last ones", DEADLINE_S)
        theirs = metricbeat_documents(folder / "metricbeat")
    return our_documents(directory), theirs, pids


def _newest(folder: Path) -> float:
    """Of the dataset that comes last: processes take the longest."""
    from series import series

    times = [
        values[-1][0]
        for (dataset, _, name), values in series(metricbeat_documents(folder)).items()
        if dataset == "system.process" and name == "process.pid"
    ]
    return max(times, default=0.0)
