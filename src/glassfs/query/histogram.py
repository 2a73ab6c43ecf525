"""The exponential histogram of docs/trace-format.md: eight buckets an octave, bucket i covers (2^(i/8),
2^((i+1)/8)] ns.

A percentile is the middle of its bucket (on the logarithmic scale), so it is off by at most 2^(1/16), 4.4 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

BUCKETS_PER_OCTAVE = 8

# The same rule in SQL, for a column of durations; 0 counts as 1.
BUCKET_SQL = f"(ceil({BUCKETS_PER_OCTAVE} * log2(greatest(duration_ns, 1))) - 1)::INTEGER"


def bucket_of(duration_ns: int) -> int:
    return math.ceil(BUCKETS_PER_OCTAVE * math.log2(max(duration_ns, 1))) - 1


def merged(parts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    whole: dict[int, int] = {}
    for part in parts:
        for index, count in part.items():
            whole[index] = whole.get(index, 0) + count
    return whole


def percentile_ns(buckets: Mapping[int, int], fraction: float, *, min_ns: int, max_ns: int) -> int | None:
    """The smallest duration that at least `fraction` of all do not exceed; None where nothing was counted."""
    total = sum(buckets.values())
    if total == 0:
        return None
    rank = max(1, math.ceil(fraction * total))
    if rank == total:
        return max_ns
    for index in sorted(buckets):
        rank -= buckets[index]
        if rank <= 0:
            middle = 2 ** ((index + 0.5) / BUCKETS_PER_OCTAVE)
            return round(min(max(middle, min_ns), max_ns))
    return max_ns
