"""What a person starts: `glassfs serve`, `run` and `elastic` as processes, with a home and a state of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.waiting import wait_until

# At the end: other tests import their own modules by these names.
sys.path.append(str(Path(__file__).parents[1] / "cli"))

from cli_kit import GLASSFS, environment

SAID_IN_S = 90
# Serve's promise, and what a machine that does many things at once adds.
STOPPED_IN_S = 10


class Traced:
    """A program that works once for each line that it gets, and then says that it has."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def work(self, line: str) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@dataclass
class Home:
    """`sets`: settings that every command here gets; serve has those of `serve_sets`, too."""

    path: Path
    sets: dict[str, Any]
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.path.mkdir(exist_ok=True)
        self.log = self.path / "serve.log"

    @property
    def state(self) -> Path:
        return self.path / ".local/state/glassfs"

    def command(self, *words: str, sets: dict[str, Any] | None = None) -> list[str]:
        """`glassfs WORDS`, with the settings."""
        flags = [f"{name}={value}" for name, value in {**self.sets, **(sets or {})}.items()]
        return [str(GLASSFS), *words, *(word for flag in flags for word in ("--set", flag))]

    def elastic(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command("elastic", *words),
            env=environment(self.path),
            capture_output=True,
            text=True,
            timeout=SAID_IN_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    @contextmanager
    def serving(self, **serve_sets: Any) -> Iterator[subprocess.Popen[bytes]]:
        """`glassfs serve`, connected to its cluster; stopped by SIGTERM."""
        sets = {"elastic.enabled": "true", **{name.replace("__", "."): value for name, value in serve_sets.items()}}
        ran_before = self._shipped_at_ns()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command("serve", sets=sets), env=environment(self.path), stderr=log, cwd=self.path
            )
        try:
            wait_until(lambda: self._shipped_at_ns() > ran_before, "serve to be connected", SAID_IN_S)
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOPPED_IN_S) == 0, self.log.read_text()
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def traced(self, program: str) -> Iterator[Traced]:
        """In Python, under `glassfs run`, until it is left."""
        (self.path / "work").mkdir()
        process = subprocess.Popen(
            [GLASSFS, "run", "-q", "--", sys.executable, "-c", program],
            cwd=self.path / "work",
            env=environment(self.path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Traced(process)
            process.communicate(timeout=SAID_IN_S)
            assert process.returncode == 0
        finally:
            process.kill()
            process.wait()

    def _shipped_at_ns(self) -> int:
        """When the shipper last said how it is; 0 after it has ended."""
        return max(
            (json.loads(file.read_text())["at_ns"] for file in self.state.glob("shipping/*/*/status.json")), default=0
        )

    def said(self) -> list[dict[str, Any]]:
        """Serve's log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def cursors(self, trace_id: str = "[0-9a-f]*") -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in self.state.glob(f"shipping/*/*/{trace_id}.json")]

    def trace(self) -> Path:
        """The only one."""
        (folder,) = (self.state / "traces").iterdir()
        return folder

    def trace_id(self) -> str:
        found: str = json.loads((self.trace() / "trace.json").read_text())["id"]
        return found

    def is_shipped(self, trace_id: str) -> bool:
        return any(cursor["complete"] for cursor in self.cursors(trace_id))
