"""Everything that can be known of a tree, as lines: two views of the same tree must give the same ones.

    inventory.py DIRECTORY

Standalone, so that a test can run it with a deadline: a dead mount hangs whoever touches it.
"""

import hashlib
import os
import stat
import sys


def lines(top: str) -> list[str]:
    root = os.fsencode(top)
    found = []
    for folder, folders, files in os.walk(root):
        for name in [b".", *folders, *files]:
            path = os.path.join(folder, name)
            found.append(os.path.relpath(path, root).decode("utf-8", "backslashreplace") + " " + " ".join(_facts(path)))
    return sorted(set(found))


def _facts(path: bytes) -> list[str]:
    one = os.lstat(path)
    facts = [
        f"ino={one.st_ino}",
        f"mode={one.st_mode:o}",
        f"links={one.st_nlink}",
        f"owner={one.st_uid}:{one.st_gid}",
        f"size={one.st_size}",
        f"blocks={one.st_blocks}",
        f"rdev={one.st_rdev}",
        f"mtime={one.st_mtime_ns}",
        f"ctime={one.st_ctime_ns}",
    ]
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        facts.append(f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}")
    if stat.S_ISLNK(one.st_mode):
        facts.append("to=" + os.readlink(path).hex())
    if stat.S_ISREG(one.st_mode):
        with open(path, "rb") as stream:
            facts.append("sha=" + hashlib.file_digest(stream, "sha1").hexdigest())
    return facts


if __name__ == "__main__":
    print("\n".join(lines(sys.argv[1])))
