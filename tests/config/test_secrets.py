"""Keys and passwords arrive where they belong, and are nowhere else."""

from __future__ import annotations

import base64
import json
import re
import traceback
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassfs.config import secrets
from glassfs.config.load import load
from glassfs.config.messages import ConfigError
from glassfs.config.model import Elastic, HashPaths, Settings
from glassfs.errors import GlassfsError

SECRET = "kY7-letmein-9fQ"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def key_file(folder: Path, text: str, name: str = "elastic.key") -> Path:
    file = folder / name
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_a_key_comes_from_a_setting_a_file_or_the_environment(folder):
    (folder / "config.yml").write_text(f"elastic:\n  api_key: {SECRET}\n")
    key_file(folder, f"{SECRET}\n")
    (folder / "file.yml").write_text("elastic:\n  api_key_file: elastic.key\n")
    for path, environ in [
        (Path("config.yml"), {}),
        (Path("file.yml"), {}),
        (None, {"GLASSFS_ELASTIC_API_KEY": SECRET}),
        (None, {"GLASSFS_ELASTIC_API_KEY_FILE": "elastic.key"}),
    ]:
        found = secrets.credentials(load(path, environ, {}).settings.elastic, environ)
        assert found.api_key == SECRET
        assert found.authorization() == f"ApiKey {SECRET}"


def test_a_key_of_id_and_key_is_sent_in_its_base64_form():
    found = secrets.credentials(Elastic(api_key="VuaCfGcB:ui2lp2axTN"), {})
    # The example of Elasticsearch's own documentation of this header.
    assert found.authorization() == "ApiKey " + base64.b64encode(b"VuaCfGcB:ui2lp2axTN").decode()


def test_a_password_comes_from_a_setting_a_file_or_the_environment(folder):
    key_file(folder, f"{SECRET}\n")
    for elastic, environ in [
        (Elastic(user="ana", password=SECRET), {}),
        (Elastic(user="ana", password_file=str(folder / "elastic.key")), {}),
        (Elastic(user="ana"), {"GLASSFS_ELASTIC_PASSWORD": SECRET}),
    ]:
        assert secrets.credentials(elastic, environ).authorization() == basic("ana", SECRET)
    assert secrets.credentials(Elastic(), {}).authorization() is None


def test_the_weightier_of_two_ways_to_give_a_key_counts(folder):
    key_file(folder, "from-the-file")
    (folder / "config.yml").write_text("elastic:\n  api_key_file: elastic.key\n")
    environ = {"GLASSFS_ELASTIC_API_KEY": "from-the-variable"}
    found = load(Path("config.yml"), environ, {})
    assert secrets.credentials(found.settings.elastic, environ).api_key == "from-the-variable"
    key_file(folder, "from-the-flag", "other.key")
    found = load(Path("config.yml"), environ, {"elastic.api_key_file": "other.key"})
    assert secrets.credentials(found.settings.elastic, environ).api_key == "from-the-flag"


@pytest.mark.parametrize(
    ("text", "why"), [("", "it is empty"), ("\n \n", "it is empty"), ("one\ntwo", "more than one line")]
)
def test_a_file_without_one_key_is_refused_without_showing_it(folder, text, why):
    file = key_file(folder, text)
    with pytest.raises(GlassfsError) as said:
        secrets.read_secret(file)
    assert str(said.value) == f"this file holds no key ({why}): {file}"


def test_a_file_of_other_bytes_is_refused_without_showing_them(folder):
    (folder / "elastic.key").write_bytes(b"\xff" + SECRET.encode())
    with pytest.raises(GlassfsError) as said:
        secrets.read_secret(folder / "elastic.key")
    text = "".join(traceback.format_exception(said.value))
    assert SECRET not in text
    assert "not UTF-8" in text


def test_a_large_file_is_not_read_as_a_key(folder):
    with (folder / "log").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(GlassfsError, match="more than 64 kB"):
        secrets.read_secret(folder / "log")


def test_the_key_of_hashes_is_a_files_bytes_and_long_enough(folder):
    file = key_file(folder, "0123456789abcdef\n")
    assert secrets.path_hash_key(HashPaths(enabled=True, key_file=str(file))) == b"0123456789abcdef"
    with pytest.raises(GlassfsError, match="shorter than 16 bytes"):
        secrets.path_hash_key(HashPaths(enabled=True, key_file=str(key_file(folder, "short"))))


def test_nothing_that_is_printed_of_settings_or_credentials_holds_a_secret(folder):
    key_file(folder, SECRET)
    shapes = [
        load(None, {"GLASSFS_ELASTIC_API_KEY": SECRET}, {}),
        load(None, {"GLASSFS_ELASTIC_USER": "ana", "GLASSFS_ELASTIC_PASSWORD": SECRET}, {}),
        load(None, {"GLASSFS_ELASTIC_API_KEY_FILE": "elastic.key"}, {}),
        Settings(elastic=Elastic(password=SECRET, api_key=SECRET)),
        secrets.credentials(Elastic(api_key=SECRET), {}),
        secrets.credentials(Elastic(user="ana", password=SECRET), {}),
    ]
    for shape in shapes:
        assert SECRET not in repr(shape) + str(shape) + f"{shape}"
        with pytest.raises(ValueError) as caught:
            raise ValueError(shape)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_show_and_check_hide_secrets_and_never_open_what_key_files_hold(glassfs, folder):
    key_file(folder, SECRET)
    (folder / "config.yml").write_text(f"elastic:\n  user: ana\n  password: {SECRET}\n")
    (folder / "config.yml").chmod(0o600)
    (folder / "file.yml").write_text("elastic:\n  api_key_file: elastic.key\n")
    for path in ("config.yml", "file.yml"):
        for verb in (
            ["show", "--origin", "-c", path],
            ["show", "--json", "-c", path],
            ["check", path],
            ["check", path, "--json"],
        ):
            answer = glassfs("config", *verb, env={"GLASSFS_LABELS": "a=b"})
            assert (answer.status, answer.err) == (0, "")
            assert SECRET not in answer.out
    assert 'password: "***"' in glassfs("config", "show", "-c", "config.yml").out
    answer = glassfs("config", "show", "--json", env={"GLASSFS_ELASTIC_API_KEY": SECRET})
    [row] = [row for row in json.loads(answer.out)["settings"] if row["name"] == "elastic.api_key"]
    assert (row["value"], row["where"]) == ("***", "$GLASSFS_ELASTIC_API_KEY")


def test_a_secret_that_others_can_read_is_warned_of(glassfs, folder):
    (folder / "config.yml").write_text(f"elastic:\n  user: ana\n  password: {SECRET}\n")
    (folder / "config.yml").chmod(0o644)
    answer = glassfs("config", "check", "config.yml")
    assert answer.status == 0
    assert answer.err == (
        "glassfs: warning: config.yml holds a secret and can be read by other users: chmod 600 config.yml\n"
    )
    file = key_file(folder, SECRET)
    file.chmod(0o604)
    (folder / "file.yml").write_text("elastic:\n  api_key_file: elastic.key\n")
    answer = glassfs("config", "check", "file.yml")
    assert answer.err == f"glassfs: warning: elastic.api_key_file can be read by other users: chmod 600 {file}\n"


LOGINS = (
    "elastic:\n  enabled: true\n  user: ana\n  password: {}\n  ship: all\n",
    "elastic:\n  api_key: {}\n  ship: all\n",
    'elastic: {{user: ana, password: "{}", ship: all}}\n',
    "elastic:\n  user: ana\n  password: |\n    {}\n  ship: all\n",
    "elastic:\n  user: ana\n  password:\n    '{}'\n  ship: all\n",
    "elastic:\n  hosts:\n    - https://ana:{}@search.example:9200\n",
    "elastic:\n  hosts: https://ana:{}@search.example:9200\n",
)


@hypothesis.settings(deadline=None)
@given(data=st.data())
def test_no_slip_of_the_finger_shows_a_secret(data, tmp_path_factory):
    """One letter more, less or other anywhere beside the secret: whatever is said of that, it is not the secret."""
    before, after = data.draw(st.sampled_from(LOGINS)).format(SECRET).split(SECRET)
    place = data.draw(st.integers(0, len(before) + len(after) - 1))
    cut = data.draw(st.integers(0, 1))
    put = data.draw(
        st.sampled_from(["", "x", " ", "\t", "\n", ":", "-", "'", '"', "[", "{", "#", "*", "&", "\x01", "ü"])
    )
    # What an Enter within a name leaves behind bears no name any more.
    hypothesis.assume(put != "\n" or not re.search(r"[a-z_]$", before[:place]))
    if place < len(before):
        before = before[:place] + put + before[place + cut :]
    else:
        at = place - len(before)
        after = after[:at] + put + after[at + cut :]
    file = tmp_path_factory.mktemp("slip") / "config.yml"
    file.write_text(before + SECRET + after)
    try:
        said = repr(load(file, {}, {}))
    except GlassfsError as error:
        said = str(error) + "".join(str(one) for one in getattr(error, "problems", ()))
    assert SECRET not in said


@pytest.mark.parametrize(
    "host", [f"ana:{SECRET}@search:9200", f"//ana:{SECRET}@x", f"https//ana:{SECRET}@x", f"ftp://a:{SECRET}@x"]
)
def test_an_address_that_is_wrong_in_another_way_too_hides_its_login(host):
    for variable in (host, f"https://good:1,{host}"):
        with pytest.raises(ConfigError, match="user or password inside an address") as said:
            load(None, {"GLASSFS_ELASTIC_HOSTS": variable}, {})
        assert SECRET not in str(said.value)


@pytest.mark.parametrize("name", ["elastic.api_key", "elastic.password"])
def test_a_secret_is_no_flag(name):
    with pytest.raises(ConfigError) as said:
        load(None, {}, {name: SECRET})
    assert SECRET not in str(said.value)
