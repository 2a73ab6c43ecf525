"""The sampler's documents of this machine, now, beside documents that the real Metricbeat wrote once (recorded.jsonl,
made by record.py): fields, kinds of values, and how times are written.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from expected import DATASETS, ONLY_SOME_MACHINES, Document, differing_fields, differing_kinds, flat, matches
from machine import our_documents, sampler, something_happens

from support.waiting import wait_until

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "recorded.jsonl").read_text().splitlines()]

# What every document of a dataset says in the same words.
SAID_BY_ALL = (
    *("agent.type", "agent.version", "ecs.version", "event.module", "event.dataset", "metricset.name"),
    "service.type",
)

TIMES = ("@timestamp", "process.cpu.start_time", "system.process.cpu.start_time")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    folder = tmp_path_factory.mktemp("machine")
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(folder)
    try:
        with something_happens(folder) as pids, sampler(folder / "system", 0.5) as part:
            wait_until(lambda: part.status()["samples"] >= 3, "three samples", 60)
    finally:
        os.environ.pop("XDG_STATE_HOME") if before is None else os.environ.update(XDG_STATE_HOME=before)
    # Of processes only our own: what a kernel's thread or another user's process shows is less.
    mine = {pids["sleeps"]}
    documents = our_documents(folder / "system")
    return [
        each for each in documents if each["event"]["dataset"] != "system.process" or each["process"]["pid"] in mine
    ]


def pair(dataset: str, ours: list[Document]) -> tuple[list[Document], list[Document]]:
    mine, theirs = ([each for each in those if each["event"]["dataset"] == dataset] for those in (ours, RECORDED))
    assert theirs
    if not mine and dataset in ("system.diskio", "system.filesystem"):
        pytest.skip(f"this machine has nothing of {dataset}")
    return mine, theirs


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_fields_are_those_that_metricbeat_wrote(ours: list[Document], dataset: str):
    differing = differing_fields(*pair(dataset, ours))
    assert [each for each in differing if not matches(each.partition(": ")[2], ONLY_SOME_MACHINES)] == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_kinds_of_values_are_those_that_metricbeat_wrote(ours: list[Document], dataset: str):
    assert differing_kinds(*pair(dataset, ours)) == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_what_every_document_says_is_what_metricbeat_said(ours: list[Document], dataset: str):
    mine, theirs = (
        {name: dict(flat(each))[name] for each in those for name in SAID_BY_ALL} for those in pair(dataset, ours)
    )
    assert mine == theirs


def shape(time: str) -> str:
    return re.sub(r"\d", "0", time)


@pytest.mark.parametrize("name", TIMES)
def test_times_are_written_as_metricbeat_writes_them(ours: list[Document], name: str):
    mine, theirs = (
        {shape(found) for each in those if (found := dict(flat(each)).get(name))} for those in (ours, RECORDED)
    )
    assert mine == theirs
    assert len(mine) == 1


def test_no_name_of_the_machine_that_recorded_is_kept():
    for each in RECORDED:
        assert each["host"]["name"] == each["agent"]["name"] == each["agent"]["hostname"] == "testhost"
        assert each["agent"]["id"].startswith("00000000")
