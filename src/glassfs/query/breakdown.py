"""Questions about who and where: files, threads, paths of errors. Always from the stored events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glassfs import errnos
from glassfs.query.answers import ErrorRow, FamilyRow, FileRow, PathCount, ThreadRow
from glassfs.query.asked import Asked
from glassfs.query.histogram import BUCKET_SQL
from glassfs.query.totals import Tally, added

READ_SQL = "case when op = 'read' and errno = 0 then greatest(result, 0) else 0 end"
WRITTEN_SQL = "case when op in ('write', 'copy_file_range') and errno = 0 then greatest(result, 0) else 0 end"

# By what files and threads can be ordered, and the aggregate that is.
SORTS = {
    "count": "count(*)",
    "time": "sum(duration_ns)",
    "read": f"sum({READ_SQL})",
    "written": f"sum({WRITTEN_SQL})",
    "errors": "count(*) filter (errno <> 0)",
}

# Example paths an error is shown with.
EXAMPLES = 3

# Up to so many events paths are ranked as they are, and equals come by name. Beyond, by their hash: twice as fast where
# there are very many paths. The second question is by the paths themselves, so a collision only adds a candidate.
RANK_BY_NAME_EVENTS = 2_000_000

_TOP_PATHS = """
    select {key} as key, {sort} as measure from events where path is not null and {where}
    group by key order by measure desc, count(*) desc, key limit {limit}"""

# What `figures` takes: one row for each latency bucket of a thing.
FIGURES_SQL = f"""{BUCKET_SQL} as bucket, count(*), sum(duration_ns)::bigint, count(*) filter (errno <> 0),
    min(duration_ns), max(duration_ns), coalesce(sum({READ_SQL}), 0)::bigint, coalesce(sum({WRITTEN_SQL}), 0)::bigint"""

_OF_PATHS = """
    select path, {figures}
    from events where path is not null and {key} in ({marks}) and {where}
    group by path, bucket"""


def files(asked: Asked, *, sort: str, limit: int) -> tuple[FileRow, ...]:
    stored = sum(segment.rows for segment in asked.database.segments("events"))
    key, mark = ("path", "?") if stored <= RANK_BY_NAME_EVENTS else ("hash(path)", "?::ubigint")
    ranking = _TOP_PATHS.format(key=key, where=asked.where, sort=SORTS[sort], limit=limit)
    keys = [value for value, _ in asked.rows(ranking, asked.values)]
    if not keys:
        return ()
    marks = ", ".join([mark] * len(keys))
    sql = _OF_PATHS.format(figures=FIGURES_SQL, where=asked.where, key=key, marks=marks)
    parts: dict[str, list[tuple[Any, ...]]] = {}
    for path, *numbers in asked.rows(sql, [*keys, *asked.values]):
        parts.setdefault(path, []).append(tuple(numbers))
    rows = [FileRow(path=path, **figures(those)) for path, those in parts.items()]
    return tuple(sorted(rows, key=lambda row: (-measure(row, sort), -row.count, row.path))[:limit])


def figures(parts: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """The numbers of a row of answers. `parts`: one for each bucket, in the order of `FIGURES_SQL`."""
    whole = added(
        Tally(count, 0, time_ns, errors, low, high, {bucket: count})
        for bucket, count, time_ns, errors, low, high, _, _ in parts
    )
    latency = whole.latency()
    assert latency is not None
    return {
        "count": whole.count,
        "time_ns": whole.time_ns,
        "read_bytes": sum(part[6] for part in parts),
        "written_bytes": sum(part[7] for part in parts),
        "errors": whole.errors,
        "latency": latency,
    }


def measure(row: FileRow | FamilyRow, sort: str) -> int:
    """What the row is ordered by, as `SORTS` names it."""
    return {
        "count": row.count,
        "time": row.time_ns,
        "read": row.read_bytes,
        "written": row.written_bytes,
        "errors": row.errors,
    }[sort]


_THREADS = """
    select pid, tid, comm, count(*), sum(duration_ns)::bigint, coalesce(sum({read}), 0)::bigint,
           coalesce(sum({written}), 0)::bigint, count(*) filter (errno <> 0)
    from events where {where}
    group by pid, tid, comm order by {sort} desc, count(*) desc, pid, tid, comm limit {limit}"""

# The newest row of each process' first thread. A pid that was used twice shows the later one.
_PROCESSES = """
    select pid, arg_max(comm, ts_ns), arg_max(cmdline, ts_ns) from processes where pid = tid and pid in ({pids})
    group by pid"""


def threads(asked: Asked, *, sort: str, limit: int) -> tuple[ThreadRow, ...]:
    sql = _THREADS.format(read=READ_SQL, written=WRITTEN_SQL, where=asked.where, sort=SORTS[sort], limit=limit)
    rows = asked.rows(sql, asked.values)
    pids = sorted({row[0] for row in rows if row[0] is not None})
    names = {}
    if pids:
        found = asked.rows(_PROCESSES.format(pids=", ".join(map(str, pids))))
        names = {pid: (comm, cmdline) for pid, comm, cmdline in found}
    return tuple(
        ThreadRow(pid, tid, names.get(pid, (None, None))[0], comm, names.get(pid, (None, None))[1], *numbers)
        for pid, tid, comm, *numbers in rows
    )


_EXAMPLES = """
    select op, errno, path, amount from (
        select op, errno, path, count(*) as amount,
               row_number() over (partition by op, errno order by count(*) desc, path) as place
        from events where errno <> 0 and path is not null and {where} group by op, errno, path)
    where place <= {examples}"""


def errors(asked: Asked, counts: Sequence[tuple[str, int, int]]) -> tuple[ErrorRow, ...]:
    """`counts` from the totals, with the paths that the stored events name."""
    if not counts:
        return ()
    examples: dict[tuple[str, int], list[PathCount]] = {}
    for op, errno, path, amount in asked.rows(_EXAMPLES.format(where=asked.where, examples=EXAMPLES), asked.values):
        examples.setdefault((op, errno), []).append(PathCount(path, amount))
    return tuple(
        ErrorRow(
            op=op,
            errno=errno,
            errno_name=errnos.name_of(errno),
            count=count,
            examples=tuple(sorted(examples.get((op, errno), ()), key=lambda each: (-each.count, each.path))),
        )
        for op, errno, count in counts
    )
