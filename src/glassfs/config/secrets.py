"""Keys and passwords: from a setting, a file or the environment, and into nothing but the request's own header.

Whatever is printed of these objects hides them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from glassfs.config.messages import HIDDEN
from glassfs.config.model import Elastic, HashPaths
from glassfs.errors import BadUsage, EnvironmentProblem, GlassfsError

API_KEY_VARIABLE = "GLASSFS_ELASTIC_API_KEY"
PASSWORD_VARIABLE = "GLASSFS_ELASTIC_PASSWORD"

# A key is one line; whoever names a log file by mistake gets an error, not its contents in a header.
MAX_BYTES = 64 << 10

# Bytes. Names of files are few and guessable: a short key would be guessed with them.
HASH_KEY_MIN = 16

API_KEY_FORM = "It is id:key or its base64 form, without spaces; Elasticsearch shows both when it makes one."


_API_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True, repr=False)
class Credentials:
    """An API key, or user and password, or nothing."""

    api_key: str | None = None
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({HIDDEN})"

    def authorization(self) -> str | None:
        """The value of the Authorization header."""
        if self.api_key is not None:
            return f"ApiKey {_encoded(self.api_key)}"
        if self.user is not None:
            return f"Basic {_b64(f'{self.user}:{self.password or str()}')}"
        return None


def _encoded(api_key: str) -> str:
    """An API key is id:key; its base64 form has no colon."""
    return _b64(api_key) if ":" in api_key else api_key


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def credentials(elastic: Elastic, environ: Mapping[str, str]) -> Credentials:
    """How to log in. Of settings that were loaded the environment is part already; others get it here."""
    api_key = _one(elastic.api_key, elastic.api_key_file, "" if elastic.user else environ.get(API_KEY_VARIABLE, ""))
    if api_key is not None:
        if not is_api_key(api_key):
            raise BadUsage("elastic.api_key is no API key", where=elastic.api_key_file, next_step=API_KEY_FORM)
        return Credentials(api_key=api_key)
    if elastic.user is None:
        return Credentials()
    password = _one(elastic.password, elastic.password_file, environ.get(PASSWORD_VARIABLE, ""))
    return Credentials(user=elastic.user, password=password)


def _one(value: str | None, file: str | None, variable: str) -> str | None:
    if value is not None:
        return value
    return read_secret(Path(file)) if file is not None else variable or None


def read_secret(path: Path) -> str:
    """The file's one line. Errors name the file, never what is in it."""
    try:
        text = _bytes(path).decode().strip()
    except UnicodeDecodeError:
        # Not `from`: the exception holds the bytes.
        raise BadUsage("this file holds no key (not UTF-8)", where=str(path)) from None
    if not text or not text.isprintable():
        raise BadUsage(f"this file holds no key ({'more than one line' if text else 'it is empty'})", where=str(path))
    return text


def is_api_key(text: str) -> bool:
    """Whether it can stand in a header: a library's own message would repeat what cannot."""
    return _API_KEY.fullmatch(text) is not None


def path_hash_key(hash_paths: HashPaths) -> bytes:
    """The key of `hash_paths`, as its file has it, without an end of line."""
    if hash_paths.key_file is None:
        raise BadUsage("elastic.hash_paths needs key_file", next_step=HASH_KEY_RECIPE)
    key = _bytes(Path(hash_paths.key_file)).rstrip(b"\r\n")
    if len(key) < HASH_KEY_MIN:
        raise BadUsage(
            f"this key is shorter than {HASH_KEY_MIN} bytes", where=hash_paths.key_file, next_step=HASH_KEY_RECIPE
        )
    return key


HASH_KEY_RECIPE = "Make one: (umask 077; openssl rand -hex 32 > path-hash.key)"


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise EnvironmentProblem(f"cannot read the key file ({problem.strerror})", where=str(path)) from problem
    if len(data) > MAX_BYTES:
        raise BadUsage(f"this file holds no key (more than {MAX_BYTES >> 10} kB)", where=str(path))
    return data


def problem_of(path: Path) -> str | None:
    """Why this file gives no secret; None if it does."""
    try:
        read_secret(path)
    except GlassfsError as problem:
        return f"{problem.what}: {problem.where}"
    return None
