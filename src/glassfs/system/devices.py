"""network, diskio and filesystem: a document for each interface, block device and mount."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from glassfs.system.reading import PROC, Moment, Reading, ratio, rounded

# What /proc/diskstats counts in (Documentation/admin-guide/iostats.rst), whatever the device's own sectors are.
SECTOR_BYTES = 512


class Network:
    """Counters since boot, and what all interfaces together have moved since the last sample."""

    dataset = "system.network"

    def __init__(self) -> None:
        self._last: dict[str, int] | None = None

    def readings(self, moment: Moment) -> list[Reading]:
        seen = psutil.net_io_counters(pernic=True, nowrap=False)
        sums = {
            name: sum(getattr(each, name) for each in seen.values())
            for name in ("bytes_recv", "packets_recv", "bytes_sent", "packets_sent")
        }
        last, self._last = self._last, sums
        return [_interface(name, each) for name, each in seen.items()] + _moved(last, sums)


def _interface(name: str, seen: Any) -> Reading:
    network = {
        "name": name,
        "in": {"bytes": seen.bytes_recv, "packets": seen.packets_recv, "errors": seen.errin, "dropped": seen.dropin},
        "out": {"bytes": seen.bytes_sent, "packets": seen.packets_sent, "errors": seen.errout, "dropped": seen.dropout},
    }
    return Reading({"system": {"network": network}}, instance=name)


def _moved(last: dict[str, int] | None, now: dict[str, int]) -> list[Reading]:
    # An interface that went away takes its counters with it: that is no traffic.
    if last is None or any(now[name] < last[name] for name in now):
        return []
    grown = {name: now[name] - last[name] for name in now}
    moved = {
        "ingress": {"bytes": grown["bytes_recv"], "packets": grown["packets_recv"]},
        "egress": {"bytes": grown["bytes_sent"], "packets": grown["packets_sent"]},
    }
    return [Reading({"host": {"network": moved}})]


class Disk(NamedTuple):
    """A line of /proc/diskstats, in its order; times in milliseconds. psutil lacks `in_flight` and `weighted_time`."""

    reads: int
    reads_merged: int
    read_sectors: int
    read_time: int
    writes: int
    writes_merged: int
    write_sectors: int
    write_time: int
    in_flight: int
    io_time: int
    weighted_time: int


class DiskIo:
    """Counters since boot, rates since the last sample as iostat has them, and what all devices together moved."""

    dataset = "system.diskio"

    def __init__(self) -> None:
        self._last: dict[str, Disk] = {}
        self._last_ns = 0

    def readings(self, moment: Moment) -> list[Reading]:
        seen = dict(_disks())
        last, self._last = self._last, seen
        passed_ms = (moment.mono_ns - self._last_ns) / 1e6
        self._last_ns = moment.mono_ns
        each = [_device(name, disk, last.get(name), passed_ms) for name, disk in seen.items()]
        return each + (_transferred(last, seen) if last else [])


def _disks() -> Iterator[tuple[str, Disk]]:
    for line in (PROC / "diskstats").read_text().splitlines():
        _major, _minor, name, *fields = line.split()
        disk = Disk(*map(int, fields[: len(Disk._fields)]))
        # The kernel lists dozens of loop and RAM devices that nobody has ever used.
        if any(disk):
            yield name, disk


def _device(name: str, disk: Disk, last: Disk | None, passed_ms: float) -> Reading:
    diskio: dict[str, Any] = {
        "name": name,
        "read": {"count": disk.reads, "bytes": disk.read_sectors * SECTOR_BYTES, "time": disk.read_time},
        "write": {"count": disk.writes, "bytes": disk.write_sectors * SECTOR_BYTES, "time": disk.write_time},
        "io": {"ops": disk.in_flight, "time": disk.io_time},
    }
    if last is not None and passed_ms > 0:
        diskio["iostat"] = _iostat(disk, last, passed_ms)
    return Reading({"system": {"diskio": diskio}}, instance=name)


def _iostat(disk: Disk, last: Disk, passed_ms: float) -> dict[str, Any]:
    # The kernel keeps times in 32 bits on some machines; a counter that has begun anew says nothing this once.
    grown = Disk(*(max(now - before, 0) for now, before in zip(disk, last, strict=True)))
    requests = grown.reads + grown.writes

    def per_second(count: int) -> float:
        return rounded(1000 * count / passed_ms)

    def way(done: int, merged: int, sectors: int, time_ms: int) -> dict[str, Any]:
        return {
            "request": {"per_sec": per_second(done), "merges_per_sec": per_second(merged)},
            "per_sec": {"bytes": per_second(sectors * SECTOR_BYTES)},
            "await": ratio(time_ms, done),
        }

    return {
        "read": way(grown.reads, grown.reads_merged, grown.read_sectors, grown.read_time),
        "write": way(grown.writes, grown.writes_merged, grown.write_sectors, grown.write_time),
        "queue": {"avg_size": rounded(grown.weighted_time / passed_ms)},
        "request": {"avg_size": ratio((grown.read_sectors + grown.write_sectors) * SECTOR_BYTES, requests)},
        "await": ratio(grown.read_time + grown.write_time, requests),
        "service_time": ratio(grown.io_time, requests),
        # A percentage of 100, unlike every `pct`.
        "busy": min(rounded(100 * grown.io_time / passed_ms), 100.0),
    }


def _transferred(last: dict[str, Disk], now: dict[str, Disk]) -> list[Reading]:
    read = SECTOR_BYTES * (
        sum(each.read_sectors for each in now.values()) - sum(each.read_sectors for each in last.values())
    )
    written = SECTOR_BYTES * (
        sum(each.write_sectors for each in now.values()) - sum(each.write_sectors for each in last.values())
    )
    # A device that went away takes its counters with it.
    if min(read, written) < 0:
        return []
    return [Reading({"host": {"disk": {"read": {"bytes": read}, "write": {"bytes": written}}}})]


class Filesystem:
    """Filesystems on block devices, each once, where its mount point is shortest. Never a network's or a FUSE mount: a
    server that hangs would hold the sampler, and a statfs of ours would stand in the trace."""

    dataset = "system.filesystem"

    def readings(self, moment: Moment) -> list[Reading]:
        shortest: dict[str, Any] = {}
        for mount in psutil.disk_partitions(all=False):
            known = shortest.get(mount.device)
            if known is None or len(mount.mountpoint) < len(known.mountpoint):
                shortest[mount.device] = mount
        found = (_filesystem(mount) for mount in shortest.values() if not Path(mount.device).is_dir())
        return [reading for reading in found if reading]


def _filesystem(mount: Any) -> Reading | None:
    try:
        seen = os.statvfs(mount.mountpoint)
    except OSError:
        # Unmounted meanwhile, or not for this user.
        return None
    free, available = seen.f_bfree * seen.f_frsize, seen.f_bavail * seen.f_frsize
    used = seen.f_blocks * seen.f_frsize - free
    filesystem = {
        "device_name": mount.device,
        "mount_point": mount.mountpoint,
        "type": mount.fstype,
        "options": mount.opts,
        "total": seen.f_blocks * seen.f_frsize,
        "free": free,
        "available": available,
        # df's way: blocks kept for root are neither used nor to be had.
        "used": {"bytes": used, "pct": ratio(used, used + available)},
        "files": seen.f_files,
        "free_files": seen.f_ffree,
    }
    return Reading({"system": {"filesystem": filesystem}}, instance=mount.mountpoint)
