"""The histogram's percentiles against exact ones, and its SQL against its Python."""

from __future__ import annotations

import math

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassfs.query.histogram import BUCKET_SQL, bucket_of, merged, percentile_ns

# From a nanosecond to three hours.
DURATIONS = st.one_of(
    st.integers(0, 10_000), st.integers(0, 10**13), st.floats(0, 43).map(lambda exponent: int(2**exponent))
)

BOUND = 2 ** (1 / 16) - 1


def histogram(durations: list[int]) -> dict[int, int]:
    return merged({bucket_of(each): 1} for each in durations)


@given(st.lists(DURATIONS, min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 0.999]))
def test_a_percentile_is_within_its_bound_of_the_exact_one(durations: list[int], fraction: float):
    exact = sorted(durations)[max(math.ceil(fraction * len(durations)), 1) - 1]
    told = percentile_ns(histogram(durations), fraction, min_ns=min(durations), max_ns=max(durations))
    assert told is not None
    # Half a nanosecond is the rounding to whole ones.
    assert abs(told - exact) <= exact * BOUND + 0.5 or (exact == 0 and told <= 1)


@given(st.lists(DURATIONS, min_size=1, max_size=50))
def test_a_percentile_lies_between_the_shortest_and_the_longest(durations: list[int]):
    for fraction in (0.5, 0.99):
        told = percentile_ns(histogram(durations), fraction, min_ns=min(durations), max_ns=max(durations))
        assert told is not None
        assert min(durations) <= told <= max(durations)


@given(st.lists(DURATIONS, max_size=30), st.lists(DURATIONS, max_size=30))
def test_merging_is_adding(some: list[int], others: list[int]):
    assert merged([histogram(some), histogram(others)]) == histogram(some + others)


@settings(max_examples=20)
@given(st.lists(DURATIONS, min_size=1, max_size=500))
def test_sql_and_python_put_a_duration_into_the_same_bucket(durations: list[int]):
    durations += [2**power for power in range(44)] + [2**power + 1 for power in range(44)]
    sql = f"select duration_ns, {BUCKET_SQL} from (select unnest(?::bigint[]) as duration_ns)"
    for duration, bucket in duckdb.execute(sql, [durations]).fetchall():
        assert bucket == bucket_of(duration)


@pytest.mark.parametrize(("duration_ns", "bucket"), [(0, -1), (1, -1), (2, 7), (3, 12), (1024, 79), (1025, 80)])
def test_buckets_lie_where_the_format_says(duration_ns: int, bucket: int):
    assert bucket_of(duration_ns) == bucket


def test_nothing_has_no_percentile():
    assert percentile_ns({}, 0.5, min_ns=0, max_ns=0) is None
