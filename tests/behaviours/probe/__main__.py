"""Observes how a directory behaves, one line each: `name<TAB>result`, the same on every run of the same filesystem.

    python3 tests/behaviours/probe DIR [--only NAME ...] [--group plain|full] [--list]

Standalone (standard library only), as root or an ordinary user; it knows nothing of glassfs. Two directories are
alike when their outputs are. Group `full` wants a directory on a small filesystem that it may fill.
"""

import argparse
import os
import sys
from pathlib import Path

import kit

FAMILIES = (
    "identity",
    "acl",
    "set_bits",
    "data",
    "direct",
    "mapping",
    "space",
    "opening",
    "names",
    "renames",
    "folders",
    "listing",
    "attributes",
    "extended",
    "locks",
    "special",
    "racing",
    "full",
)


def main() -> int:
    parser = argparse.ArgumentParser(description="observe how a directory behaves")
    parser.add_argument("directory", type=Path, nargs="?")
    parser.add_argument("--only", nargs="*", default=[], help="only these behaviours")
    parser.add_argument("--group", default="plain", choices=["plain", "full"])
    parser.add_argument("--list", action="store_true", help="print the names that would run")
    arguments = parser.parse_args()
    for family in FAMILIES:
        __import__(family)
    chosen = kit.chosen(arguments.group, arguments.only, is_root=os.geteuid() == 0)
    if arguments.list:
        print("\n".join(one.name for one in chosen))
        return 0
    if arguments.directory is None:
        parser.error("a directory to observe is needed")
    os.umask(0o022)
    for one in chosen:
        print(f"{one.name}\t{kit.observe(one, arguments.directory)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
