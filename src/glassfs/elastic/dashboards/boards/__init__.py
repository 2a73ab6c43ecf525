"""The dashboards themselves, in the order they are listed; a file each."""

from __future__ import annotations

from glassfs.elastic.dashboards.boards import (
    errors,
    files,
    latency,
    overview,
    postgresql,
    processes,
    rocksdb,
    sync,
    system,
)

ALL = (
    overview.BOARD,
    latency.BOARD,
    files.BOARD,
    processes.BOARD,
    sync.BOARD,
    errors.BOARD,
    system.BOARD,
    rocksdb.BOARD,
    postgresql.BOARD,
)
