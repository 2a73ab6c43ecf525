"""exec closes files while it holds the very lock that /proc asks for: the recorder must answer without asking."""

from pathlib import Path

import pytest

from support import people, recorder
from support.traces import Trace

pytestmark = [pytest.mark.root, pytest.mark.mount]

# Python opens with O_CLOEXEC. After a second anything known of a thread is old, and the recorder would look again.
CLOSES_BY_EXEC = """
import os, time
held = os.open("hello", os.O_RDONLY)
time.sleep(1.2)
os.execv("/bin/cat", ["cat", "hello"])
"""


@pytest.mark.deadline(60)
def test_a_file_closed_by_exec_long_after_it_was_opened_holds_nobody_up(public: Path) -> None:
    tree = public / "tree"
    tree.mkdir()
    (tree / "hello").write_text("hello\n")
    words = [people.PUBLIC_PYTHON, "-c", CLOSES_BY_EXEC]
    done = recorder.run_traced([tree], words, public / "trace", cwd=tree, timeout=30)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    trace = Trace(public / "trace")
    trace.assert_balanced()
    assert trace.one("select count(*) from events where op = 'flush' and comm is null") == 0
