"""Reads what `strace -ff -y` wrote: one call a line, with the file that each descriptor stood for."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

READS = {"read", "pread64", "readv", "preadv", "preadv2"}
WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2"}
# System call -> the word the trace has for it. Those with flags that change the word are in `_word`.
WORDS = {
    "mkdir": "mkdir",
    "mkdirat": "mkdir",
    "rmdir": "rmdir",
    "unlink": "unlink",
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
    "link": "link",
    "linkat": "link",
    "symlink": "symlink",
    "symlinkat": "symlink",
    "fsync": "fsync",
    "fdatasync": "fdatasync",
    "setxattr": "setxattr",
    "lsetxattr": "setxattr",
    "fsetxattr": "setxattr",
    "getxattr": "getxattr",
    "lgetxattr": "getxattr",
    "fgetxattr": "getxattr",
    "listxattr": "listxattr",
    "llistxattr": "listxattr",
    "flistxattr": "listxattr",
    "removexattr": "removexattr",
    "lremovexattr": "removexattr",
    "fremovexattr": "removexattr",
    "mknod": "mknod",
    "mknodat": "mknod",
}
BY_DESCRIPTOR = {"fsync", "fdatasync", "fsetxattr", "fgetxattr", "flistxattr", "fremovexattr"} | READS | WRITES
LINE = re.compile(r"^(\w+)\((.*)\) += (0x[0-9a-f]+|-?\d+|\?)(?:<[^>]*>)?(?:\(deleted\))?(?: (E[A-Z0-9]+))?")
DESCRIPTOR = re.compile(r"^-?\w+<([^>]*)>(\(deleted\))?")
AT_DIRECTORY = re.compile(r"^(?:AT_FDCWD|\d+)<([^>]*)>")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')

# The options to run strace with, before `-o PREFIX`.
OPTIONS = ["-ff", "-y", "-qq", "-s", "4096", "-e", "signal=none"]


@dataclass(frozen=True)
class Call:
    name: str
    arguments: str
    result: int
    errno: str | None

    def file(self) -> str | None:
        """The path that the first argument, a descriptor, stands for."""
        found = DESCRIPTOR.match(self.arguments)
        return found.group(1) if found else None

    def path(self, current: str) -> str | None:
        """The first path in the arguments, made absolute; `current` is where relative ones start."""
        quoted = QUOTED.search(self.arguments)
        if quoted is None:
            return None
        start = AT_DIRECTORY.match(self.arguments)
        return posixpath.normpath(posixpath.join(start.group(1) if start else current, quoted.group(1)))


def calls(prefix: Path) -> Iterator[Call]:
    """Every finished call of all threads (`PREFIX.TID` files), thread by thread."""
    for file in sorted(prefix.parent.glob(prefix.name + ".*")):
        yield from calls_of(file)


def calls_of(file: Path) -> list[Call]:
    """One thread's finished calls in their order."""
    lines = (LINE.match(line) for line in file.read_text(errors="surrogateescape").splitlines())
    return [
        Call(found.group(1), found.group(2), int(found.group(3), 0), found.group(4))
        for found in lines
        if found and found.group(3) != "?"
    ]


def paths(call: Call) -> list[str]:
    """Every path that the arguments name, as far as strace shows where it starts."""
    found = re.finditer(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"', call.arguments)
    return [posixpath.normpath(posixpath.join(each.group(1) or "/", each.group(2))) for each in found]


def within(path: str | None, directory: str) -> bool:
    return path is not None and (path == directory or path.startswith(directory + "/"))


def bytes_per_file(all_calls: Iterable[Call], directory: str) -> dict[str, Counter[str]]:
    """{'read': {path: bytes}, 'write': {path: bytes}} . Names that differ by a last `+` are one file."""
    moved = {"read": Counter[str](), "write": Counter[str]()}
    for call in all_calls:
        kind = "read" if call.name in READS else "write" if call.name in WRITES else None
        file = call.file()
        if kind and call.result > 0 and within(file, directory):
            moved[kind][str(file).rstrip("+")] += call.result
    return moved


def transfers(all_calls: Iterable[Call], directory: str, names: set[str]) -> int:
    """How many reads (or writes) moved anything."""
    return sum(call.name in names and call.result > 0 and within(call.file(), directory) for call in all_calls)


def successes(all_calls: Iterable[Call], directory: str) -> Counter[str]:
    """How often each named thing was done successfully below the directory; relative names start there.

    A sync of a directory, by whichever call, is an `fsyncdir`, as the trace has it.
    """
    all_calls = list(all_calls)
    folders = {directory} | {posixpath.dirname(file) for call in all_calls if (file := call.file())}
    done: Counter[str] = Counter()
    for call in all_calls:
        word = _word(call)
        if word in ("fsync", "fdatasync") and call.file() in folders:
            word = "fsyncdir"
        place = call.file() if call.name in BY_DESCRIPTOR else call.path(directory)
        if word and call.result >= 0 and within(place, directory):
            done[word] += 1
    return done


def _word(call: Call) -> str | None:
    if call.name == "unlinkat":
        return "rmdir" if "AT_REMOVEDIR" in call.arguments else "unlink"
    if call.name in ("open", "openat") and "O_CREAT" in call.arguments and "O_EXCL" in call.arguments:
        return "create"
    if call.name == "creat":
        return None
    return WORDS.get(call.name)
