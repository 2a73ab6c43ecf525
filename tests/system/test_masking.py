"""The sampler hides what the recorder hides: the recorder's own cases are read from its source."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassfs.system.masking import arguments_of, masked_arguments

CASES = (Path(__file__).parents[2] / "recorder/src/process/mask/tests.rs").read_text()

_STRING = r'"(?:\\.|[^"\\])*"'
HIDDEN = re.findall(rf"\(&\[((?:{_STRING}(?:, )?)+)\], ({_STRING})\)", CASES)
HARMLESS = re.findall(rf"^        &\[((?:{_STRING}(?:, )?)*)\],$", CASES, re.MULTILINE)


def masked(*arguments: str) -> str:
    return b" ".join(masked_arguments(argument.encode() for argument in arguments)).decode()


def strings(source: str) -> list[str]:
    return [ast.literal_eval(each) for each in re.findall(_STRING, source)]


def test_all_of_the_recorders_cases_are_found():
    hidden, harmless = re.search(r"\); (\d+)\] = \[", CASES), re.search(r"&\[&str\]; (\d+)\]", CASES)
    assert (len(HIDDEN), len(HARMLESS)) == (int(hidden[1]), int(harmless[1]))


@pytest.mark.parametrize(("arguments", "expected"), HIDDEN)
def test_what_the_recorder_hides_is_hidden(arguments: str, expected: str):
    assert masked(*strings(arguments)) == ast.literal_eval(expected)


@pytest.mark.parametrize("arguments", HARMLESS)
def test_what_the_recorder_leaves_is_left(arguments: str):
    assert masked(*strings(arguments)) == " ".join(strings(arguments))


def test_the_padding_of_a_title_is_no_argument():
    assert arguments_of(b"postgres: walwriter \0\0\0\0") == [b"postgres: walwriter "]
    assert arguments_of(b"") == []


NAMES = st.sampled_from(["password", "passwd", "pwd", "token", "secret", "key", "credential"])
PREFIXES = st.sampled_from(["", "db-", "my_"])
SECRETS = st.from_regex(r"Q[A-Za-z0-9!#$%&()*+,./:;<=>?@^_{|}~-]{2,20}Z", fullmatch=True)
OTHERS = st.lists(st.from_regex(r"[a-z/.=-]{0,12}", fullmatch=True), max_size=4)
FORMS = st.sampled_from(
    [
        lambda name, secret: [f"--{name}", secret],
        lambda name, secret: [f"--{name}={secret}"],
        lambda name, secret: [f"{name.upper()}={secret}"],
        lambda name, secret: [f"https://ana:{secret}@host/path"],
        lambda name, secret: ["-c", f"run --{name} {secret} more"],
        lambda name, secret: ["-c", f"X=1 {name}={secret} more"],
        lambda name, secret: [f"{name}: {secret}"],
        lambda name, secret: [f"host=h {name}={secret} user=ana"],
    ]
)


@given(OTHERS, PREFIXES, NAMES, SECRETS, FORMS, OTHERS)
def test_a_secret_never_comes_through(before, prefix, name, secret, form, after):
    shown = masked(*before, *form(prefix + name, secret), *after)
    assert secret not in shown and secret[1:] not in shown


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_masked_without_an_error(arguments: list[bytes]):
    assert len(masked_arguments(arguments)) == len(arguments)
