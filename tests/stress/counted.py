"""Calls of many kinds from several threads, each counted by whoever makes it: [[op, errno, count, bytes], ...] as JSON.

counted.py DIRECTORY THREADS ROUNDS
"""

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable

MOVE_DATA = ("read", "write")


class Worker:
    def __init__(self, directory: str, number: int) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()
        self.bytes: Counter[tuple[str, int]] = Counter()
        self.number = number
        self.directory = self.call("open", os.open, directory, os.O_RDONLY | os.O_DIRECTORY)
        file = f"{directory}/f{number}"
        self.both = self.call("create", os.open, file, os.O_RDWR | os.O_CREAT, 0o600)
        self.call("write", os.pwrite, self.both, b"x" * 8192, 0)
        self.readable = self.call("open", os.open, file, os.O_RDONLY)
        self.writable = self.call("open", os.open, file, os.O_WRONLY)
        self.pipe = os.pipe()

    def call(self, op: str, function: Callable[..., object], *arguments: object, **named: object) -> int:
        result, error = 0, 0
        try:
            result = function(*arguments, **named)
        except OSError as cause:
            error = cause.errno or 0
        self.counts[op, error] += 1
        moved = result if isinstance(result, int) else len(result or b"")  # type: ignore[arg-type]
        self.bytes[op, error] += moved if op in MOVE_DATA else 0
        return moved

    def run(self, rounds: int) -> None:
        for turn in range(rounds):
            self.data(turn)
            if turn % 10 == 0:
                self.names()

    def data(self, turn: int) -> None:
        self.call("read", os.pread, self.readable, 100, turn % 9000)
        self.call("read", os.pread, self.both, 4096, 1 << 20)
        self.call("read", os.preadv, self.both, [bytearray(7), bytearray(turn % 50 + 1)], 0)
        self.call("read", os.pread, self.writable, 1, 0)
        self.call("write", os.pwrite, self.writable, b"y" * (turn % 200 + 1), turn % 4096)
        self.call("write", os.pwritev, self.both, [b"z", b"zz"], 4096)
        self.call("write", os.pwrite, self.readable, b"no", 0)
        # To a file of the mount's a transfer is a write, from one to elsewhere a read.
        self.call("write", os.sendfile, self.both, self.readable, 0, 10)
        if self.call("read", os.splice, self.readable, self.pipe[1], 20, offset_src=0):
            os.read(self.pipe[0], 20)
        self.call("lseek", os.lseek, self.both, 0, os.SEEK_CUR)

    def names(self) -> None:
        name = f"d{self.number}"
        self.call("mkdir", os.mkdir, name, dir_fd=self.directory)
        self.call("unlink", os.unlink, name, dir_fd=self.directory)
        self.call("rmdir", os.rmdir, name, dir_fd=self.directory)
        self.call("open", os.open, "missing", os.O_RDONLY, dir_fd=self.directory)
        os.close(self.call("open", os.open, f"f{self.number}", os.O_RDONLY, dir_fd=self.directory))
        self.counts["close", 0] += 1


def main() -> None:
    directory, threads, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    workers = [Worker(directory, number) for number in range(threads)]
    running = [threading.Thread(target=worker.run, args=(rounds,)) for worker in workers]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    counts = sum((worker.counts for worker in workers), Counter())
    moved = sum((worker.bytes for worker in workers), Counter())
    print(json.dumps(sorted([op, error, count, moved[op, error]] for (op, error), count in counts.items())))


if __name__ == "__main__":
    main()
