"""The shipper, a part of `serve`: follows traces, sends what they hold, and keeps how far it came.

One thread reads traces and makes batches; some threads send them. What waits in memory is bounded by batches, so a
cluster that is down costs nothing: the traces are the buffer. Nothing here ever reaches back to a traced program.
"""

from __future__ import annotations

import contextlib
import ctypes
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from glassfs import places
from glassfs.config.model import Settings
from glassfs.config.secrets import Credentials, path_hash_key
from glassfs.elastic import cluster, cursor, report, setup
from glassfs.elastic.bulk import FIRST_PAUSE_S, LONGEST_PAUSE_S, MOST_IN_FLIGHT, Sender, Stopped
from glassfs.elastic.client import Client
from glassfs.elastic.followed import FollowedTrace
from glassfs.elastic.hashing import Hasher
from glassfs.elastic.pace import Pace
from glassfs.elastic.report import Report
from glassfs.elastic.server import detect
from glassfs.elastic.work import Work
from glassfs.errors import GlassfsError, ServerUnreachable, TraceInUse
from glassfs.trace import Trace

# Segments close every 500 ms: a look every 100 ms adds little to that.
POLL_S = 0.1

# How often new traces are looked for, cursors kept, and the report written.
SCAN_EVERY_S = 1.0
KEEP_EVERY_S = 1.0

# Batches read ahead of the senders: about 6 MB each.
READ_AHEAD = 1


class Shipper:
    """`traces`: only these, and `run` returns once all of them are shipped. `now_ns`: the wall clock."""

    name = "shipper"

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        *,
        traces: Sequence[Trace] | None = None,
        directory: Path | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._only = traces
        self._root = directory or places.state_directories()[0].with_name("shipping")
        self._now_ns = now_ns
        hash_paths = settings.elastic.hash_paths
        self._hasher = Hasher(path_hash_key(hash_paths)) if hash_paths.enabled else None
        self.report = Report()
        # Of the cluster and namespace, once it was asked who it is.
        self.directory = self._root

    def status(self) -> Mapping[str, int | float | str]:
        return self.report.summary()

    def run(self, stop: threading.Event) -> None:
        with Client(self._settings.elastic, self._credentials) as client:
            _Run(self, client, stop, self._root).run()


class _Run:
    """From a connection to its end."""

    def __init__(self, shipper: Shipper, client: Client, stop: threading.Event, root: Path) -> None:
        self._shipper = shipper
        self._settings = shipper._settings
        self._client = client
        self._stop = stop
        self._root = root
        self._report = shipper.report
        self._followed: dict[Path, FollowedTrace] = {}
        self._done: set[Path] = set()
        self._failed: dict[Path, float] = {}
        self._queue: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._given = 0
        self._answered = 0
        self._counting = threading.Lock()
        self._crash: BaseException | None = None
        self._sender = Sender(client, stop, on_problem=self._report.problem)
        self._pace = Pace()

    def run(self) -> None:
        if not self._connected():
            return
        _return_large_blocks()
        names = [f"glassfs-ship-{number}" for number in range(MOST_IN_FLIGHT)]
        senders = [threading.Thread(target=self._send_all, name=name, daemon=True) for name in names]
        for sender in senders:
            sender.start()
        if (before := report.read(self._directory)) is not None:
            self._pace.most_per_s = before.server_per_s
        try:
            self._follow()
        finally:
            for _ in senders:
                self._queue.put(_END)
            if self._stop.is_set():
                # Ends what is under way: it is sent again the next time.
                self._client.close()
            for sender in senders:
                sender.join(0.5)
            self._retire()
            for one in self._followed.values():
                one.close()
            self._report.write(self._directory, self._followed.values(), self._pace, ended=True)

    def _connected(self) -> bool:
        """Waits for a server that is not there (that is said); whatever else is wrong is raised."""
        pause_s = FIRST_PAUSE_S
        while not self._stop.is_set():
            try:
                detect(self._client)
                setup.require(self._client, self._settings.elastic.namespace)
                self._directory = self._root / cluster.identity(self._client) / self._settings.elastic.namespace
                self._shipper.directory = self._directory
                self._report.problem(None)
                return True
            except ServerUnreachable as problem:
                if self._shipper._only is not None:
                    raise
                self._report.problem(problem)
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return False

    def _follow(self) -> None:
        next_scan_s = next_keep_s = 0.0
        while not self._stop.is_set():
            now_s = time.monotonic()
            if now_s >= next_scan_s:
                self._scan()
                next_scan_s = now_s + SCAN_EVERY_S
            busy = self._turn()
            if self._crash is not None:
                raise self._crash
            if now_s >= next_keep_s:
                self._keep()
                next_keep_s = now_s + KEEP_EVERY_S
            if self._shipper._only is not None and not self._followed:
                return
            if not busy:
                self._stop.wait(POLL_S)

    def _turn(self) -> bool:
        """One slice of each trace, as far as there is room; False if there was nothing to do."""
        busy = False
        for path, one in list(self._followed.items()):
            self._retire()
            if not self._has_room():
                self._stop.wait(_ROOM_S)
                return True
            try:
                works = one.next()
            except GlassfsError as problem:
                self._give_up(path, one, problem)
                continue
            for work in works:
                self._given += 1
                self._queue.put(work)
            busy |= bool(works)
            for warning in one.warnings():
                self._report.warn(f"{one.name}: {warning}")
            if one.is_finished:
                self._finish(path, one)
        return busy

    def _has_room(self) -> bool:
        return self._given - self._answered < self._sender.window.limit + READ_AHEAD

    def _retire(self) -> None:
        for one in self._followed.values():
            self._pace.done(one.retire())

    def _give_up(self, path: Path, one: FollowedTrace, problem: GlassfsError) -> None:
        """A trace that cannot be read now does not stop the others."""
        self._report.warn(f"{one.name}: {problem}")
        if self._shipper._only is not None:
            raise problem
        one.close()
        del self._followed[path]
        self._failed[path] = time.monotonic() + _AGAIN_S

    def _finish(self, path: Path, one: FollowedTrace) -> None:
        one.complete()
        one.close()
        del self._followed[path]
        self._done.add(path)
        self._report.finished(one)

    def _scan(self) -> None:
        """Follows what is new."""
        now_s = time.monotonic()
        for trace, kind in self._wanted():
            path = trace.path
            if path in self._followed or path in self._done or self._failed.get(path, 0.0) > now_s:
                continue
            if self._is_complete(trace):
                self._done.add(path)
                continue
            try:
                self._followed[path] = FollowedTrace(
                    trace,
                    kind,
                    self._directory,
                    self._settings,
                    hasher=self._shipper._hasher,
                    all_of_it=self._shipper._only is not None,
                    now_ns=self._shipper._now_ns,
                )
            except TraceInUse as problem:
                if self._shipper._only is not None:
                    raise
                self._report.warn(str(problem))
                self._failed[path] = now_s + _AGAIN_S

    def _is_complete(self, trace: Trace) -> bool:
        """Shipped already, to its end."""
        state = cursor.read(self._directory / f"{trace.about.id}.json")
        return state is not None and state.complete

    def _wanted(self) -> list[tuple[Trace, str]]:
        if self._shipper._only is not None:
            return [(trace, "events") for trace in self._shipper._only]
        wanted: list[tuple[Trace, str]] = []
        follow = self._settings.traces.follow
        for path in places.trace_folders() if follow == "all" else _found(follow):
            if path not in self._followed and path not in self._done:
                with contextlib.suppress(GlassfsError):
                    wanted.append((Trace(path), "events"))
        with contextlib.suppress(GlassfsError):
            wanted += [(trace, "sampler") for trace in places.system_traces() if trace.path not in self._done]
        return wanted

    def _keep(self) -> None:
        for one in self._followed.values():
            one.cursor.save()
        self._report.write(self._directory, self._followed.values(), self._pace)

    def _send_all(self) -> None:
        """In a thread: takes work until there is no more."""
        while (work := self._queue.get()) is not _END:
            try:
                work.sent = self._sender.send(work.body, work.expired)
                work.body = b""
            except Stopped:
                return
            except BaseException as problem:
                self._crash = problem
                return
            with self._counting:
                self._answered += 1


_END = Work()

# mallopt(3): M_MMAP_THRESHOLD.
_MMAP_THRESHOLD = -3


def _return_large_blocks() -> None:
    """glibc raises the size from which a block is a mapping of its own to that of the largest one freed, and then keeps
    several batches of each thread for later. Naming a size stops that; other C libraries do not do so."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1 << 20)


# How long to wait for a batch to be answered before looking for room again.
_ROOM_S = 0.01

# A trace that could not be read, or was being shipped by another process, is tried again after so long.
_AGAIN_S = 10.0


def _found(words: Sequence[str]) -> list[Path]:
    paths = []
    for word in words:
        with contextlib.suppress(GlassfsError):
            paths.append(places.find(word).path)
    return paths
