"""Asks again and again for what was just asked, of a folder and of a file in it: folders.py DIRECTORY."""

import os
import sys
from pathlib import Path

from family import tried

ROUNDS = 60


def main() -> None:
    folder = Path(sys.argv[1]) / "folder"
    os.mkdir(folder)
    file = folder / "file"
    file.touch()
    for _ in range(ROUNDS):
        os.stat(folder)
        os.stat(file)
        os.access(folder, os.R_OK)
        os.access(file, os.R_OK)
        os.chdir(folder)
        os.chdir("/")
        os.close(os.open(folder, os.O_PATH))
        os.close(os.open(file, os.O_RDONLY))
        tried(os.stat, folder / "none")
        tried(os.unlink, folder)
        tried(os.mkdir, folder)
        tried(os.truncate, folder, 0)
        tried(os.open, folder, os.O_WRONLY)
    os._exit(0)


if __name__ == "__main__":
    main()
