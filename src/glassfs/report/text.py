"""Text for terminals: names made safe, columns aligned, colour where it is wanted. Knows nothing of traces."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

# The width that every view is made for. Wider terminals get longer names, narrower ones cut lines.
WIDTH = 100
WIDTH_MAX = 160

# Cells between two columns.
GAP = 2

ELLIPSIS = "…"


def safe(name: str) -> str:
    """A name from a trace without anything that a terminal obeys: control characters, escapes, bidi controls and the
    like become `\\x1b`, `\\n`, `\\u202e`. Ordinary backslashes are double in a trace, so this stays unambiguous."""
    if name.isprintable():
        return name
    return "".join(each if each.isprintable() else _shown(each) for each in name)


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _shown(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def width_of(text: str) -> int:
    """Cells on a terminal: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_cells(each) for each in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, width: int) -> str:
    """A long name loses its middle: its end, the file's own name, tells most."""
    if width_of(text) <= width:
        return text
    head_cells = max((width - 1) // 3, 0)
    return _leading(text, head_cells) + ELLIPSIS + _leading(text[::-1], width - 1 - head_cells)[::-1]


def _leading(text: str, cells: int) -> str:
    taken, used = 0, 0
    for character in text:
        used += _cells(character)
        if used > cells:
            break
        taken += 1
    return text[:taken]


def padded(text: str, width: int, *, right: bool) -> str:
    fill = " " * max(width - width_of(text), 0)
    return fill + text if right else text + fill


@dataclass(frozen=True)
class Paint:
    """Colour, or none. Nothing is said by colour alone."""

    on: bool = False

    def bold(self, text: str) -> str:
        return self._in(text, "1")

    def dim(self, text: str) -> str:
        return self._in(text, "2")

    def bad(self, text: str) -> str:
        return self._in(text, "1;31")

    def _in(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on else text


PLAIN = Paint()


@dataclass(frozen=True)
class Column:
    """`width` counts without the gap before it; 0: what is left of the line."""

    title: str
    width: int
    right: bool = True


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    paint: Paint,
    width: int,
    indent: int = 2,
    dim_idle: bool = True,
) -> str:
    """A head line and a line a row. `dim_idle`: rows in which nothing happened are dimmed."""
    fixed = sum(column.width for column in columns) + GAP * (len(columns) - 1) + indent
    widths = [column.width or max(width - fixed, 12) for column in columns]
    lines = [paint.bold(_line([column.title for column in columns], columns, widths, indent))]
    for row in rows:
        line = _line(row, columns, widths, indent)
        idle = dim_idle and set(row[1:]) <= {"-", "0", ""}
        lines.append(paint.dim(line) if idle else line)
    return "\n".join(lines)


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int], indent: int) -> str:
    shown = [
        padded(cell if column.right else shortened(cell, width), width, right=column.right)
        for cell, column, width in zip(cells, columns, widths, strict=True)
    ]
    return (" " * indent + (" " * GAP).join(shown)).rstrip()


def apart(left: str, right: str, width: int) -> str:
    """Both on one line, at its ends; on two lines where that is too narrow."""
    room = width - width_of(left) - width_of(right)
    return left + " " * room + right if room >= GAP else f"{left}\n{padded(right, width, right=True)}"


def wrapped(parts: Sequence[str], *, separator: str, width: int, indent: int) -> str:
    """Parts on as few lines as hold them; a part is never broken, only shortened where a whole line is too narrow."""
    margin = " " * indent
    lines: list[str] = []
    for part in parts:
        cut = shortened(part, width - indent)
        joined = f"{lines[-1]}{separator}{cut}" if lines else margin + cut
        if not lines or width_of(joined) <= width:
            lines = [*lines[:-1], joined]
        else:
            lines[-1] += separator.rstrip()
            lines.append(margin + cut)
    return "\n".join(lines)
