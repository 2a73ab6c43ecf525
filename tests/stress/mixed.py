"""Mixed file calls from several processes in one shared directory, for a number of steps each; seeded.

    mixed.py DIRECTORY SEED PROCESSES STEPS

Unlike a benchmark it meets its own files: names are few, so processes rename, replace, truncate, map and unlink under
each other. Errors are part of it. What counts is what lies there afterwards, seen from both sides of a mount.
"""

import contextlib
import ctypes
import mmap
import os
import random
import sys
from pathlib import Path

NAMES = 40
LIBC = ctypes.CDLL(None, use_errno=True)


class Worker:
    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self.random = random.Random(seed)
        self.held: list[int] = []

    def name(self) -> str:
        folder = self.random.choice(["", "a/", "a/b/", "c/"])
        return str(self.directory / f"{folder}n{self.random.randrange(NAMES)}")

    def step(self) -> None:
        actions = [
            self.write,
            self.write,
            self.append,
            self.truncate,
            self.map,
            self.read,
            self.allocate,
            self.unlink,
            self.rename,
            self.exchange,
            self.link,
            self.symlink,
            self.mkdir,
            self.rmdir,
            self.chmod,
            self.chown,
            self.times,
            self.attribute,
            self.fifo,
            self.hold,
            self.list,
            self.copy,
            self.direct,
            self.nameless,
        ]
        with contextlib.suppress(OSError, ValueError):
            self.random.choice(actions)()

    def opened(self, flags: int) -> int:
        return os.open(self.name(), flags | os.O_NONBLOCK | os.O_NOFOLLOW, 0o644)

    def write(self) -> None:
        descriptor = self.opened(os.O_RDWR | os.O_CREAT)
        with contextlib.closing(os.fdopen(descriptor, "r+b", 0)) as stream:
            for _ in range(self.random.randrange(1, 6)):
                stream.seek(self.random.randrange(200_000))
                stream.write(self.random.randbytes(self.random.randrange(1, 30_000)))
            if self.random.random() < 0.2:
                os.fsync(descriptor)

    def append(self) -> None:
        descriptor = self.opened(os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.writev(descriptor, [self.random.randbytes(100), self.random.randbytes(1000)])
        os.close(descriptor)

    def truncate(self) -> None:
        os.truncate(self.name(), self.random.randrange(300_000))

    def map(self) -> None:
        descriptor = self.opened(os.O_RDWR)
        with contextlib.closing(mmap.mmap(descriptor, 0)) as area:
            at = self.random.randrange(len(area))
            area[at : at + 1] = self.random.randbytes(1)
            # A store reaches the directory below with msync: behind FUSE direct I/O a map has pages of its own.
            area.flush()
        os.close(descriptor)

    def read(self) -> None:
        descriptor = self.opened(os.O_RDONLY)
        os.pread(descriptor, 50_000, self.random.randrange(100_000))
        os.close(descriptor)

    def allocate(self) -> None:
        descriptor = self.opened(os.O_RDWR)
        mode = self.random.choice([0, 1, 3, 16, 17])
        LIBC.fallocate(
            descriptor,
            mode,
            ctypes.c_int64(self.random.randrange(100_000)),
            ctypes.c_int64(self.random.randrange(1, 100_000)),
        )
        os.close(descriptor)

    def unlink(self) -> None:
        os.unlink(self.name())

    def rename(self) -> None:
        os.rename(self.name(), self.name())

    def exchange(self) -> None:
        LIBC.renameat2(-100, self.name().encode(), -100, self.name().encode(), self.random.choice([1, 2]))

    def link(self) -> None:
        os.link(self.name(), self.name(), follow_symlinks=False)

    def symlink(self) -> None:
        os.symlink("t" * self.random.randrange(1, 200), self.name())

    def mkdir(self) -> None:
        os.mkdir(self.name(), self.random.choice([0o755, 0o2775, 0o1777]))

    def rmdir(self) -> None:
        os.rmdir(self.name())

    def chmod(self) -> None:
        os.chmod(self.name(), self.random.choice([0o644, 0o600, 0o755, 0o4755, 0o2755]))

    def chown(self) -> None:
        os.chown(self.name(), self.random.randrange(3), self.random.randrange(3), follow_symlinks=False)

    def times(self) -> None:
        os.utime(
            self.name(), ns=(self.random.randrange(1 << 60), self.random.randrange(1 << 60)), follow_symlinks=False
        )

    def attribute(self) -> None:
        os.setxattr(self.name(), f"user.x{self.random.randrange(4)}", self.random.randbytes(50), follow_symlinks=False)

    def fifo(self) -> None:
        os.mkfifo(self.name(), 0o600)

    def hold(self) -> None:
        """Keeps some files open beyond their names' lives, and writes to one of them."""
        self.held.append(self.opened(os.O_RDWR))
        if len(self.held) > 10:
            os.close(self.held.pop(0))
        os.pwrite(self.random.choice(self.held), b"held", self.random.randrange(1000))

    def list(self) -> None:
        for name in os.listdir(self.directory / "a"):
            os.lstat(self.directory / "a" / name)

    def copy(self) -> None:
        source, target = self.opened(os.O_RDONLY), self.opened(os.O_WRONLY | os.O_CREAT)
        os.copy_file_range(source, target, 40_000, self.random.randrange(1000), self.random.randrange(1000))
        os.close(source)
        os.close(target)

    def direct(self) -> None:
        descriptor = self.opened(os.O_RDWR | os.O_DIRECT | os.O_CREAT)
        area = mmap.mmap(-1, 8192)
        area.write(self.random.randbytes(8192))
        os.pwritev(descriptor, [area], self.random.randrange(20) * 4096)
        os.close(descriptor)

    def nameless(self) -> None:
        descriptor = os.open(self.directory / "a", os.O_TMPFILE | os.O_RDWR, 0o640)
        os.write(descriptor, self.random.randbytes(5000))
        os.link(f"/proc/self/fd/{descriptor}", self.name(), follow_symlinks=True)
        os.close(descriptor)


def main() -> None:
    directory, seed, processes, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    for folder in ("a/b", "c"):
        os.makedirs(directory / folder, exist_ok=True)
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            worker = Worker(directory, seed * 100 + number)
            for _ in range(steps):
                worker.step()
            os._exit(0)
        children.append(child)
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))


if __name__ == "__main__":
    main()
