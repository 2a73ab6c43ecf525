"""The tables of README.md and docs/performance.md hold what was measured last, and nothing else."""

from __future__ import annotations

import json

import pytest
from bench import tables


@pytest.mark.parametrize("name", tables.PAGES)
def test_a_page_holds_the_table_of_the_last_results(name: str):
    result = json.loads(tables.RESULTS.read_text())
    page = (tables.REPOSITORY / name).read_text()
    assert tables.filled(page, tables.PAGES[name](result)) == page, "run: python -m bench.tables"


def test_a_ratio_says_what_was_not_seen_and_what_was_shed():
    row = {"ratio_to_native": 0.0412, "calls_seen_ratio": 0.37, "events": 1000, "events_lost": 50}
    assert tables._ratio(row) == "0.041, saw 37%, 5.0% only in totals"
    assert tables._ratio({**row, "calls_seen_ratio": None, "events_lost": 0, "ratio_to_native": 0.72}) == "0.72"
    assert tables._ratio(None) == "-"
