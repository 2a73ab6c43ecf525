"""Where the kernel plane's trace may differ from what strace shows, and why: each is looked for exactly, and must be met where
it is named."""

from support import straces
from support.equality import Difference, Unseen, is_about
from support.strace_model import Said

VECTORS = {"readv", "writev", "preadv", "pwritev", "preadv2", "pwritev2"}


def is_above(path: str | None, other: str | None) -> bool:
    return path != other and straces.within(other, str(path))


# What the trace has not, since the call causes no request and carries no descriptor of the mount's among its arguments.
OF_MAPS = Unseen("a call on a map names no file", lambda said: said.name == "munmap")
MESSAGES = Unseen("a descriptor that is passed on in a message", lambda said: said.name in ("sendmsg", "recvmsg"))
REFUSED = Unseen(
    "refused before any name was looked up",
    lambda said: (said.name, said.errno) == ("truncate", "EINVAL") and (said.size or 0) >= 1 << 63,
)
NOT_REACHED = Unseen(
    "its first name is missing, elsewhere", lambda said: said.name == "link" and str(said.path2).endswith("/none")
)
CLOSED_RANGE = Unseen(
    "close_range carries no descriptor, and no close is a request", lambda said: said.name == "close_range"
)


def is_answered_from_a_cached_entry(said: Said) -> bool:
    """Without `--exact` a folder's entry and attributes are good for 20 ms. Of two names on two filesystems nothing else is
    looked at."""
    named = [said.line.descriptor(place) for place in (0, 2)]
    by_descriptor = any(each and each.number is not None for each in named)
    return not by_descriptor and (said.is_folder or (said.name, said.errno) == ("rename", "EXDEV"))


# What differs in a column.
MANY_BUFFERS = Difference(
    "of more than 64 buffers the size is not added up",
    lambda said, seen, column: (
        column == "size" and seen.size is None and said.name in VECTORS and said.line.argument(1).count("iov_len=") > 64
    ),
)
ONE_NAME = Difference(
    "of two names the second is not looked up where the first is missing",
    lambda said, seen, column: (
        said.errno == "ENOENT"
        and (
            (said.name == "rename" and column == "path2" and seen.path2 is None)
            or (said.name == "link" and column == "path2" and seen.path2 is None)
            or (said.name == "link" and column == "path" and seen.path == said.path2)
        )
    ),
)
NO_FOLDER = Difference(
    "where a folder is missing, what was looked up last",
    lambda said, seen, column: (
        column == "path"
        and said.errno in ("ENOENT", "ENOTDIR")
        and any(is_above(seen.path, name) for name in (said.path, said.path2))
    ),
)
ELSEWHERE = Difference(
    "of two names on two filesystems only the folders are looked up",
    lambda said, seen, column: (
        said.errno == "EXDEV"
        and said.name == "rename"
        and (
            seen.path2 is None
            if column == "path2"
            else any(is_above(seen.path, name) for name in (said.path, said.path2))
        )
    ),
)
REFUSED_TARGET = Difference(
    "the target of a symlink that was refused",
    lambda said, seen, column: (said.name, column, seen.path2) == ("symlink", "path2", None) and said.errno is not None,
)
TOLD_TO_APPEND = Difference(
    "where a single write was told to append (RWF_APPEND)",
    lambda said, seen, column: column == "offset" and seen.offset is None and said.line.says("RWF_APPEND"),
)
NAMELESS = Difference(
    "a file that was made without a name has none",
    lambda said, seen, column: column == "path" and seen.path is None and str(said.path).endswith("//"),
)
OTHER_NAME = Difference(
    "without --exact another of its names or a folder above it, where only that had to be asked for",
    lambda said, seen, column: (
        said.is_folder and (is_about(said, seen.path) if column == "path" else column == "path2" and seen.path2 is None)
    ),
)
