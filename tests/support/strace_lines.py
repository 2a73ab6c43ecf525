"""Takes apart what `strace -ff` wrote with OPTIONS: one finished call a line, its arguments one by one. Knows no call's meaning."""

import re
from dataclasses import dataclass
from pathlib import Path

# Everything inside structures, nearly nothing of data (paths are whole all the same); when each call began and how long it took.
OPTIONS = ["-ff", "-y", "-qq", "-v", "-s", "8", "-e", "signal=none"]
OPTIONS += ["--absolute-timestamps=format:unix,precision:ns", "--syscall-times=ns"]
LINE = re.compile(
    r"^(?P<seconds>\d+)\.(?P<ns>\d{9}) (?P<name>\w+)\((?P<arguments>.*)\) += "
    r"(?P<result>0x[0-9a-f]+|-?\d+|\?)(?:<(?P<path>[^>]*)>(?P<deleted>\(deleted\))?)?(?: (?P<errno>E[A-Z0-9_]+))?"
    r".*<(?P<took_s>\d+)\.(?P<took_ns>\d{9})>$"
)
DESCRIPTOR = re.compile(r"^(?P<number>AT_FDCWD|-?\d+)<(?P<path>[^>]*)>(?P<deleted>\(deleted\))?$")
OPENING, CLOSING = "([{", ")]}"
A_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Descriptor:
    """`number` is None for AT_FDCWD."""

    number: int | None
    path: str


@dataclass(frozen=True)
class Line:
    tid: int
    began_ns: int
    ended_ns: int
    name: str
    arguments: list[str]
    result: int
    errno: str | None
    # That the descriptor which was answered stands for.
    path: str | None

    def argument(self, place: int) -> str:
        return self.arguments[place] if place < len(self.arguments) else ""

    def descriptor(self, place: int) -> Descriptor | None:
        found = DESCRIPTOR.match(self.argument(place))
        if not found or not found["path"].startswith("/"):
            return None
        return Descriptor(None if found["number"] == "AT_FDCWD" else int(found["number"]), found["path"])

    def text(self, place: int) -> str | None:
        """A quoted argument."""
        word = self.argument(place)
        return word[1:-1] if word.startswith('"') and word.endswith('"') else None

    def number(self, place: int) -> int | None:
        """A plain number; also the one behind a pointer: `[0]`, or `[0] => [500]`."""
        found = re.match(r"^\[?(0x[0-9a-f]+|-?\d+)\b", self.argument(place))
        return _number(found[1]) if found else None

    def is_null(self, place: int) -> bool:
        return self.argument(place) == "NULL"

    def says(self, word: str) -> bool:
        return any(word in argument for argument in self.arguments)


def lines_of(prefix: Path) -> list[Line]:
    """Every finished call of all threads (`PREFIX.TID` files), thread by thread, each in its order."""
    files = sorted(prefix.parent.glob(prefix.name + ".*"))
    return [line for file in files for line in _thread(file)]


def _thread(file: Path) -> list[Line]:
    tid = int(file.suffix[1:])
    found = (LINE.match(line) for line in file.read_text(errors="surrogateescape").splitlines())
    return [_line(tid, each) for each in found if each and (each["result"] != "?" or each["errno"])]


def _line(tid: int, found: re.Match[str]) -> Line:
    began_ns = int(found["seconds"]) * A_SECOND_NS + int(found["ns"])
    return Line(
        tid,
        began_ns,
        began_ns + int(found["took_s"]) * A_SECOND_NS + int(found["took_ns"]),
        found["name"],
        split(found["arguments"]),
        # A call that is to be begun again is answered `?` and the kernel's own word for that.
        0 if found["result"] == "?" else _number(found["result"]),
        found["errno"],
        found["path"],
    )


def unfinished(prefix: Path) -> list[tuple[int, str]]:
    """Thread, and the name and file, of each call that its thread did not return from."""
    found = []
    for file in sorted(prefix.parent.glob(prefix.name + ".*")):
        calls = re.findall(r"^[\d.]+ (\w+)\(\d+<([^>]*)>.* <unfinished \.\.\.>", file.read_text(), re.MULTILINE)
        found += [(int(file.suffix[1:]), f"{name} {path}") for name, path in calls]
    return found


def _number(text: str) -> int:
    return int(text, 16 if text.startswith("0x") else 10)


def split(arguments: str) -> list[str]:
    """At the commas that stand outside quotes, structures and the paths of descriptors."""
    parts, depth, start, at = [], 0, 0, 0
    while at < len(arguments):
        sign = arguments[at]
        if sign == '"':
            at = _end_of_quote(arguments, at)
        elif sign == "<" and arguments[at + 1 : at + 2] != "<" and arguments[at - 1 : at] != "<":
            at = max(arguments.find(">", at), at)
        elif sign in OPENING:
            depth += 1
        elif sign in CLOSING:
            depth -= 1
        elif sign == "," and depth == 0:
            parts.append(arguments[start:at].strip())
            start = at + 1
        at += 1
    return [*parts, arguments[start:].strip()] if arguments else []


def _end_of_quote(text: str, start: int) -> int:
    at = start + 1
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at
