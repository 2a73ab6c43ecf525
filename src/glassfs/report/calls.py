"""One event as one line, much as strace would print a call, in the words of its plane: a lookup stays a lookup."""

from __future__ import annotations

from collections.abc import Callable

from glassfs import errnos
from glassfs.query.events import Event
from glassfs.report.numbers import latency, time_of_day
from glassfs.report.text import PLAIN, Paint, safe

# include/uapi/asm-generic/fcntl.h, octal. Compound flags come before those that they contain.
_ACCESS = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")
_OPEN_FLAGS = (
    (0o20200000, "O_TMPFILE"),
    (0o4010000, "O_SYNC"),
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o10000, "O_DSYNC"),
    (0o40000, "O_DIRECT"),
    (0o200000, "O_DIRECTORY"),
    (0o400000, "O_NOFOLLOW"),
    (0o1000000, "O_NOATIME"),
    (0o10000000, "O_PATH"),
)
# The kernel's own marks (O_LARGEFILE, FMODE_EXEC, O_CLOEXEC) say nothing about what the program asked for.
_SILENT_FLAGS = 0o100000 | 0o40 | 0o2000000

_RENAME_FLAGS = ((1, "RENAME_NOREPLACE"), (2, "RENAME_EXCHANGE"), (4, "RENAME_WHITEOUT"))
_FALLOCATE_FLAGS = (
    (1, "FALLOC_FL_KEEP_SIZE"),
    (2, "FALLOC_FL_PUNCH_HOLE"),
    (8, "FALLOC_FL_COLLAPSE_RANGE"),
    (16, "FALLOC_FL_ZERO_RANGE"),
    (32, "FALLOC_FL_INSERT_RANGE"),
    (64, "FALLOC_FL_UNSHARE_RANGE"),
)
_WHENCE = ("SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_DATA", "SEEK_HOLE")
_XATTR_FLAGS = ((1, "XATTR_CREATE"), (2, "XATTR_REPLACE"))


def line(event: Event, paint: Paint = PLAIN) -> str:
    """`14:03:22.123456 db_bench/4711 read("/db/000012.sst", 4096, @81920) = 4096 <9.1us>`."""
    call = f"{safe(event.op)}({', '.join(_arguments(event))})"
    if event.errno:
        outcome = paint.bad(f"-1 {errnos.name_of(event.errno)}")
    else:
        outcome = "?" if event.result is None else str(event.result)
    return (
        f"{paint.dim(time_of_day(event.ts_ns))} {_who(event)} {call} = {outcome} "
        f"{paint.dim(f'<{latency(event.duration_ns)}>')}"
    )


def _who(event: Event) -> str:
    if event.comm is None:
        return "kernel" if event.origin == "kernel" else f"?/{event.tid if event.tid is not None else '?'}"
    return f"{safe(event.comm)}/{event.tid if event.tid is not None else event.pid}"


def _arguments(event: Event) -> list[str]:
    names = [_quoted(event.path)]
    if event.path2 is not None:
        names.append(_quoted(event.path2))
    return names + [text for text in _MORE.get(event.op, _range)(event) if text]


def _quoted(name: str | None) -> str:
    if name is None:
        return "?"
    return '"' + safe(name).replace('"', '\\"') + '"'


def _range(event: Event) -> list[str]:
    """How much, and where in the file."""
    return [
        "" if event.size is None else str(event.size),
        "" if event.offset is None else f"@{event.offset}",
    ]


def _opening(event: Event) -> list[str]:
    return [_open_flags(event.flags), _mode(event.mode) if event.op in ("create", "tmpfile") else ""]


def _open_flags(flags: int | None) -> str:
    if flags is None:
        return ""
    return "|".join([_ACCESS[flags & 3], *_names(flags & ~3 & ~_SILENT_FLAGS, _OPEN_FLAGS)])


def _names(flags: int, known: tuple[tuple[int, str], ...]) -> list[str]:
    found = []
    for bits, name in known:
        if flags & bits == bits:
            found.append(name)
            flags &= ~bits
    return [*found, hex(flags)] if flags else found


def _mode(mode: int | None) -> str:
    return "" if mode is None else f"{mode & 0o7777:04o}"


def _with_mode(event: Event) -> list[str]:
    return [_mode(event.mode)]


def _with_size(event: Event) -> list[str]:
    return ["" if event.size is None else str(event.size)]


def _with_flags(known: tuple[tuple[int, str], ...]) -> Callable[[Event], list[str]]:
    return lambda event: ["|".join(_names(event.flags, known)) if event.flags else ""]


def _allocating(event: Event) -> list[str]:
    return [*_with_flags(_FALLOCATE_FLAGS)(event), *_range(event)]


def _seeking(event: Event) -> list[str]:
    whence = ""
    if event.flags is not None:
        whence = _WHENCE[event.flags] if 0 <= event.flags < len(_WHENCE) else str(event.flags)
    return ["" if event.offset is None else str(event.offset), whence]


def _commanding(event: Event) -> list[str]:
    return ["" if event.flags is None else hex(event.flags)]


def _nothing(_event: Event) -> list[str]:
    return []


# What stands behind the names, by op; others show size and offset where there are any.
_MORE: dict[str, Callable[[Event], list[str]]] = {
    **dict.fromkeys(("open", "create", "tmpfile", "opendir"), _opening),
    **dict.fromkeys(("mkdir", "mknod", "chmod"), _with_mode),
    **dict.fromkeys(("truncate", "getxattr", "listxattr"), _with_size),
    **dict.fromkeys(("release", "releasedir", "flush", "fsync", "fdatasync", "fsyncdir", "lookup"), _nothing),
    "rename": _with_flags(_RENAME_FLAGS),
    "setxattr": _with_flags(_XATTR_FLAGS),
    "fallocate": _allocating,
    "lseek": _seeking,
    "ioctl": _commanding,
}
