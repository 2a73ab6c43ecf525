"""What the sampler's tests share: a state directory of their own, and a sampler in a thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glassfs.config.model import Sampler as SamplerSettings
from glassfs.config.model import Settings, Traces
from glassfs.system.sampler import Sampler
from support.waiting import wait_until

# At the end: other tests import their own `conftest` by that name. TraceWriter is the readers'.
sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "python")]

from commands import VAR_TMP_VARIABLE
from kept import DEADLINE_S, Sampled

from glassfs import places


@pytest.fixture(autouse=True)
def state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv(VAR_TMP_VARIABLE, str(tmp_path / "var-tmp"))
    monkeypatch.setattr(places, "VAR_TMP", tmp_path / "var-tmp")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the sampler's traces of the tested user lie."""
    return tmp_path / "state/glassfs/system"


@pytest.fixture
def sampled(directory: Path) -> Iterator[Sampled]:
    """Runs a sampler in a thread, as `serve` does, until it has so many samples; stops it."""

    def run(samples: int = 3, *, period_s: float = 0.1, top: int = 10, follow: Any = "all", **labels: str) -> Sampler:
        settings = Settings(
            sampler=SamplerSettings(period_s=period_s, top_processes=top), traces=Traces(follow=follow), labels=labels
        )
        sampler, stop = Sampler(settings), threading.Event()
        thread = threading.Thread(target=sampler.run, args=(stop,), name="sampler")
        thread.start()
        try:
            wait_until(lambda: sampler.status()["samples"] >= samples, f"{samples} samples", DEADLINE_S)
        finally:
            stop.set()
            thread.join(DEADLINE_S)
        assert not thread.is_alive()
        return sampler

    yield run
