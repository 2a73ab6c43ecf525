"""Names are bytes on Linux; in a trace they are text: `\\\\` is a backslash, `\\xHH` a byte that is not UTF-8.

This turns a name as the user types it into that text, a glob into a pattern over it, and that text into the bytes.
"""

from __future__ import annotations

import os
import re

_ESCAPE = re.compile(rb"\\\\|\\x([0-9a-f]{2})")

# One character of a name is one of these in the column.
_ANY_CHARACTER = r"(?:\\\\|\\x[0-9a-f]{2}|[^\\])"


def escape(name: str | bytes) -> str:
    """As the recorder writes it. A str is taken as Python holds names (surrogates for bytes that are not UTF-8)."""
    raw = os.fsencode(name) if isinstance(name, str) else name
    text = raw.replace(b"\\", b"\\\\").decode("utf-8", "surrogateescape")
    return re.sub("[\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)


def unescape(text: str) -> bytes:
    """The name's own bytes again."""
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]) if found[1] else b"\\", text.encode("utf-8"))


def glob_to_regex(pattern: str) -> str:
    """A shell glob over a name as a regular expression (RE2's and Python's common part) over its escaped text.
    `*` also crosses slashes; a backslash takes the next character as it is; a bracket without its end is a bracket."""
    out, rest = [], pattern
    while rest:
        head, rest = rest[0], rest[1:]
        if head == "*":
            out.append(f"{_ANY_CHARACTER}*")
        elif head == "?":
            out.append(_ANY_CHARACTER)
        elif head == "[" and (bracket := _bracket(rest)):
            out.append(bracket[0])
            rest = bracket[1]
        elif head == "\\" and rest:
            out.append(_literal(rest[0]))
            rest = rest[1:]
        else:
            out.append(_literal(head))
    return "(?s)" + "".join(out)


def _literal(character: str) -> str:
    return re.sub(r"[.^$*+?{}|()\[\]\\]", lambda found: "\\" + found[0], escape(character))


def _bracket(rest: str) -> tuple[str, str] | None:
    """`abc]tail` to a character class and `tail`; None where the bracket does not end."""
    negated = rest[:1] in ("!", "^")
    body = rest[1:] if negated else rest
    end = body.find("]", 1)
    if end == -1:
        return None
    inside = re.sub(r"[\\\]\[^&~|]", lambda found: "\\" + found[0], body[:end])
    return f"[{'^' if negated else ''}{inside}]", body[end + 1 :]
