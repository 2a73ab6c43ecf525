"""Where settings come from, and that each is what was written."""

from __future__ import annotations

import json
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from glassfs.config import crosschecks, settings
from glassfs.config.load import default_files, load
from glassfs.config.messages import ConfigError
from glassfs.config.rendered import as_yaml
from glassfs.config.settings import Setting, all_settings, value_of

# Three values of each kind that are right, differ from each other and from every default.
NUMBERS = {bool: (True, False, True), int: (11, 12, 13), float: (1.5, 2.5, 3.5)}


def three_values(setting: Setting, folder: Path) -> list[object]:
    if setting.choices and not setting.is_list:
        return [word for word in setting.choices * 3 if word != setting.default][:3]
    if setting.is_map:
        return [{"a": "1"}, {"b": "2"}, {"c": "3"}]
    if setting.name == "elastic.hosts":
        return [["https://a:1"], ["https://b:2", "https://c:3"], ["https://d:4"]]
    if setting.is_list:
        return [["one"], ["two", "three"], ["four"]]
    if setting.is_path:
        files = [folder / f"file{number}" for number in range(3)]
        for file in files:
            file.write_text("0123456789abcdef")
            file.chmod(0o600)
        return [str(file) for file in files]
    return list(NUMBERS.get(setting.members[0], ("one", "two", "three")))


def as_variable(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={text}" for name, text in value.items())
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


# What a setting needs beside it to be no error.
COMPANIONS = {
    "elastic.user": {"elastic.password": "x"},
    "elastic.password": {"elastic.user": "x"},
    "elastic.password_file": {"elastic.user": "x"},
    "elastic.hash_paths.enabled": {"elastic.hash_paths.key_file": "file0"},
}


def written(values: dict[str, object]) -> str:
    tree: dict = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return json.dumps(tree)


@pytest.mark.parametrize("name", all_settings())
def test_a_flag_counts_before_a_variable_before_the_file_before_the_default(folder, name):
    setting = all_settings()[name]
    in_file, in_variable, in_flag = three_values(setting, folder)
    (folder / "file0").write_text("0123456789abcdef")
    file = folder / "config.yml"
    file.write_text(written({name: in_file, **COMPANIONS.get(name, {})}))
    environ = {setting.variable: as_variable(in_variable)}
    steps = [(None, {}, {}, setting.default, "default"), (file, {}, {}, in_file, "file")]
    steps.append((file, environ, {}, in_variable, "environment"))
    if not setting.is_secret:
        steps.append((file, environ, {name: as_variable(in_flag)}, in_flag, "flag"))
    for path, variables, flags, value, kind in steps:
        found = load(path, variables, flags)
        assert value_of(found.settings, name) == value, kind
        assert found.origins[name].kind == kind
        assert {origin.kind for other, origin in found.origins.items() if other != name} <= {"default", "file"}


def test_without_anything_every_setting_is_its_default():
    found = load(None, {}, {})
    assert {name: value_of(found.settings, name) for name in all_settings()} == {
        name: setting.default for name, setting in all_settings().items()
    }
    assert {str(origin) for origin in found.origins.values()} == {"default"}


def test_an_empty_variable_is_not_set_and_others_of_ours_are_left_alone():
    variables = {"GLASSFS_ELASTIC_SHIP": "", "GLASSFS_RECORDER": "/x", "GLASSFS_DEBUG": "1", "GLASSFS_ELASTICITY": "1"}
    assert load(None, variables, {}).settings.elastic.ship == "all"


def test_an_empty_file_and_a_section_of_comments_are_no_errors(folder):
    for text in ("", "# nothing\n", "elastic:\n  # ship: all\nsampler:\n", "---\n", "\ufeffelastic:\n"):
        (folder / "config.yml").write_text(text)
        assert load(Path("config.yml"), {}, {}).settings == load(None, {}, {}).settings


def test_texts_are_taken_as_they_were_typed(folder):
    (folder / "config.yml").write_text(
        "elastic: {user: 0123, password: 1_000, namespace: 1e3}\nlabels: {version: 1.10, on: yes, empty: '', date: 2026-11-24}\n"
    )
    found = load(Path("config.yml"), {}, {}).settings
    assert (found.elastic.user, found.elastic.password, found.elastic.namespace) == ("0123", "1_000", "1e3")
    assert found.labels == {"version": "1.10", "on": "yes", "empty": "", "date": "2026-11-24"}


def test_files_named_in_the_file_lie_beside_it_and_others_here(folder, tmp_path, monkeypatch):
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "ca.crt").touch()
    (folder / "ca.crt").touch()
    (etc / "config.yml").write_text("elastic:\n  ca_file: ca.crt\ntraces:\n  follow: [./one, two]\n")
    found = load(etc / "config.yml", {}, {}).settings
    assert found.elastic.ca_file == str(etc / "ca.crt")
    assert found.traces.follow == [str(etc / "one"), "two"]
    assert load(etc / "config.yml", {"GLASSFS_ELASTIC_CA_FILE": "ca.crt"}, {}).settings.elastic.ca_file == str(
        folder / "ca.crt"
    )
    monkeypatch.setenv("HOME", str(etc))
    assert load(None, {"GLASSFS_ELASTIC_CA_FILE": "~/ca.crt"}, {}).settings.elastic.ca_file == str(etc / "ca.crt")


def test_the_users_file_is_found_before_the_machines_and_one_here_is_not_read(glassfs, folder, home):
    (folder / "config.yml").write_text("elastic:\n  namespace: here\n")
    answer = glassfs("config", "show")
    assert "namespace: default\n" in answer.out
    assert answer.err == "glassfs: config.yml in this directory is read only when it is named: -c config.yml\n"
    usual = home / ".config/glassfs/config.yml"
    usual.parent.mkdir(parents=True)
    usual.write_text("elastic:\n  namespace: mine\n")
    answer = glassfs("config", "show", "--origin")
    assert (answer.status, answer.err) == (0, "")
    assert any(line.split() == ["namespace:", "mine", "#", f"{usual}:2"] for line in answer.out.splitlines())
    elsewhere = folder / "xdg"
    assert default_files({"XDG_CONFIG_HOME": str(elsewhere)}) == [
        elsewhere / "glassfs/config.yml",
        Path("/etc/glassfs/config.yml"),
    ]


def test_what_show_prints_loads_again_as_the_same_settings(glassfs, folder):
    (folder / "config.yml").write_text(
        'elastic: {hosts: ["https://a:1", "https://[::1]:2"], ship: errors, slow_ms: 0.25}\n'
        'labels: {team: "a: b", quote: "\\"", number: "12", yes: "true", umlaut: "ü"}\ntraces: {follow: ["x, y", "*"]}\n'
    )
    (folder / "again.yml").write_text(glassfs("config", "show", "--origin", "-c", "config.yml").out)
    first, again = load(Path("config.yml"), {}, {}), load(Path("again.yml"), {}, {})
    assert again.settings == first.settings


def test_show_as_json_has_every_setting_with_its_origin(glassfs, folder):
    (folder / "config.yml").write_text("elastic:\n  ship: errors\n")
    answer = json.loads(
        glassfs(
            "config", "show", "--json", "-c", "config.yml", "--set", "sampler.period_s=2", env={"GLASSFS_LABELS": "a=b"}
        ).out
    )
    rows = {row["name"]: row for row in answer["settings"]}
    assert list(rows) == list(all_settings())
    assert answer["file"] == "config.yml"
    shown = {
        name: (row["value"], row["origin"], row["where"]) for name, row in rows.items() if row["origin"] != "default"
    }
    assert shown == {
        "labels": ({"a": "b"}, "environment", "$GLASSFS_LABELS"),
        "sampler.period_s": (2.0, "flag", "command line"),
        "elastic.ship": ("errors", "file", "config.yml:2"),
    }


def test_check_says_what_was_read(glassfs, folder, home):
    (folder / "config.yml").write_text("elastic:\n  ship: errors\n")
    answer = glassfs("config", "check", "config.yml", env={"GLASSFS_ELASTIC_NAMESPACE": "x"})
    assert (answer.status, answer.out, answer.err) == (
        0,
        "config.yml is good: 1 setting, 1 more from the environment\n",
        "",
    )
    answer = glassfs("config", "check", "config.yml", "--json")
    assert json.loads(answer.out)["settings_from"] == {"file": 1, "environment": 0, "default": len(all_settings()) - 1}


@hypothesis.settings(deadline=None)
@given(
    st.recursive(
        st.text() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
)
def test_any_value_that_is_rendered_is_read_as_itself(value):
    # ruamel's own constructor, not our tree.
    assert YAML(typ="safe", pure=True).load(f"a: {as_yaml(value)}\n") == {"a": value}


@pytest.mark.parametrize(
    ("name", "is_loopback"),
    [
        ("localhost", True),
        ("elastic.localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_http_is_for_this_machine_unless_it_is_allowed(name, is_loopback):
    host = f"http://[{name}]:9200" if ":" in name else f"http://{name}:9200"
    assert crosschecks.is_loopback(name) == is_loopback
    if is_loopback:
        assert load(None, {"GLASSFS_ELASTIC_HOSTS": host}, {}).settings.elastic.hosts == [host]
    else:
        with pytest.raises(ConfigError, match="in the clear"):
            load(None, {"GLASSFS_ELASTIC_HOSTS": host}, {})
    allowed = {"GLASSFS_ELASTIC_HOSTS": host, "GLASSFS_ELASTIC_ALLOW_INSECURE_HTTP": "true"}
    assert load(None, allowed, {}).settings.elastic.hosts == [host]


def test_every_setting_is_described():
    for setting in all_settings().values():
        assert len(setting.description) > 10
        assert setting.default is not None or setting.example is not None
    for name, section in settings.sections().items():
        assert section.__doc__, name
