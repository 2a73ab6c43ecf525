"""The sampler beside the real Metricbeat, at the same time on the same machine: the same fields, and values equal within
what two samples of one machine differ by.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from expected import DATASETS, INSTANCE, Document, differing_fields, differing_kinds, flat
from machine import both
from series import PERIOD_S, differing_values, series

pytestmark = [pytest.mark.metricbeat, pytest.mark.deadline(1500)]

SAMPLES = 6


@pytest.fixture(scope="module")
def run(
    binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Document], list[Document], dict[str, int]]:
    return both(binary, tmp_path_factory.mktemp("machine"), period_s=PERIOD_S, samples=SAMPLES)


def of(dataset: str, documents: list[Document]) -> list[Document]:
    return [each for each in documents if each["event"]["dataset"] == dataset]


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_fields_are_metricbeats(run, dataset: str):
    ours, theirs, _ = run
    assert differing_fields(of(dataset, ours), of(dataset, theirs)) == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_kinds_of_values_are_metricbeats(run, dataset: str):
    ours, theirs, _ = run
    assert differing_kinds(of(dataset, ours), of(dataset, theirs)) == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_values_are_metricbeats(run, dataset: str):
    ours, theirs, _ = run
    assert differing_values(of(dataset, ours), of(dataset, theirs)) == []


@pytest.mark.parametrize("dataset", INSTANCE)
def test_the_same_devices_mounts_and_interfaces_are_seen(run, dataset: str):
    ours, theirs, pids = run
    name = INSTANCE[dataset]
    mine, others = ({dict(flat(each)).get(name) for each in of(dataset, those)} for those in (ours, theirs))
    if dataset == "system.process":
        # Others come and go between a sample of ours and one of theirs.
        assert set(pids.values()) <= mine & others
    else:
        assert mine == others


def test_what_a_process_holds_is_the_same_to_a_megabyte_in_both(run):
    ours, theirs, pids = run
    key = ("system.process", str(pids["holds"]), "system.process.memory.rss.bytes")
    mine, others = (series(those)[key][-1][1] for those in (ours, theirs))
    assert 200 << 20 < others < 240 << 20
    assert mine == pytest.approx(others, abs=1 << 20)


def test_a_process_that_computes_takes_the_same_share_of_a_core_in_both(run):
    ours, theirs, pids = run
    key = ("system.process", str(pids["computes"]), "system.process.cpu.total.pct")
    shares = [[value for _, value in series(those)[key]][1:] for those in (ours, theirs)]
    mine, others = (sum(each) / len(each) for each in shares)
    assert 0.2 < others <= 1.05
    assert mine == pytest.approx(others, abs=0.25)
