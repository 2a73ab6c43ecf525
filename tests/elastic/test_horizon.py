"""How old a row may be, over all moments of a day. Needs no server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from glassfs.elastic import horizon, indices

DAY_NS = 86_400 * 1_000_000_000
NOW_NS = st.integers(20_000 * DAY_NS, 20_010 * DAY_NS)
PER = st.sampled_from(["day", "hour"])
DAYS = st.integers(1, 400)


def index_begins_ns(ts_ns: int, per: str) -> int:
    parsed = indices.parse(indices.events("default", ts_ns, per))
    assert parsed is not None
    return int(parsed.begin.timestamp()) * 1_000_000_000


@given(NOW_NS, DAYS, PER)
def test_a_call_of_today_is_never_too_old(now_ns: int, days: int, per: str) -> None:
    assert horizon.oldest_ns(now_ns, days, per) <= index_begins_ns(now_ns, per)


@given(NOW_NS, DAYS, PER)
def test_what_is_shipped_at_once_stays_for_the_days_of_the_setting(ts_ns: int, days: int, per: str) -> None:
    goes_ns = index_begins_ns(ts_ns, per) + horizon.index_age_days(days) * DAY_NS
    assert goes_ns - ts_ns >= days * DAY_NS


@given(NOW_NS, DAYS, PER, st.integers(0, 410 * DAY_NS))
def test_what_may_be_shipped_goes_to_an_index_that_cannot_have_been_deleted(
    now_ns: int, days: int, per: str, age_ns: int
) -> None:
    goes_ns = index_begins_ns(now_ns - age_ns, per) + horizon.index_age_days(days) * DAY_NS
    is_young = now_ns - age_ns >= horizon.oldest_ns(now_ns, days, per)
    assert is_young == (goes_ns > now_ns + horizon.MARGIN_NS)
