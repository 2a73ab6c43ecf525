"""What only several settings together, or a look at the machine, show to be wrong. Connects to nothing."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from glassfs.config import secrets
from glassfs.config.messages import Problem, Spot, quoted
from glassfs.config.model import SECRETS, Elastic, Settings
from glassfs.errors import GlassfsError

if TYPE_CHECKING:
    from glassfs.config.load import Given, Origin

# A dot would make an object of the label, anything else is no name that Kibana's query language takes.
LABEL_MAX = 50
_LABEL = re.compile(rf"[A-Za-z0-9_-]{{1,{LABEL_MAX}}}")

# Of two ways to say the same secret the weightier origin counts.
_SAME_SECRET = (("elastic.api_key", "elastic.api_key_file"), ("elastic.password", "elastic.password_file"))
_WEIGHT = {"default": 0, "file": 1, "environment": 2, "flag": 3}


def without_overruled(given: Mapping[str, Given]) -> dict[str, Given]:
    """Drops the file's api_key_file where the environment gives api_key, and so on."""
    left = dict(given)
    for pair in _SAME_SECRET:
        if all(name in left and left[name].value is not None for name in pair):
            light, heavy = sorted(pair, key=lambda name: _WEIGHT[left[name].origin.kind])
            if left[light].origin.kind != left[heavy].origin.kind:
                del left[light]
    return left


def problems(settings: Settings, given: Mapping[str, Given], *, unsure: bool) -> list[Problem]:
    """`unsure`: something else is wrong already, so what looks missing may be there under a wrong name."""
    found = [*_logins(settings.elastic, given), *_hosts(settings.elastic, given), *_labels(settings, given)]
    found += _files(settings.elastic, given)
    return found if unsure else [*found, *_missing(settings.elastic, given)]


def _logins(elastic: Elastic, given: Mapping[str, Given]) -> Iterator[Problem]:
    for one, other in (("api_key", "api_key_file"), ("password", "password_file")):
        if getattr(elastic, one) is not None and getattr(elastic, other) is not None:
            yield Problem(f"elastic.{one} and elastic.{other} are both given", _spot(given, other), "Keep one.")
    if elastic.api_key is not None and not secrets.is_api_key(elastic.api_key):
        yield Problem("elastic.api_key is no API key", _spot(given, "api_key"), secrets.API_KEY_FORM)
    keys = [name for name in ("api_key", "api_key_file") if getattr(elastic, name) is not None]
    users = [name for name in ("user", "password", "password_file") if getattr(elastic, name) is not None]
    if keys and users:
        first = _spot(given, keys[0])
        where = f" ({first.where})" if first else ""
        yield Problem(
            f"elastic.{users[0]} and elastic.{keys[0]}{where} are both given",
            _spot(given, users[0]),
            "Log in either with an API key or with user and password.",
        )


def _missing(elastic: Elastic, given: Mapping[str, Given]) -> Iterator[Problem]:
    password = elastic.password if elastic.password is not None else elastic.password_file
    if elastic.user is not None and password is None:
        hint = "Set elastic.password_file or $GLASSFS_ELASTIC_PASSWORD."
        yield Problem("elastic.user has no password", _spot(given, "user"), hint)
    if elastic.user is None and password is not None:
        name = "password" if elastic.password is not None else "password_file"
        yield Problem(f"elastic.{name} has no user", _spot(given, name), "Set elastic.user.")
    if elastic.hash_paths.enabled and elastic.hash_paths.key_file is None:
        hint = f"{secrets.HASH_KEY_RECIPE} and set key_file."
        yield Problem("elastic.hash_paths needs a key_file", _spot(given, "hash_paths.enabled"), hint)


def _spot(given: Mapping[str, Given], name: str, part: str | None = None) -> Spot | None:
    one = given.get(f"elastic.{name}") or given.get(name)
    if one is None:
        return None
    if part is None or part in one.parts:
        return one.spot if part is None else one.parts[part]
    # In a variable the parts stand on its one line.
    at = one.spot.line.find(part)
    return one.spot if at < 0 else Spot(one.spot.where, one.spot.line, None, at, len(part))


def _hosts(elastic: Elastic, given: Mapping[str, Given]) -> Iterator[Problem]:
    for host in elastic.hosts:
        if found := _host(host, elastic.allow_insecure_http):
            yield Problem(found[0], _spot(given, "hosts", host), found[1])


def _host(host: str, insecure_http_allowed: bool) -> tuple[str, str] | None:
    if "@" in host:
        return "user or password inside an address", "Set elastic.user and elastic.password_file instead."
    if "://" not in host:
        return f"the host '{host}' has no scheme", f"Write https://{host} or, on this machine, http://{host}."
    try:
        parts = urlsplit(host)
        name, _port = parts.hostname, parts.port
    except ValueError:
        return "this host is no address", "Like https://search.example:9200."
    if parts.scheme not in ("http", "https"):
        return f"the host's scheme is '{parts.scheme}'", "Only http and https are known."
    if not name or parts.query or parts.fragment or any(character.isspace() for character in host):
        return f"the host '{host}' is no address", "Like https://search.example:9200."
    if parts.scheme == "http" and not is_loopback(name) and not insecure_http_allowed:
        return (
            f"http to {name}: names of files and keys would travel in the clear",
            "Use https, or set elastic.allow_insecure_http: true if the network is yours.",
        )
    return None


def is_loopback(name: str) -> bool:
    """By its name alone: what a name means is asked of nobody."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _labels(settings: Settings, given: Mapping[str, Given]) -> Iterator[Problem]:
    for name in settings.labels:
        if not _LABEL.fullmatch(name):
            what = f"{quoted(name)} is no name for a label"
            yield Problem(what, _spot(given, "labels", name), f"Letters, digits, _ and -, at most {LABEL_MAX}.")


def _files(elastic: Elastic, given: Mapping[str, Given]) -> Iterator[Problem]:
    for name in ("api_key_file", "password_file"):
        path = getattr(elastic, name)
        if path is not None and (why := secrets.problem_of(Path(path))):
            yield Problem(f"elastic.{name}: {why}", _spot(given, name))
    if elastic.ca_file is not None and (why := _unreadable(Path(elastic.ca_file))):
        yield Problem(f"elastic.ca_file: {why}", _spot(given, "ca_file"))
    if elastic.hash_paths.key_file is not None:
        try:
            secrets.path_hash_key(elastic.hash_paths)
        except GlassfsError as problem:
            yield Problem(
                f"elastic.hash_paths.key_file: {problem.what}: {problem.where}",
                _spot(given, "hash_paths.key_file"),
                problem.next_step,
            )


def _unreadable(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as problem:
        return f"cannot read it ({problem.strerror}): {path}"
    return None


def warnings(settings: Settings, path: Path | None, origins: Mapping[str, Origin]) -> Iterator[str]:
    """Secrets that other users of the machine can read."""
    if path is not None and any(origins[name].kind == "file" for name in SECRETS) and _is_open(path):
        yield f"{path} holds a secret and can be read by other users: chmod 600 {path}"
    for name, value in _secret_files(settings.elastic):
        if value is not None and _is_open(Path(value)):
            yield f"elastic.{name} can be read by other users: chmod 600 {value}"


def _secret_files(elastic: Elastic) -> list[tuple[str, Any]]:
    return [
        ("api_key_file", elastic.api_key_file),
        ("password_file", elastic.password_file),
        ("hash_paths.key_file", elastic.hash_paths.key_file),
    ]


def _is_open(path: Path) -> bool:
    try:
        return bool(os.stat(path).st_mode & (stat.S_IROTH | stat.S_IWOTH))
    except OSError:
        return False
