"""config.example.yml and docs/reference/config.md say what the model says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from glassfs.config import document
from glassfs.config.load import load
from glassfs.config.settings import all_settings, value_of

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.yml"

# The one setting whose example is no default: nobody copies this file to ship nothing.
NOT_DEFAULT = {"elastic.enabled": True}


@pytest.mark.parametrize(
    ("what", "file"), [("reference", ROOT / "docs/reference/config.md"), ("example", EXAMPLE)], ids=["page", "example"]
)
def test_what_is_made_from_the_model_is_up_to_date(what, file):
    made = subprocess.run(
        [sys.executable, ROOT / "tools/config_doc.py", what], check=True, capture_output=True, text=True, timeout=60
    )
    assert made.stdout == file.read_text(), "make config-doc writes it anew"


def test_the_example_loads_and_is_the_defaults():
    found = load(EXAMPLE, {}, {})
    values = {name: value_of(found.settings, name) for name in all_settings()}
    assert values == {name: setting.default for name, setting in all_settings().items()} | NOT_DEFAULT
    assert found.warnings == ()


def in_example() -> dict[str, str]:
    """Every setting in the example, also those commented out, read without our reader: name -> value."""
    found, sections = {}, []
    for line in EXAMPLE.read_text().splitlines():
        if match := re.fullmatch(r"( *)(# )?([a-z_]+):(?: (.*))?", line):
            indent, _commented, name, value = match.groups()
            sections[len(indent) // 2 :] = [name]
            if value is not None:
                found.setdefault(".".join(sections), value)
    return found


def test_the_example_holds_every_setting_with_a_comment_above_it():
    assert set(in_example()) == set(all_settings())
    lines = EXAMPLE.read_text().splitlines()
    for name in all_settings():
        word = name.rpartition(".")[2]
        at = [number for number, line in enumerate(lines) if re.match(rf" *(# )?{word}:", line)]
        assert all(lines[number - 1].lstrip().startswith("# ") for number in at), name


@pytest.mark.parametrize("name", [name for name, setting in all_settings().items() if setting.example is not None])
def test_what_is_commented_out_is_a_value_that_would_be_taken(name):
    setting = all_settings()[name]
    value = document.parse(f"x: {in_example()[name]}\n", "x").root.content["x"][1]
    assert msgspec.convert(value.plain(as_text=setting.is_text), setting.type) is not None
