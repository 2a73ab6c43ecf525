"""What the calls that strace wrote down were about: which file, where in it, how much.

strace shows arguments; a position that a read moves, or where a file ends that is appended to, it does not. They are worked out
here as the kernel does: descriptors and what they share, sizes, names, working directories. All files of interest are made
while strace looks on.
"""

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from support import straces
from support.strace_calls import (
    AT_FOLLOWING,
    AT_NOT_FOLLOWING,
    AT_PLACE_OR_POSITION,
    AT_POSITION,
    FOLLOWING,
    FORKS,
    MOST_LINKS,
    NOT_FOLLOWING,
    OPENS,
    RANGES,
    READS,
    SYMLINKS,
    TRANSFERS,
    WRITES,
)
from support.strace_lines import Line


@dataclass(frozen=True)
class Said:
    """A call as strace has it, and what follows from all before it."""

    tid: int
    name: str
    result: int
    errno: str | None
    path: str | None = None
    path2: str | None = None
    offset: int | None = None
    size: int | None = None
    # Whether it is about files below the root, also where it names none.
    is_ours: bool = True
    # Whether what it names is a folder, as far as strace has seen one made.
    is_folder: bool = False
    # As strace wrote it, for whoever must understand a difference.
    line: Line = field(compare=False, repr=False, default=None)  # type: ignore[assignment]


@dataclass
class File:
    size: int = 0
    # A fifo has no positions.
    is_stream: bool = False


@dataclass
class Description:
    """What an open made; dup and fork share it."""

    file: File
    appends: bool
    is_ours: bool
    position: int = 0


@dataclass
class Process:
    descriptors: dict[int, Description]
    # A list of one, since threads share it.
    directory: list[str]
    # Files that are mapped, by the address.
    maps: dict[int, str]

    def child(self, line: Line) -> "Process":
        return Process(
            self.descriptors if line.says("CLONE_FILES") else dict(self.descriptors),
            self.directory if line.says("CLONE_FS") else list(self.directory),
            self.maps if line.says("CLONE_VM") else dict(self.maps),
        )


class Model:
    """`root`: the directory whose files are of interest. `start`: where the first process works."""

    def __init__(self, root: str, start: str) -> None:
        self.root = root
        self.files: dict[str, File] = {}
        self.links: dict[str, str] = {}
        self.folders: dict[str, bool] = {root: True}
        self.processes: dict[int, Process] = {}
        self.start = start
        self.sent: list[tuple[str, Description]] = []

    def follow(self, lines: Iterable[Line]) -> list[Said]:
        """In the order in which the calls took effect; a child may call before its fork returns."""
        ordered = sorted(lines, key=lambda line: line.began_ns if line.name in FORKS else line.ended_ns)
        return [self._step(line) for line in ordered]

    def _step(self, line: Line) -> Said:
        process = self.processes.get(line.tid)
        if process is None:
            process = self.processes[line.tid] = Process({}, [self.start], {})
        path, path2 = self._paths(line, process)
        offset, size = self._range(line, process)
        is_ours = self._is_ours(line, process, [path, None if line.name in SYMLINKS else path2])
        outcome = (line.tid, line.name, max(line.result, 0), line.errno)
        said = Said(*outcome, path, path2, offset, size, is_ours, path in self.folders, line)
        if line.errno is None:
            self._take_effect(line, process, said)
        return said

    def _is_ours(self, line: Line, process: Process, named: list[str | None]) -> bool:
        """By what it names, also deep inside, as a message does; a close_range by what it closes."""
        if line.name == "close_range":
            first, last = line.number(0) or 0, line.number(1) or 0
            return any(each.is_ours for number, each in process.descriptors.items() if first <= number <= last)
        named += re.findall(r"\d<(/[^>]*)>", " ".join(line.arguments))
        return any(straces.within(name, self.root) for name in named)

    # Which file

    def _paths(self, line: Line, process: Process) -> tuple[str | None, str | None]:
        name = line.name
        if name in OPENS and line.path is not None and not line.says("O_TMPFILE"):
            return line.path, None
        if name in ("rename", "link"):
            old, new = (self._resolve(process, None, line.text(place), False) for place in (0, 1))
            return (old, new) if name == "rename" else (new, old)
        if name in ("renameat", "renameat2", "linkat"):
            old, new = (self._resolve(process, line.descriptor(at), line.text(at + 1), False) for at in (0, 2))
            return (new, old) if name == "linkat" else (old, new)
        if name in SYMLINKS:
            at = None if name == "symlink" else line.descriptor(1)
            return self._resolve(process, at, line.text(len(line.arguments) - 1), False), line.text(0)
        if name in FOLLOWING:
            return self._resolve(process, None, line.text(0), not line.says("O_NOFOLLOW")), None
        if name in NOT_FOLLOWING:
            return self._resolve(process, None, line.text(0), False), None
        if name in AT_FOLLOWING and line.text(1):
            stays = any(map(line.says, ("O_NOFOLLOW", "AT_SYMLINK_NOFOLLOW", "O_EXCL")))
            return self._resolve(process, line.descriptor(0), line.text(1), not stays), None
        if name in AT_NOT_FOLLOWING:
            return self._resolve(process, line.descriptor(0), line.text(1), False), None
        if name in ("msync", "munmap"):
            return process.maps.get(line.number(0) or 0), None
        return self._of_descriptors(line)

    def _of_descriptors(self, line: Line) -> tuple[str | None, str | None]:
        """Those below the root. Of a transfer the file written comes first; dup2 closes its second one."""
        places = {"sendfile": (0, 1), "splice": (2, 0), "copy_file_range": (2, 0), "mmap": (4,)}.get(line.name, (0, 1))
        found = [line.descriptor(place) for place in places]
        named = [each.path for each in found if each and straces.within(each.path, self.root)]
        both = (*named, None, None)
        return both[0], both[1] if line.name in TRANSFERS else None

    def _resolve(self, process: Process, at: object, text: str | None, follows: bool) -> str | None:
        if text is None:
            return None
        start = at.path if at is not None else process.directory[0]  # type: ignore[attr-defined]
        path = posixpath.normpath(posixpath.join(start, text)) if text else start
        for _ in range(MOST_LINKS):
            parts = path.split("/")
            for end in range(2, len(parts) + 1):
                link = "/".join(parts[:end])
                if link in self.links and (follows or end < len(parts)):
                    target = posixpath.join(posixpath.dirname(link), self.links[link])
                    path = posixpath.normpath(posixpath.join(target, *parts[end:]))
                    break
            else:
                break
        return path

    # Where in it, and how much

    def _range(self, line: Line, process: Process) -> tuple[int | None, int | None]:
        offset_at, size_at = RANGES.get(line.name, (None, None))
        offset = line.number(offset_at) if offset_at is not None else None
        size = line.number(size_at) if size_at is not None else None
        if line.name in ("readv", "writev", "preadv", "pwritev", "preadv2", "pwritev2"):
            lengths = re.findall(r"iov_len=(\d+)", line.argument(1))
            size = sum(map(int, lengths))
        opened = self._opened(line, process)
        if line.name in TRANSFERS:
            offset = self._place_of_transfer(line, process)
        elif opened and (line.name in AT_POSITION or (line.name in AT_PLACE_OR_POSITION and offset == -1)):
            offset = opened.position
        if opened and line.name in WRITES and (opened.appends or line.says("RWF_APPEND")):
            offset = opened.file.size
        return offset, size

    def _opened(self, line: Line, process: Process, place: int = 0) -> Description | None:
        found = line.descriptor(place)
        return process.descriptors.get(found.number) if found and found.number is not None else None

    def _ends(self, line: Line, process: Process) -> list[tuple[int | None, Description | None, str | None]]:
        """Of a transfer, read end first: the place that is told, the open file, and its path."""
        places = ((1, 2), (0, None)) if line.name == "sendfile" else ((0, 1), (2, 3))
        ends = []
        for fd, at in places:
            told = line.number(at) if at is not None else None
            found = line.descriptor(fd)
            ends.append((told, self._opened(line, process, fd), found.path if found else None))
        return ends

    def _place_of_transfer(self, line: Line, process: Process) -> int | None:
        """In the file that is the call's first."""
        for told, opened, path in reversed(self._ends(line, process)):
            if opened and straces.within(path, self.root):
                return told if told is not None else opened.position
        return None

    # What it changes

    def _take_effect(self, line: Line, process: Process, said: Said) -> None:
        if line.name in FORKS and line.result > 0:
            self.processes[line.result] = process.child(line)
        elif line.name in OPENS:
            self._open(line, process, said)
        elif line.name in TRANSFERS:
            self._transfer(line, process)
        elif line.name in READS | WRITES:
            self._moved(line, process, said)
        elif line.name in EFFECTS:
            EFFECTS[line.name](self, line, process, said)

    def _open(self, line: Line, process: Process, said: Said) -> None:
        nameless = line.says("O_TMPFILE")
        file = File() if nameless else self.files.setdefault(said.path or "", File())
        if line.says("O_TRUNC") or line.name == "creat":
            file.size = 0
        is_ours = straces.within(said.path, self.root)
        process.descriptors[line.result] = Description(file, line.says("O_APPEND"), is_ours)

    def _moved(self, line: Line, process: Process, said: Said) -> None:
        opened = self._opened(line, process)
        if opened is None or said.offset is None or opened.file.is_stream:
            return
        if line.name in AT_POSITION or line.number(3) == -1:
            opened.position = said.offset + line.result
        if line.name in WRITES and line.result:
            opened.file.size = max(opened.file.size, said.offset + line.result)

    def _transfer(self, line: Line, process: Process) -> None:
        for is_written, (told, opened, _) in enumerate(self._ends(line, process)):
            if opened is None:
                continue
            start = told if told is not None else opened.position
            if told is None:
                opened.position = start + line.result
            if is_written:
                opened.file.size = max(opened.file.size, start + line.result)

    def _sought(self, line: Line, process: Process, _: Said) -> None:
        if opened := self._opened(line, process):
            opened.position = line.result

    def _listed(self, line: Line, process: Process, _: Said) -> None:
        if (opened := self._opened(line, process)) and (ends := re.findall(r"d_off=(-?\d+)", line.argument(1))):
            opened.position = int(ends[-1])

    def _duplicated(self, line: Line, process: Process, _: Said) -> None:
        if opened := self._opened(line, process):
            process.descriptors[line.result] = opened

    def _controlled(self, line: Line, process: Process, said: Said) -> None:
        if line.argument(1).startswith("F_DUPFD"):
            self._duplicated(line, process, said)
        if line.argument(1) == "F_SETFL" and (opened := self._opened(line, process)):
            opened.appends = line.says("O_APPEND")

    def _resized(self, line: Line, process: Process, said: Said) -> None:
        opened = self._opened(line, process)
        file = opened.file if opened else self.files.setdefault(said.path or "", File())
        file.size = said.size or 0

    def _allocated(self, line: Line, process: Process, said: Said) -> None:
        if (opened := self._opened(line, process)) and not line.says("FALLOC_FL"):
            opened.file.size = max(opened.file.size, (said.offset or 0) + (said.size or 0))

    def _went(self, line: Line, process: Process, said: Said) -> None:
        process.directory[0] = said.path or process.directory[0]

    def _closed(self, line: Line, process: Process, _: Said) -> None:
        first = line.descriptor(0)
        numbers = range(line.number(0) or 0, (line.number(1) or 0) + 1) if line.name == "close_range" else range(0)
        for number in [*process.descriptors]:
            if number in numbers or (first and number == first.number):
                del process.descriptors[number]

    def _renamed(self, line: Line, _: Process, said: Said) -> None:
        old, new = str(said.path), str(said.path2)
        for table in (self.files, self.links, self.folders):
            moved = _taken(table, old)
            replaced = _taken(table, new)
            table.update({new + name[len(old) :]: one for name, one in moved.items()})
            if line.says("RENAME_EXCHANGE"):
                table.update({old + name[len(new) :]: one for name, one in replaced.items()})

    def _linked(self, line: Line, _: Process, said: Said) -> None:
        if said.path2 in self.files:
            self.files[str(said.path)] = self.files[said.path2]

    def _symlinked(self, line: Line, _: Process, said: Said) -> None:
        self.links[str(said.path)] = str(said.path2)

    def _removed(self, line: Line, _: Process, said: Said) -> None:
        self.files.pop(str(said.path), None)
        self.links.pop(str(said.path), None)
        self.folders.pop(str(said.path), None)

    def _made_folder(self, line: Line, _: Process, said: Said) -> None:
        self.folders[str(said.path)] = True

    def _mapped(self, line: Line, process: Process, said: Said) -> None:
        process.maps.pop(line.result, None)
        if said.path:
            process.maps[line.result] = said.path

    def _unmapped(self, line: Line, process: Process, _: Said) -> None:
        process.maps.pop(line.number(0) or 0, None)

    def _made_node(self, line: Line, _: Process, said: Said) -> None:
        self.files[str(said.path)] = File(is_stream=line.says("S_IFIFO"))

    def _sent(self, line: Line, process: Process, _: Said) -> None:
        """Descriptors in a message keep what they share."""
        for number, path in _passed(line):
            if number in process.descriptors:
                self.sent.append((path, process.descriptors[number]))

    def _received(self, line: Line, process: Process, _: Said) -> None:
        for number, path in _passed(line):
            place = next((at for at, one in enumerate(self.sent) if one[0] == path), None)
            if place is not None:
                process.descriptors[number] = self.sent.pop(place)[1]


def _taken(table: dict, path: str) -> dict:
    """What the table has at the path and below it, and no more has."""
    return {name: table.pop(name) for name in [*table] if straces.within(name, path)}


def _passed(line: Line) -> list[tuple[int, str]]:
    groups = re.findall(r"cmsg_data=\[([^\]]*)\]", line.argument(1))
    return [(int(number), path) for group in groups for number, path in re.findall(r"(\d+)<(/[^>]*)>", group)]


EFFECTS: dict[str, Callable[[Model, Line, Process, Said], None]] = {
    "lseek": Model._sought,
    "getdents64": Model._listed,
    "dup": Model._duplicated,
    "dup2": Model._duplicated,
    "dup3": Model._duplicated,
    "fcntl": Model._controlled,
    "ftruncate": Model._resized,
    "truncate": Model._resized,
    "fallocate": Model._allocated,
    "chdir": Model._went,
    "fchdir": Model._went,
    "rename": Model._renamed,
    "renameat": Model._renamed,
    "renameat2": Model._renamed,
    "link": Model._linked,
    "linkat": Model._linked,
    "symlink": Model._symlinked,
    "symlinkat": Model._symlinked,
    "unlink": Model._removed,
    "unlinkat": Model._removed,
    "rmdir": Model._removed,
    "mkdir": Model._made_folder,
    "mkdirat": Model._made_folder,
    "close": Model._closed,
    "close_range": Model._closed,
    "mmap": Model._mapped,
    "munmap": Model._unmapped,
    "mknod": Model._made_node,
    "mknodat": Model._made_node,
    "sendmsg": Model._sent,
    "recvmsg": Model._received,
}
