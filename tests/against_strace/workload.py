"""A seeded mix of file calls in several processes, each in its own corner of a directory; deterministic per seed.

    workload.py DIRECTORY SEED PROCESSES STEPS

Every creation uses O_EXCL and every transfer of the `small` files fits one FUSE request, so that calls and requests can
be counted against each other; `large` files have transfers that cannot fit one.
"""

import contextlib
import os
import random
import sys
from pathlib import Path

LARGE = 3 * 1024 * 1024 + 777
CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR


class Corner:
    """One process's files and what it may do next."""

    def __init__(self, place: Path, seed: int) -> None:
        self.place = place
        self.random = random.Random(seed)
        self.files: list[Path] = []
        self.made = 0

    def fresh(self, kind: str) -> Path:
        self.made += 1
        return self.place / f"{kind}-{self.made}"

    def step(self) -> None:
        actions = [
            self.create,
            self.write,
            self.write,
            self.read,
            self.read,
            self.sync,
            self.rename,
            self.unlink,
            self.folder,
            self.link,
            self.attribute,
            self.fail,
        ]
        with contextlib.suppress(OSError):
            self.random.choice(actions)()

    def _any(self) -> Path:
        return self.random.choice(self.files) if self.files else self.place / "nothing"

    def create(self) -> None:
        path = self.fresh("small")
        descriptor = os.open(path, CREATE, 0o644)
        os.write(descriptor, self.random.randbytes(self.random.randrange(1, 9000)))
        os.close(descriptor)
        self.files.append(path)

    def write(self) -> None:
        descriptor = os.open(self._any(), os.O_RDWR)
        if self.random.random() < 0.3:
            os.writev(descriptor, [self.random.randbytes(700), self.random.randbytes(900)])
        else:
            os.pwrite(
                descriptor, self.random.randbytes(self.random.randrange(1, 60_000)), self.random.randrange(100_000)
            )
        os.close(descriptor)

    def read(self) -> None:
        descriptor = os.open(self._any(), os.O_RDONLY)
        while os.read(descriptor, self.random.randrange(1, 50_000)):
            pass
        os.pread(descriptor, 100, self.random.randrange(1000))
        os.close(descriptor)

    def sync(self) -> None:
        descriptor = os.open(self._any(), os.O_RDWR)
        os.write(descriptor, b"synced")
        (os.fsync if self.random.random() < 0.5 else os.fdatasync)(descriptor)
        os.close(descriptor)

    def rename(self) -> None:
        old, new = self._any(), self.fresh("renamed")
        os.rename(old, new)
        self.files[self.files.index(old)] = new

    def unlink(self) -> None:
        path = self._any()
        os.unlink(path)
        self.files.remove(path)

    def folder(self) -> None:
        path = self.fresh("folder")
        os.mkdir(path)
        os.symlink("somewhere", path / "symlink")
        if self.random.random() < 0.5:
            os.unlink(path / "symlink")
            os.rmdir(path)

    def link(self) -> None:
        """Two names of one file differ by a `+` only: by which of them an access is known is not decided here."""
        path = self.fresh("linked")
        descriptor = os.open(path, CREATE, 0o644)
        os.link(path, f"{path}+")
        os.write(descriptor, b"by its first name")
        os.close(descriptor)
        descriptor = os.open(f"{path}+", os.O_RDWR)
        os.read(descriptor, 9)
        os.close(descriptor)

    def attribute(self) -> None:
        path = self._any()
        os.setxattr(path, "user.glass", self.random.randbytes(30))
        os.getxattr(path, "user.glass")
        os.listxattr(path)
        if self.random.random() < 0.5:
            os.removexattr(path, "user.glass")

    def fail(self) -> None:
        action = self.random.choice(
            [os.rmdir, os.unlink, os.stat, lambda path: os.open(path, os.O_RDONLY), lambda path: os.mkdir(self.place)]
        )
        action(self.place / "nothing")

    def large(self) -> None:
        descriptor = os.open(self.fresh("large"), CREATE, 0o644)
        os.write(descriptor, self.random.randbytes(LARGE))
        os.lseek(descriptor, 5, os.SEEK_SET)
        while os.read(descriptor, LARGE):
            pass
        os.close(descriptor)


def main() -> None:
    directory, seed, processes, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            place = directory / f"corner-{number}"
            os.mkdir(place)
            corner = Corner(place, seed * 1000 + number)
            for _ in range(steps):
                corner.step()
            corner.large()
            os._exit(0)
        children.append(child)
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))


if __name__ == "__main__":
    main()
