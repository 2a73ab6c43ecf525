"""The service with the parts named in the first argument, separated by commas: what each does stands in its name."""

from __future__ import annotations

import os
import sys
import threading
import time

from glassfs.cli import failures, service_log
from glassfs.cli.serve import run
from glassfs.errors import EnvironmentProblem
from glassfs.serve import service
from glassfs.serve.keeper import Plan


class Part:
    tries = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def run(self, stop: threading.Event) -> None:
        Part.tries += self.name != "good"
        getattr(self, self.name.replace("-", "_"))(stop)

    def status(self) -> dict[str, int | str]:
        if self.name == "mute":
            time.sleep(3600)
        if self.name == "warning":
            return {"count": self.count, "warnings": "first\nsecond" if self.count > 1 else "first"}
        return {"count": self.count, "tries": Part.tries}

    def good(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            self.count += 1

    mute = warning = good

    def failing(self, stop: threading.Event) -> None:
        raise EnvironmentProblem("no way", where="/there", next_step="Make one.")

    def crashing(self, stop: threading.Event) -> None:
        raise ZeroDivisionError("a bug")

    def exiting(self, stop: threading.Event) -> None:
        sys.exit(7)

    def returning(self, stop: threading.Event) -> None:
        pass

    def recovering(self, stop: threading.Event) -> None:
        if Part.tries == 1:
            raise EnvironmentProblem("not yet")
        self.good(stop)

    def hanging(self, stop: threading.Event) -> None:
        time.sleep(3600)

    def crashing_late(self, stop: threading.Event) -> None:
        stop.wait()
        raise EnvironmentProblem("could not finish")


def verb() -> int:
    service.hold_signals()
    names = sys.argv[1].split(",")
    plans = [Plan(name, lambda name=name: Part(name)) for name in names]
    return run(plans, service_log.log_on(sys.stderr), f"test {os.getpid()}")


failures.end_with(verb)
