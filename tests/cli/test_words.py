"""What the command line says, compared with stored texts, and how it ends when it is misused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from cli_kit import GLASSFS, environment
from click.testing import CliRunner

from glassfs.cli.elastic import elastic

NO_RECORDER = {"GLASSFS_RECORDER": "/nowhere/recorder"}
VERBS = [
    "run",
    "mount",
    "umount",
    "report",
    "calls",
    "sql",
    "names",
    "traces",
    "serve",
    "elastic",
    "config",
    "doctor",
    "version",
]


def test_the_help_lists_every_verb(glassfs, same_text):
    answer = glassfs("--help")
    assert answer.status == 0
    same_text("help", answer.out)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_is_the_stored_one(glassfs, same_text, verb):
    answer = glassfs(verb, "-h")
    assert (answer.status, answer.err) == (0, "")
    same_text(f"help-{verb}", answer.out)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["reprot"],
        ["run"],
        ["run", "--bogus", "--", "true"],
        ["run", "--color", "blue", "--", "true"],
        ["mount"],
        ["mount", "a", "b", "c"],
        ["umount"],
    ],
    ids="_".join,
)
def test_misuse_is_one_message_a_next_step_and_a_status(glassfs, same_text, arguments):
    answer = glassfs(*arguments)
    assert (answer.status, answer.out) == (125 if arguments[0] == "run" else 2, "")
    same_text("misuse-" + "_".join(arguments).replace("--", "-"), answer.err)


def test_version_names_all_three_parts(glassfs):
    answer = glassfs("version", "--json")
    versions = json.loads(answer.out)
    assert versions["schema"] == 1
    assert versions["glassfs"] == versions["recorder"]
    assert [line.split()[0] for line in glassfs("version").out.splitlines()] == ["glassfs", "recorder", "trace"]


def test_version_works_without_a_recorder(glassfs):
    answer = glassfs("version", "--json", env=NO_RECORDER)
    assert answer.status == 0
    assert json.loads(answer.out)["recorder"] is None


def test_a_missing_recorder_is_named_with_the_next_step(glassfs, same_text):
    answer = glassfs("run", "--", "true", env=NO_RECORDER)
    assert answer.status == 125
    same_text("no-recorder", answer.err)


def test_output_to_nobody_ends_by_sigpipe(home):
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([GLASSFS, "version"], stdout=write_end, stderr=subprocess.PIPE, env=environment(home))
    os.close(write_end)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def test_a_bug_is_one_line_and_its_details_are_in_a_file(glassfs, home):
    # A recorder that answers what no recorder would: JSON, but no object.
    odd = home / "odd"
    odd.write_text("#!/bin/sh\necho '[]'\n")
    odd.chmod(0o755)
    answer = glassfs("mount", "/nowhere", env={"GLASSFS_RECORDER": str(odd), "TMPDIR": str(home)})
    assert answer.status == 70
    assert answer.err.startswith("glassfs: this is a bug in glassfs (TypeError: ")
    assert answer.err.count("\n") == 1
    (details,) = home.glob("glassfs-bug-*.txt")
    assert str(details) in answer.err
    assert "Traceback" in details.read_text()
    assert (
        "Traceback"
        in glassfs(
            "mount", "/nowhere", env={"GLASSFS_RECORDER": str(odd), "GLASSFS_DEBUG": "1", "TMPDIR": str(home)}
        ).err
    )


@pytest.mark.parametrize(
    ("arguments", "env", "colored"),
    # `doctor` without a recorder is quick, and has something to colour.
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"CLICOLOR_FORCE": "1"}, True),
        ([], {"CLICOLOR_FORCE": "0"}, False),
        ([], {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_color_is_decided_by_the_option_then_the_environment(glassfs, arguments, env, colored):
    assert ("\x1b[" in glassfs("doctor", *arguments, env=env | NO_RECORDER).out) is colored


def test_a_color_option_may_stand_before_the_verb(glassfs):
    assert "\x1b[" in glassfs("--color", "always", "doctor", env=NO_RECORDER).out


def test_the_package_and_the_recorder_have_one_version():
    import tomllib

    import glassfs

    root = Path(__file__).parents[2]
    assert tomllib.loads((root / "recorder/Cargo.toml").read_text())["package"]["version"] == glassfs.__version__


def test_a_server_that_cuts_a_connection_does_not_end_the_process():
    """Python's default for a tool that writes to pipes, SIGPIPE's own, would: without a word."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        CliRunner().invoke(elastic, ["prune", "--help"])
        assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGPIPE, before)
