"""The real RocksDB and the real PostgreSQL at work on a mount for some seconds, for whoever looks at what their trace becomes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glassfs.families import postgresql
from glassfs.families.names import save
from support import places, recorder
from support.needs import require
from support.people import person
from support.postgres import Cluster, programs

NAMES = ("rocksdb", "postgresql")


@contextmanager
def traced(name: str) -> Iterator[Path]:
    """The trace of one of `NAMES`. Names of PostgreSQL's tables go to where XDG_STATE_HOME says."""
    with places.public_folder() as public, places.loop_ext4(public, megabytes=1024) as disk:
        (disk / "source").mkdir(mode=0o755)
        (public / "mnt").mkdir()
        {"rocksdb": _run_rocksdb, "postgresql": _run_postgresql}[name](disk / "source", public / "mnt", public)
        yield public / "trace"


def _run_rocksdb(source: Path, mount_point: Path, public: Path) -> None:
    require("db_bench")
    with recorder.mounted(source, mount_point, public / "trace"):
        words = [f"--db={mount_point}/db", "--num=2500", "--value_size=400", "--write_buffer_size=150000", "--sync=1"]
        words += ["--threads=2", "--level0_file_num_compaction_trigger=2", "--open_files=50", "--cache_size=100000"]
        places.run("db_bench", "--benchmarks=fillrandom,readrandom", *words, timeout=200)
        (mount_point / "db/notes.txt").write_text("kept")
        (mount_point / "db/notes.txt").unlink()


def _run_postgresql(source: Path, mount_point: Path, public: Path) -> None:
    programs()
    owner = person("postgres")
    (public / "scratch").mkdir()
    for place in (source, public / "scratch"):
        os.chown(place, owner.uid, owner.gid)
    with recorder.mounted(source, mount_point, public / "trace"):
        cluster = Cluster(mount_point / "data", public / "scratch")
        cluster.initialise()
        cluster.start()
        cluster.bench("-i", "-s", "1", "-q")
        cluster.bench("-c", "2", "-t", "100")
        save(postgresql.ask(f"host={cluster.scratch} user={owner.name} dbname=postgres"))
        cluster.stop()
