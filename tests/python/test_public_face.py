"""What `import glassfs` offers, and what it does not cost."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from samples import database_run

import glassfs
from glassfs.query import answers


def test_the_public_names_are_complete_and_sorted():
    assert glassfs.__all__ == sorted(glassfs.__all__)
    for name in glassfs.__all__:
        assert getattr(glassfs, name) is not None
    with pytest.raises(AttributeError, match="nonesuch"):
        _ = glassfs.nonesuch


def test_a_notebook_asks_in_two_lines(traces: Path):
    database_run(traces / "db_bench-4711")
    trace = glassfs.open("@last")
    assert trace.sql("select count(*) from events").fetchall() == [(1728,)]
    assert trace.summary().count == 1728
    assert repr(trace) == "<glassfs trace db_bench-4711, ended>"
    assert len(list(trace.events(glassfs.Filter.parse(op=["fdatasync"])))) == 40


def test_importing_glassfs_imports_neither_database_nor_click():
    code = "import sys, glassfs; print([m for m in ('duckdb', 'click', 'rich', 'glassfs.query') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_help_imports_no_database():
    code = (
        "import sys\nfrom glassfs.cli import cli\n"
        "for verb in ('report', 'calls', 'sql', 'traces'):\n"
        "    try: cli.main([verb, '--help'], standalone_mode=False)\n"
        "    except SystemExit: pass\n"
        "print('duckdb' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "False\n"


def test_every_field_of_an_answer_is_documented():
    text = (Path(__file__).parents[2] / "docs/json.md").read_text()
    for kind in vars(answers).values():
        if is_dataclass(kind):
            for each in fields(kind):
                assert f"`{each.name}`" in text, f"{kind.__name__}.{each.name} is not in docs/json.md"
