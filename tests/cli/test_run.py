"""`glassfs run` on real commands: what stays the command's own, and what glassfs adds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cli_kit import DEADLINE_S, GLASSFS, environment, until

pytestmark = pytest.mark.mount


@contextmanager
def started(home: Path, cwd: Path, *arguments: str, **options) -> Iterator[subprocess.Popen[str]]:
    """A `glassfs run` of its own process group that is sure to be gone afterwards."""
    command = [GLASSFS, "run", "-q", "--", *arguments]
    settings = {
        "cwd": cwd,
        "env": environment(home),
        "text": True,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    process = subprocess.Popen(command, start_new_session=True, **settings | options)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("status", [0, 1, 7, 125, 126, 127, 255])
def test_the_status_is_the_commands(glassfs, status):
    answer = glassfs("run", "-q", "--", "sh", "-c", f"exit {status}")
    assert (answer.status, answer.out, answer.err) == (status, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGUSR1, signal.SIGINT])
def test_a_command_that_a_signal_ended_ends_glassfs_by_the_same(glassfs, number):
    answer = glassfs("run", "-q", "--", "sh", "-c", f"kill -{int(number)} $$")
    assert (answer.status, answer.err) == (-number, "")


@pytest.mark.parametrize("lived_s", [0.2, 0.6, 0.8, 1.1])
def test_how_the_command_ended_is_in_its_trace_whenever_it_ends(glassfs, lived_s):
    answer = glassfs("run", "--json", "--", "sh", "-c", f"echo text > file; sleep {lived_s}; exit 7")
    said = json.loads(answer.out.splitlines()[-1])
    assert (answer.status, said["headline"]["exit_status"]) == (7, 7)
    assert said["coverage"]["program_bytes"] > 0


def test_a_command_that_is_not_there_is_127(glassfs, same_text):
    answer = glassfs("run", "--", "no-such-command")
    assert (answer.status, answer.out) == (127, "")
    same_text("run-not-found", answer.err)


def test_a_command_that_cannot_be_executed_is_126(glassfs, tmp_path, same_text):
    (tmp_path / "work/plain").write_text("no program\n")
    answer = glassfs("run", "--", "./plain")
    assert (answer.status, answer.out) == (126, "")
    same_text("run-not-executable", answer.err)


def test_a_directory_that_is_not_there_is_125(glassfs, same_text):
    answer = glassfs("run", "-d", "./nowhere", "--", "true")
    assert (answer.status, answer.out) == (125, "")
    assert "nowhere" in answer.err


def test_stdin_stdout_and_stderr_are_the_commands(glassfs):
    answer = glassfs("run", "-q", "--", "sh", "-c", "cat; echo to stderr >&2", stdin="to stdin\n")
    assert answer == type(answer)(0, "to stdin\n", "to stderr\n")


def test_arguments_arrive_byte_for_byte(glassfs):
    words = [b"a b", b"", b"*", b"--json", b"-q", b"\xff\xfe", "å".encode(), b"new\nline"]
    answer = glassfs("run", "-q", "--", "printf", "%s|", *words)
    assert answer.out.encode("utf-8", "surrogateescape") == b"".join(word + b"|" for word in words)


def test_what_the_command_inherits_is_what_it_would_have_without_us(home, tree):
    """Working directory, umask, ids, environment, limits, signals, priority, terminal group: line by line."""
    # SIGPIPE and SIGXFSZ stay out of it: Python has them ignored before any of our code runs.
    look = (
        "pwd; umask; id; env | grep -v '^_=' | sort; ulimit -a; nice; "
        "grep -E 'Sig(Blk|Ign|Cgt)|NoNewPrivs|Seccomp:' /proc/self/status; ls /proc/self/fd | wc -l"
    )
    told = {"cwd": tree, "env": environment(home, {"LC_ALL": None, "LANG": None}), "capture_output": True, "text": True}
    bare = subprocess.run(["sh", "-c", look], **told)
    traced = subprocess.run([GLASSFS, "run", "-q", "--", "sh", "-c", look], **told)
    assert traced.stdout.splitlines() == bare.stdout.splitlines()
    assert (traced.stderr, traced.returncode) == (bare.stderr, bare.returncode)


def test_descriptors_that_a_shell_has_opened_are_the_commands_too(home, tree, tmp_path):
    script = f"exec 7>{tmp_path}/seven; {GLASSFS} run -q -- sh -c 'echo through seven >&7'"
    subprocess.run(["sh", "-c", script], cwd=tree, env=environment(home), check=True)
    assert (tmp_path / "seven").read_text() == "through seven\n"


def test_ctrl_c_goes_to_the_command_which_may_stay(home, tree):
    script = "trap 'echo interrupted; exit 5' INT; touch ready; while :; do sleep 0.01; done"
    with started(home, tree, "sh", "-c", script) as process:
        until((tree / "ready").exists, "the command runs")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out, err) == (5, "interrupted\n", "")


def test_ctrl_c_that_ends_the_command_ends_glassfs_by_sigint(home, tree):
    with started(home, tree, "sh", "-c", "touch ready; exec sleep 60") as process:
        until((tree / "ready").exists, "the command runs")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_for_glassfs_alone_is_passed_on_to_the_command(home, tree, number):
    script = f"trap 'echo got it; exit 6' {number.name[3:]}; touch ready; while :; do sleep 0.01; done"
    with started(home, tree, "sh", "-c", script) as process:
        until((tree / "ready").exists, "the command runs")
        process.send_signal(number)
        out, _ = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (6, "got it\n")


def test_a_killed_launcher_is_told_as_our_failure(home, tree):
    with started(home, tree, "sh", "-c", "touch ready; exec sleep 60 >/dev/null 2>&1") as process:
        until((tree / "ready").exists, "the command runs")
        (launcher,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(launcher), signal.SIGKILL)
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 125
    assert "the launcher was killed by SIGKILL" in err


def test_an_ignored_hangup_stays_ignored(home, tree):
    look = "grep SigIgn /proc/self/status"
    told = {"cwd": tree, "env": environment(home), "capture_output": True, "text": True}
    bare = subprocess.run(["sh", "-c", f"trap '' HUP INT; {look}"], **told)
    traced = subprocess.run(["sh", "-c", f"trap '' HUP INT; {GLASSFS} run -q -- {look}"], **told)
    assert traced.stdout == bare.stdout


def test_quiet_says_nothing_and_json_is_the_last_line_of_stdout(glassfs):
    answer = glassfs("run", "-q", "--json", "--", "echo", "own words")
    own, last = answer.out.splitlines()
    assert (own, answer.err) == ("own words", "")
    assert json.loads(last)["schema"] == 1


def test_the_summary_is_on_stderr_and_names_the_next_commands(glassfs):
    answer = glassfs("run", "--", "sh", "-c", "echo text > file; cat file")
    assert (answer.status, answer.out) == (0, "text\n")
    assert answer.err.startswith("glassfs: sh")
    assert "0 lost" in answer.err
    assert "glassfs report @last" in answer.err


def test_a_name_given_with_o_names_the_trace(glassfs, home):
    assert glassfs("run", "-q", "-o", "mine", "--", "true").status == 0
    assert (home / ".local/state/glassfs/traces/mine/trace.json").exists()
    again = glassfs("run", "-q", "-o", "mine", "--", "true")
    assert again.status == 125
    assert "already there" in again.err
    assert glassfs("run", "-q", "-f", "-o", "mine", "--", "true").status == 0


def test_a_traced_home_directory_moves_the_trace_and_says_where(glassfs, home):
    answer = glassfs("run", "-d", home, "--", "true")
    assert answer.status == 0
    first = answer.err.splitlines()[0]
    assert first.startswith(f"glassfs: the trace goes to /var/tmp/glassfs-{os.geteuid()}/traces/true-")
    trace = Path(first.removeprefix("glassfs: the trace goes to ").partition(":")[0])
    assert (trace / "trace.json").exists()
    shutil.rmtree(trace)


def test_an_explicit_place_inside_the_traced_tree_is_refused(glassfs, tmp_path):
    answer = glassfs("run", "-o", "./here", "--", "touch", "started")
    assert answer.status == 125
    assert "inside the traced directory" in answer.err
    assert list((tmp_path / "work").iterdir()) == []


def test_run_of_true_takes_less_than_half_a_second(glassfs):
    """And `version` less than 0.15 s; the best of some, since the machine does other things too."""
    version = min(seconds_of(lambda: glassfs("version")) for _ in range(10))
    run = min(seconds_of(lambda: glassfs("run", "--", "true")) for _ in range(10))
    if (version >= 0.15 or run >= 0.5) and os.getloadavg()[0] > (os.cpu_count() or 1):
        pytest.skip(f"the machine is busy (load {os.getloadavg()[0]:.1f}): version {version:.2f} s, run {run:.2f} s")
    assert version < 0.15
    assert run < 0.5


def seconds_of(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def test_a_mount_is_gone_after_the_run(glassfs, tree):
    assert glassfs("run", "-q", "-d", tree, "--", "touch", tree / "made").status == 0
    assert (tree / "made").exists()
    assert str(tree) not in Path("/proc/self/mountinfo").read_text()
