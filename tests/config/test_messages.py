"""A wrong config.yml: the message is the stored one, and its caret stands under what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from glassfs.config.load import load
from glassfs.errors import BadUsage

TEXTS = Path(__file__).parent / "texts"

WRONG: dict[str, str | bytes] = {
    "unknown setting": "elastic:\n  enabled: true\n  host: [http://127.0.0.1:9200]\n",
    "unknown section": "elasticsearch:\n  enabled: true\n",
    "setting of another section": "hosts: [http://127.0.0.1:9200]\nelastic:\n  period_s: 5\n",
    "nothing near": "elastic:\n  qqqqq: 1\nqqqqq: 1\n",
    "wrong types": "sampler:\n  enabled: yes\n  period_s: 5s\n  top_processes: many\nelastic:\n  hosts: http://127.0.0.1:9200\n",
    "wrong values": "sampler:\n  period_s: 0\n  top_processes: -1\nelastic:\n  ship: sloww\n  namespace: My Team\n  hosts: []\n  behind_s: .inf\n",
    "no value": "elastic:\n  ship:\n  retention_days: ~\n",
    "duplicate": "elastic:\n  ship: all\n  slow_ms: 1\n  ship: slow\nelastic:\n  enabled: true\n",
    "missing colon": "elastic:\n  enabled true\n  ship: all\n",
    "missing space": "elastic:\n  enabled:true\n  ship: all\n",
    "text for a section": "elastic: true\nsampler:\n  enabled true\n",
    "list for a section": "- elastic:\n    enabled: true\n",
    "list in a section": "elastic:\n  - enabled: true\n",
    "tabs": "elastic:\n\tenabled: true\n\tship: all\n",
    "indentation": "elastic:\n  enabled: true\n   ship: all\n",
    "outdented": "elastic:\n    enabled: true\n  ship: all\n",
    "open bracket": "elastic:\n  hosts: [http://127.0.0.1:9200\n  ship: all\n",
    "open quote": 'elastic:\n  namespace: "team\n  ship: all\n',
    "colon in a text": "elastic:\n  namespace: a: b\n",
    "special character": "elastic:\n  namespace: @team\n",
    "reference to nothing": "labels:\n  files: *.txt\n",
    "merge conflict": "elastic:\n<<<<<<< HEAD\n  ship: all\n=======\n  ship: slow\n>>>>>>> other\n",
    "two documents": "elastic:\n  ship: all\n---\nsampler:\n  enabled: true\n",
    "control character": "elastic:\n  namespace: a\x01b\n",
    "not utf-8": "labels:\n  team: Müller\n".encode("latin-1"),
    "references that explode": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d]\n",
    "a reference to itself": "labels: &a {a: *a}\n",
    "two logins": "elastic:\n  api_key: abc\n  api_key_file: elastic.key\n  user: ana\n  password: letmein\n",
    "half a login": "elastic:\n  user: ana\n",
    "password alone": "elastic:\n  password: letmein\n",
    "key of two words": "elastic:\n  api_key: two words\n",
    "key files": "elastic:\n  api_key_file: nowhere.key\n  ca_file: nowhere.crt\n  hash_paths:\n    enabled: true\n    key_file: nowhere.hash\n",
    "hash without key": "elastic:\n  hash_paths:\n    enabled: true\n",
    "hosts": "elastic:\n  hosts:\n    - https://search.example:9200\n    - http://search.example:9200\n    - search.example:9200\n    - ftp://search.example\n    - https://ana:letmein@search.example\n    - 'https://[::1'\n",
    "labels": "labels:\n  team.name: storage\n  ok: yes\n  a b: 1\n",
    "several sections": "traces:\n  folow: all\nsampler:\n  period: 5\nelastic:\n  ship: none\n  api_key: a\n  user: b\nlabels: [a]\n",
    "a long line": f"labels: {{{', '.join(f'label{n}: x' for n in range(30))}, wrong.one: x}}\n",
    "more than a person reads": "elastic:\n" + "".join(f"  setting{n}: 1\n" for n in range(30)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_message_with_every_error(folder, same_text, name):
    text = WRONG[name]
    (folder / "config.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadUsage) as said:
        load(Path("config.yml"), {}, {})
    same_text(name.replace(" ", "-"), f"glassfs: {said.value}\n")


@pytest.mark.parametrize("name", ["several sections", "tabs"])
def test_the_message_is_all_that_is_printed_and_the_status_is_2(glassfs, folder, same_text, name):
    (folder / "config.yml").write_text(WRONG[name])
    for verb in (
        ["config", "check", "config.yml"],
        ["config", "show", "-c", "config.yml"],
        ["serve", "-c", "config.yml"],
    ):
        answer = glassfs(*verb)
        assert (answer.status, answer.out) == (2, "")
        same_text(name.replace(" ", "-"), answer.err)


PICTURE = re.compile(r"  config\.yml:(\d+):(\d+): .*\n {4,}(\d+) \| (.*)\n +\| ( *)(\^+)")


@pytest.mark.parametrize("name", sorted(set(WRONG) - {"tabs", "control character", "not utf-8", "a long line"}))
def test_the_line_shown_is_that_of_the_file_and_the_caret_is_at_the_column_named(name):
    said = (TEXTS / f"{name.replace(' ', '-')}.txt").read_text()
    pictures = PICTURE.findall(said)
    assert len(pictures) == said.count("\n  config.yml:")
    for line, column, shown_line, shown, before, carets in pictures:
        assert line == shown_line
        there = WRONG[name].split("\n")[int(line) - 1].rstrip()
        hidden = shown.find("***")
        if hidden < 0:
            assert shown == there
            assert len(before) + 1 == int(column)
            assert len(before) + len(carets) <= max(len(there), int(column))
        else:
            assert there.startswith(shown[:hidden])


def test_variables_and_flags_are_pointed_at_in_the_same_way(glassfs, same_text):
    wrong = {
        "GLASSFS_ELASTIC_SHIP": "sloww",
        "GLASSFS_ELASTIC_HOST": "http://127.0.0.1:9200",
        "GLASSFS_SAMPLER_PERIOD_S": "5s",
        "GLASSFS_SAMPLER_ENABLED": "maybe",
        "GLASSFS_LABELS": "storage",
        "GLASSFS_ELASTIC_HOSTS": "https://good.example,bad.example:9200",
    }
    sets = ["--set", "elastic.shp=all", "--set", "elastic.api_key=letmein", "--set", "sampler.top_processes=x"]
    answer = glassfs("config", "show", *sets, env=wrong)
    assert (answer.status, answer.out) == (2, "")
    assert "letmein" not in answer.err
    same_text("variables-and-flags", answer.err)


def test_a_set_without_a_value_says_what_it_wants(glassfs, same_text):
    answer = glassfs("config", "show", "--set", "elastic.ship")
    assert (answer.status, answer.out) == (2, "")
    same_text("set-without-value", answer.err)


@pytest.mark.parametrize("name", ["confg.yml", "nowhere.yml", "config.yaml", "."])
def test_a_file_that_cannot_be_read_is_named_with_the_one_that_may_be_meant(glassfs, folder, same_text, name):
    (folder / "config.yml").write_text("")
    answer = glassfs("config", "check", name)
    assert (answer.status, answer.out) == (2, "")
    same_text(f"unreadable-{name.replace('.', '-')}", answer.err)


def test_a_file_that_is_no_config_is_not_read_to_its_end(glassfs, folder):
    with (folder / "huge.yml").open("wb") as file:
        file.truncate(1 << 40)
    answer = glassfs("config", "check", "huge.yml")
    assert answer.status == 2
    assert answer.err == "glassfs: this is no config.yml (more than 1 MB): huge.yml\n"


def test_the_errors_are_there_as_json(glassfs, folder):
    (folder / "config.yml").write_text(WRONG["unknown setting"])
    answer = glassfs("config", "check", "config.yml", "--json")
    assert answer.status == 2
    [problem] = json.loads(answer.out)["problems"]
    assert problem == {
        "what": "elastic has no setting 'host', did you mean 'hosts'?",
        "where": "config.yml:3:3",
        "line": 3,
        "column": 3,
        "hint": None,
    }
