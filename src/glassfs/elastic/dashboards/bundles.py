"""The two bundles as NDJSON, and which of them a server takes."""

from __future__ import annotations

from pathlib import Path

from glassfs.elastic.dashboards import classic, lens
from glassfs.elastic.dashboards.boards import ALL
from glassfs.elastic.dashboards.saved import Json, ndjson
from glassfs.errors import EnvironmentProblem

CLASSIC, LENS = "classic", "lens"
# The first Kibana that knows the marks of our Lens panels.
LENS_SINCE = (8, 9)
FIRST = ALL[0].id


def objects(name: str) -> list[Json]:
    return {CLASSIC: classic.objects, LENS: lens.objects}[name]()


def export(folder: Path) -> list[Path]:
    """Writes both files, replacing older ones."""
    written = []
    for name in (CLASSIC, LENS):
        path = folder / f"{name}.ndjson"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(ndjson(objects(name)), encoding="utf-8")
        except OSError as problem:
            raise EnvironmentProblem(f"cannot write the dashboards ({problem.strerror})", where=str(path)) from problem
        written.append(path)
    return written
