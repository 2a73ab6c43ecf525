"""Secrets on command lines, made `***` before they are kept: the recorder's rule (recorder/src/process/mask.rs), whose
cases are this file's tests. When in doubt it hides too much.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

# Any name that contains one of these is the name of a secret.
WORDS = (
    *(b"password", b"passwd", b"passphrase", b"pwd", b"token", b"secret", b"credential"),
    *(b"authorization", b"bearer"),
)

# These only at a name's end: `api_key` names a secret, `key_size` does not.
LAST_WORDS = (b"key", b"keys")

# What a name may end in without being a secret's.
HARMLESS_ENDS = (b"file", b"path", b"stdin", b"prompt")

# Options whose value is `user:secret`.
USER_OPTIONS = (b"-u", b"--user", b"--proxy-user")

HIDDEN = b"***"

_QUOTES = (b'"', b"'")
_SPACES = re.compile(rb"[ \t\n\x0c\r]*")
_WORD = re.compile(rb"[^ \t\n\x0c\r]*")
_SEPARATOR = re.compile(rb"[=:]")
_SCRIPT_OPTION = re.compile(rb"-[A-Za-z]*c")
# The name that ends a text, less quotes and brackets: `{"my-token"` gives `my-token`.
_LAST_NAME = re.compile(rb"([A-Za-z0-9_.-]*)[\"'\])}]*\Z")
# Up to the first space outside quotes, as a shell would read it.
_SHELL_WORD = re.compile(
    rb"""(?:\\.|"(?:\\.|[^"\\])*(?:"|\\?\Z)|'(?:\\.|[^'\\])*(?:'|\\?\Z)|[^ \t\n\x0c\r\\"'])*\\?""", re.DOTALL
)


class Secret(enum.Enum):
    """How much of a value is secret."""

    WHOLE = enum.auto()
    BEHIND_COLON = enum.auto()


def masked_arguments(arguments: Iterable[bytes]) -> list[bytes]:
    """Arguments without their secrets: one of them may announce what the next one is."""
    result, awaited, is_script = [], None, False
    for argument in arguments:
        if awaited is None:
            scanner = _Scanner(argument, is_script)
            awaited = scanner.scan()
            result.append(bytes(scanner.masked))
        else:
            result.append(_hidden(argument, awaited))
            awaited = None
        # `sh -c`, `bash -lc`: what follows is many words, each of its own kind.
        is_script = _SCRIPT_OPTION.fullmatch(argument) is not None
    return result


def arguments_of(cmdline: bytes) -> list[bytes]:
    """Of /proc/PID/cmdline. Titles are written over the arguments and padded with NULs."""
    trimmed = cmdline.rstrip(b"\0")
    return trimmed.split(b"\0") if trimmed else []


def _hidden(value: bytes, secret: Secret) -> bytes:
    if secret is Secret.WHOLE:
        return HIDDEN
    user, colon, rest = value.partition(b":")
    # `-u 1000:1000` is a user and a group.
    is_harmless = not colon or all(byte in b"0123456789" for byte in rest)
    return value if is_harmless else user + colon + HIDDEN


class _Scanner:
    """Walks through one argument, word by word."""

    def __init__(self, argument: bytes, is_script: bool) -> None:
        self.argument = argument
        self.masked = bytearray()
        self._at = 0
        self._is_script = is_script

    def scan(self) -> Secret | None:
        """What of the next argument is to be hidden, if a value was announced and did not come."""
        while True:
            self._copy_spaces()
            if not self._rest:
                return None
            awaited = self._word()
            if awaited is not None:
                return awaited

    @property
    def _rest(self) -> bytes:
        return self.argument[self._at :]

    def _copy(self, length: int) -> None:
        self.masked += self._rest[:length]
        self._at += length

    def _copy_spaces(self) -> None:
        self._copy(_length(_SPACES, self._rest))

    def _word(self) -> Secret | None:
        word = self._rest[: _length(_WORD, self._rest)]
        if word in USER_OPTIONS:
            self._copy(len(word))
            return self._value(Secret.BEHIND_COLON)
        if (offset := _assignment(word.lower())) is not None:
            return self._assigned(word, offset)
        if _is_secret_option(word.lower()):
            self._copy(len(word))
            return self._value(Secret.WHOLE)
        if _is_bare_name(word.lower()):
            self._copy(len(word))
            return self._named_value()
        self.masked += _without_passwords_in_urls(word)
        self._at += len(word)
        return None

    def _assigned(self, word: bytes, offset: int) -> Secret | None:
        # An argument that begins as an assignment is one as a whole, spaces and all; so is a header.
        is_whole = (self._at == 0 and not self._is_script) or (offset == len(word) and word.endswith(b":"))
        self.masked += _without_passwords_in_urls(word[:offset])
        self._at += offset
        quote = word[:1] if word[:1] in _QUOTES and offset > 1 else None
        if quote is None and not is_whole:
            return self._value(Secret.WHOLE)
        end = self._rest.find(quote) if quote else -1
        if not self._rest:
            return Secret.WHOLE
        self._hide(len(self._rest) if end == -1 else end, Secret.WHOLE)
        return None

    def _named_value(self) -> Secret | None:
        """`password = X`, `PASSWORD 'X'`; but not `token` as a word of a sentence."""
        spaces = _length(_SPACES, self._rest)
        first = self._rest[spaces : spaces + 1]
        if first in (b"=", b":"):
            self._copy(spaces + 1)
            return self._value(Secret.WHOLE)
        return self._value(Secret.WHOLE) if first in _QUOTES else None

    def _value(self, secret: Secret) -> Secret | None:
        """The next word is a value; or the next argument."""
        self._copy_spaces()
        if not self._rest:
            return secret
        self._hide(_length(_SHELL_WORD, self._rest), secret)
        return None

    def _hide(self, length: int, secret: Secret) -> None:
        self.masked += _hidden(self._rest[:length], secret)
        self._at += length


def _length(pattern: re.Pattern[bytes], text: bytes) -> int:
    found = pattern.match(text)
    return found.end() if found else 0


def _assignment(lower: bytes) -> int | None:
    """Where the value begins, in the word or behind it, if the word names a secret and has a separator."""
    for separator in _SEPARATOR.finditer(lower):
        is_scheme = lower.startswith(b"://", separator.start())
        if not is_scheme and _names_secret(_name_before(lower[: separator.start()])):
            return separator.end()
    return None


def _is_secret_option(lower: bytes) -> bool:
    return lower.startswith(b"-") and not lower.startswith(b"--no-") and _names_secret(lower)


def _is_bare_name(lower: bytes) -> bool:
    name = _name_before(lower)
    return len(name) + 2 >= len(lower) and name in (*WORDS, *LAST_WORDS)


def _name_before(text: bytes) -> bytes:
    found = _LAST_NAME.search(text)
    return found[1] if found else b""


def _names_secret(name: bytes) -> bool:
    return not name.endswith(HARMLESS_ENDS) and (any(word in name for word in WORDS) or name.endswith(LAST_WORDS))


def _without_passwords_in_urls(word: bytes) -> bytes:
    """`scheme://user:X@host`, as often as it stands in the word."""
    out, rest = bytearray(), word
    while (scheme := rest.find(b"://")) != -1:
        out += rest[: scheme + 3]
        rest = rest[scheme + 3 :]
        end = rest.find(b"://")
        found = _user_and_secret(rest if end == -1 else rest[:end])
        if found:
            user, behind = found
            out += rest[:user] + HIDDEN
            rest = rest[behind:]
    return bytes(out + rest)


def _user_and_secret(url: bytes) -> tuple[int, int] | None:
    """Where the secret of `user:X@host/path` begins and ends. A slash may be a bad part of the secret, unless what
    precedes it is a port."""
    first = re.search(rb"[:/]", url)
    at = url.rfind(b"@")
    if first is None or first[0] == b"/" or at <= first.start():
        return None
    before_slash, slash, _ = url[first.end() : at].partition(b"/")
    is_port = bool(slash) and all(byte in b"0123456789" for byte in before_slash)
    return None if is_port else (first.end(), at)
