"""cpu, load and memory of the machine as a whole."""

from __future__ import annotations

import os
from typing import Any

import psutil

from glassfs.system.reading import PROC, Moment, Reading, counters, ratio, rounded

# /proc/stat's columns. Guest time is in user and nice already.
CPU_TIMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


class Cpu:
    """`pct`: of one core, so up to the number of cores; `norm.pct`: of all of them."""

    dataset = "system.cpu"

    def __init__(self) -> None:
        self._last: dict[str, float] | None = None

    def readings(self, moment: Moment) -> list[Reading]:
        seen = psutil.cpu_times()
        now = {name: getattr(seen, name) for name in CPU_TIMES}
        last, self._last = self._last, now
        spent = {name: now[name] - last[name] for name in CPU_TIMES} if last else {}
        total = sum(spent.values())
        # Without an earlier sample there is no difference, and two within a clock tick have none.
        return [self._reading(spent, total)] if total > 0 else []

    def _reading(self, spent: dict[str, float], total: float) -> Reading:
        cores = core_count()
        shares = {name: max(time, 0.0) / total for name, time in spent.items()}
        shares["total"] = 1.0 - shares["idle"] - shares["iowait"]
        cpu: dict[str, Any] = {
            name: {"pct": rounded(share * cores), "norm": {"pct": rounded(share)}} for name, share in shares.items()
        }
        cpu["cores"] = cores
        return Reading({"system": {"cpu": cpu}, "host": {"cpu": {"usage": cpu["total"]["norm"]["pct"]}}})


class Load:
    dataset = "system.load"

    def readings(self, moment: Moment) -> list[Reading]:
        averages = dict(zip(("1", "5", "15"), os.getloadavg(), strict=True))
        cores = core_count()
        load: dict[str, Any] = {name: round(value, 2) for name, value in averages.items()}
        load["norm"] = {name: rounded(value / cores) for name, value in averages.items()}
        load["cores"] = cores
        return [Reading({"system": {"load": load}})]


class Memory:
    """`used` is all that is not free, `actual` leaves out what the kernel would give back. psutil means other things by
    these words and does not have the pages, so this reads the kernel's own tables."""

    dataset = "system.memory"

    def readings(self, moment: Moment) -> list[Reading]:
        info, vm = counters(PROC / "meminfo"), counters(PROC / "vmstat")
        total, free = info["MemTotal"], info["MemFree"]
        available = info.get("MemAvailable", free + info.get("Buffers", 0) + info.get("Cached", 0))
        memory = {
            "total": total,
            "free": free,
            "cached": info["Cached"],
            "used": {"bytes": total - free, "pct": ratio(total - free, total)},
            "actual": {
                "free": available,
                "used": {"bytes": total - available, "pct": ratio(total - available, total)},
            },
            "swap": _swap(info, vm),
            "page_stats": _page_stats(vm),
            "hugepages": _huge_pages(info, vm),
        }
        return [Reading({"system": {"memory": memory}})]


def core_count() -> int:
    return psutil.cpu_count() or 1


def _swap(info: dict[str, int], vm: dict[str, int]) -> dict[str, Any]:
    total, free = info["SwapTotal"], info["SwapFree"]
    used: dict[str, Any] = {"bytes": total - free}
    if total:
        used["pct"] = ratio(total - free, total)
    return {
        "total": total,
        "free": free,
        "used": used,
        "in": {"pages": vm.get("pswpin", 0)},
        "out": {"pages": vm.get("pswpout", 0)},
        "readahead": {"pages": vm.get("swap_ra", 0), "cached": vm.get("swap_ra_hit", 0)},
    }


def _page_stats(vm: dict[str, int]) -> dict[str, Any]:
    names = ("pgscan_kswapd", "pgscan_direct", "pgfree", "pgsteal_kswapd", "pgsteal_direct")
    stats: dict[str, Any] = {name: {"pages": vm.get(name, 0)} for name in names}
    for who in ("direct", "kswapd"):
        if scanned := vm.get(f"pgscan_{who}"):
            stats[f"{who}_efficiency"] = {"pct": ratio(vm.get(f"pgsteal_{who}", 0), scanned)}
    return stats


def _huge_pages(info: dict[str, int], vm: dict[str, int]) -> dict[str, Any]:
    """A kernel without them has no lines of them."""
    pages: dict[str, Any] = {
        "swap": {"out": {"pages": vm.get("thp_swpout", 0), "fallback": vm.get("thp_swpout_fallback", 0)}}
    }
    if "HugePages_Total" not in info:
        return pages
    total, free, reserved = (info[f"HugePages_{name}"] for name in ("Total", "Free", "Rsvd"))
    taken = total - free + reserved
    size = info.get("Hugepagesize", 0)
    used = {"bytes": info.get("Hugetlb", taken * size), "pct": ratio(taken, total)}
    return pages | {
        "total": total,
        "free": free,
        "reserved": reserved,
        "surplus": info.get("HugePages_Surp", 0),
        "default_size": size,
        "used": used,
    }
