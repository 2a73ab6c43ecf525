"""The System dashboard from our sampler's documents and from the real Metricbeat's; and from both at once, which must
change nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboards import translate
from dashboards.machine_samples import Samples, index
from dashboards.oracle import Oracle, compare
from dashboards.questions import Question, rows_of, search_body
from glassfs.elastic.dashboards import bundles
from glassfs.families import Families
from support.builds import has
from support.servers import RealServer

sys.path.append(str(Path(__file__).parents[1] / "elastic"))
sys.path.append(str(Path(__file__).parents[1] / "python"))
from samples import database_run
from shipping import set_up

pytestmark = pytest.mark.deadline(300)
METRICBEAT = Path(__file__).parents[1] / "metricbeat"
MACHINE = "metricbeat-*"
STEP_MS = 2000
SAMPLES = 5


@pytest.fixture(scope="module")
def sampled() -> list[dict[str, Any]]:
    """Documents as `glassfs serve` makes them, of this machine, while something is written."""
    samples = Samples()
    for _ in range(SAMPLES):
        subprocess.run(
            ["dd", "if=/dev/zero", "of=/var/tmp/glassfs-dd", "bs=1M", "count=8", "conv=fsync"],
            stderr=subprocess.DEVNULL,
        )
        samples.take()
        # Counters are looked at second by second: the samples themselves must lie apart.
        time.sleep(1.0)
    Path("/var/tmp/glassfs-dd").unlink()
    return samples.documents


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    place = tmp_path_factory.mktemp("trace") / "trace"
    database_run(place)
    return Oracle(place, Families([]))


@pytest.fixture(scope="module")
def metricbeat(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Documents of the real one, built from its module; it writes them into a file, for any server."""
    sys.path.append(str(METRICBEAT))
    from machine import both

    built = subprocess.run([METRICBEAT / "build.sh"], capture_output=True, text=True, timeout=1200, check=False)
    if built.returncode == 3:
        pytest.skip(built.stderr.strip())
    assert built.returncode == 0, built.stderr
    _, theirs, _ = both(Path(built.stdout.strip()), tmp_path_factory.mktemp("machine"), period_s=2, samples=SAMPLES)
    return theirs


def questions(bundle: str, folder: Path) -> list[Question]:
    written = {path.stem: path for path in bundles.export(folder)}
    objects = translate.by_key(written[bundle].read_text().splitlines())
    (board,) = [each for each in translate.dashboards(objects) if each["id"] == "glassfs-system"]
    found = [one for _, saved in translate.panels(board, objects) for one in translate.questions(saved, objects)]
    return [one for one in found if one.pattern == MACHINE]


def check(server: RealServer, oracle: Oracle, asked: list[Question], *, lacks: tuple[str, ...] = ()) -> None:
    span = oracle.span(MACHINE)
    wrong = []
    for question in asked:
        if not has(server.version)["derivative"]:
            # There only what the rates are made from is asked.
            question = replace(question, growth=())
        answer = server.ask(
            "POST", f"/{MACHINE}/_search", {"track_total_hits": True, **search_body(question, span, STEP_MS)}
        )
        rows = rows_of(question, answer)
        try:
            if any(name in (metric.field or "") for metric in question.metrics for name in lacks):
                continue
            assert any(value is not None for row in rows for value in row.values.values()), f"{question.panel} is empty"
            if question.growth:
                (growth, _) = question.growth[0]
                assert any(row.values[growth] is not None for row in rows), f"{question.panel} has no rate"
            compare(question, rows, oracle, STEP_MS)
        except AssertionError as problem:
            wrong.append(str(problem).splitlines()[0])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("bundle", ["classic", "lens"])
def test_from_our_sampler(
    server: RealServer, oracle: Oracle, sampled: list[dict[str, Any]], bundle: str, tmp_path: Path
) -> None:
    set_up(server)
    index(server, "metricbeat-glassfs-default-2026.11.24", sampled)
    oracle.add_documents(MACHINE, sampled)
    check(server, oracle, questions(bundle, tmp_path))


def test_metricbeat_and_our_sampler_at_once_are_not_counted_twice(
    server: RealServer, oracle: Oracle, sampled: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The same figures from two writers; the truth is that of one."""
    set_up(server)
    index(server, "metricbeat-glassfs-default-2026.11.24", sampled)
    index(server, "metricbeat-glassfs-default-2026.11.25", sampled)
    oracle.add_documents(MACHINE, sampled)
    check(server, oracle, questions("classic", tmp_path))


@pytest.mark.slow
@pytest.mark.deadline(1500)
def test_from_the_real_metricbeat(
    server: RealServer, oracle: Oracle, tmp_path: Path, metricbeat: list[dict[str, Any]]
) -> None:
    set_up(server)
    index(server, "metricbeat-glassfs-default-2026.11.24", metricbeat)
    oracle.add_documents(MACHINE, metricbeat)
    # Metricbeat 7.17 does not tell a process's disk I/O.
    check(server, oracle, questions("classic", tmp_path), lacks=("system.process.io.",))
