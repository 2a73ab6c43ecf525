"""Exact counts as documents: one a second, op, error, kind and histogram bucket, with `_doc_count`.

A document holds its second's whole value, its id follows from its keys, and its version is the number of calls counted,
which only grows: so whatever is repeated, corrected or overtaken, the latest value stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from glassfs import errnos
from glassfs.about import About
from glassfs.elastic import indices
from glassfs.elastic.documents import OTHER_TYPE, TYPES, UNKNOWN_CLASS
from glassfs.elastic.fields import ECS_VERSION
from glassfs.elastic.times import rfc3339
from glassfs.query.histogram import BUCKETS_PER_OCTAVE
from glassfs.query.seconds import Second
from glassfs.trace import Manifest, Segment, Trace

SECOND_NS = 1_000_000_000


def lines(about: About, labels: Mapping[str, str], namespace: str, rows: Iterable[Second]) -> Iterator[bytes]:
    """Pairs of an action line and a document."""
    for row in rows:
        # Without a histogram (an event older than it) the sums still have a document.
        for place, (bucket, amount) in enumerate(row.buckets or [(None, row.calls)]):
            action = {
                "_index": indices.totals(namespace, row.second_ns),
                "_id": f"{about.id}-{row.second_ns // SECOND_NS}-{row.op}-{row.errno}-{row.kind}-{bucket}",
                "version": row.calls,
                "version_type": "external_gte",
            }
            document = _document(about, labels, row, bucket, amount)
            if place == 0:
                document["glassfs"]["totals"] = _sums(row)
            yield orjson.dumps({"index": action}) + b"\n" + orjson.dumps(document) + b"\n"


def _document(about: About, labels: Mapping[str, str], row: Second, bucket: int | None, amount: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "@timestamp": rfc3339(row.second_ns),
        "_doc_count": amount,
        "ecs": {"version": ECS_VERSION},
        "event": {
            "kind": "metric",
            "module": "glassfs",
            "dataset": "glassfs.totals",
            "provider": "fuse",
            "category": ["file"],
            "type": [TYPES.get(row.op, OTHER_TYPE)],
            "action": row.op,
            "outcome": "failure" if row.errno else "success",
        },
        "glassfs": {
            "trace": {"id": about.id, "name": about.name},
            "class": about.class_of_op.get(row.op, UNKNOWN_CLASS),
            "kind": row.kind,
            "errno": row.errno,
        },
    }
    if about.host is not None:
        document["host"] = {"name": about.host}
    if labels:
        document["labels"] = dict(labels)
    if row.errno:
        document["error"] = {"code": errnos.name_of(row.errno)}
    if bucket is not None:
        ends = (2 ** (bucket / BUCKETS_PER_OCTAVE), 2 ** ((bucket + 1) / BUCKETS_PER_OCTAVE))
        document["glassfs"]["latency"] = {"bucket": bucket, "ge_ns": ends[0], "le_ns": ends[1]}
    return document


def _sums(row: Second) -> dict[str, int]:
    """On the first bucket's document only, so that a sum over documents is right."""
    return {
        "calls": row.calls,
        "bytes": row.bytes,
        "duration_ns": row.duration_ns,
        "backing_ns": row.backing_ns,
        "min_ns": row.min_ns,
        "max_ns": row.max_ns,
    }


class Followed:
    """Which spans of time new segments of totals have touched. Its place is a byte offset of the manifest, since
    segments of totals bear no numbers; what a merge holds was news before."""

    def __init__(self, trace: Trace, offset: int) -> None:
        self._trace = trace
        self._manifest = Manifest()
        self._shipped_offset = offset
        self._had: set[str] = set()
        self._caught_up = False
        # An offset, and what was news there.
        self._mark: tuple[int, set[str]] | None = None

    def poll(self, before_ns: int) -> tuple[list[tuple[int, int]], int | None]:
        """Spans with news, all before `before_ns`, and the offset that may be kept once they were shipped; None: not
        yet."""
        self._trace.read_on(self._manifest)
        if not self._caught_up:
            self._had = set(self._live_at(self._shipped_offset))
            self._caught_up = True
        fresh = [each for each in self._manifest.segments("totals") if each.file not in self._had]
        ripe = [each for each in fresh if each.to_ns < before_ns]
        self._had |= {each.file for each in ripe}
        return _spans(ripe), self._passed({each.file for each in fresh})

    def _passed(self, fresh: set[str]) -> int | None:
        """An offset all of whose news has been given out: in a live trace something newer always waits."""
        live = self._manifest.live.keys()
        if self._mark is None or any(file not in live and file not in self._had for file in self._mark[1]):
            self._mark = (self._manifest.offset, fresh)
        if not self._mark[1] <= self._had:
            return None
        offset, self._mark = self._mark[0], None
        return offset

    def _live_at(self, offset: int) -> Iterable[str]:
        earlier = Manifest()
        if offset:
            with (self._trace.path / "manifest").open("rb") as file:
                earlier.feed(file.read(offset))
        return earlier.live


def _spans(segments: Iterable[Segment]) -> list[tuple[int, int]]:
    """Whole seconds, none twice."""
    spans: list[tuple[int, int]] = []
    for begin, end in sorted((each.from_ns, each.to_ns + SECOND_NS) for each in segments):
        if spans and begin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((begin, end))
    return spans
