"""Damaged traces: what is damaged is named and counted, and the rest is read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tracewriter import TraceWriter, event

from glassfs.errors import DamagedTrace
from glassfs.query import Reader
from glassfs.query.listing import checked
from glassfs.trace import Trace

ROWS = 200


@pytest.fixture
def writer(tmp_path: Path) -> TraceWriter:
    """Three event segments of 200 rows."""
    writer = TraceWriter(tmp_path / "one")
    for part in range(3):
        writer.add(event(part * ROWS + seq, duration_ns=seq * 100 + 1) for seq in range(ROWS))
    writer.end()
    return writer


def segment(writer: TraceWriter, number: int = 1) -> Path:
    return sorted((writer.path / "events").iterdir())[number]


def without_checksums(writer: TraceWriter) -> None:
    """As written by a recorder that gives none."""
    manifest = writer.path / "manifest"
    manifest.write_text(manifest.read_text().replace('"crc32"', '"unknown_field"'))


def stored(writer: TraceWriter) -> tuple[int, list[str]]:
    reader = Reader(Trace(writer.path))
    count = len(list(reader.events()))
    return count, reader.warnings


@pytest.mark.parametrize("left", [0, 3, 11, 200, -1])
def test_a_segment_that_is_cut_off_is_left_out_and_said(writer: TraceWriter, left: int):
    file = segment(writer)
    file.write_bytes(file.read_bytes()[:left])
    count, warnings = stored(writer)
    assert count == 2 * ROWS
    (warning,) = warnings
    assert f"events/{file.name} is cut off" in warning
    assert "200 rows left out" in warning


def test_a_missing_segment_is_left_out_and_said(writer: TraceWriter):
    file = segment(writer)
    file.unlink()
    count, warnings = stored(writer)
    assert count == 2 * ROWS
    assert warnings == [f"events/{file.name} is missing: 200 rows left out"]


def test_a_flipped_byte_anywhere_is_found_by_the_checksum(writer: TraceWriter):
    file = segment(writer)
    good = file.read_bytes()
    for place in random.Random(1).sample(range(len(good)), 20):
        file.write_bytes(good[:place] + bytes([good[place] ^ 0x40]) + good[place + 1 :])
        count, warnings = stored(writer)
        assert count == 2 * ROWS
        assert warnings == [f"events/{file.name} is damaged (its checksum is wrong): 200 rows left out"]


def test_without_a_checksum_a_flipped_byte_never_ends_in_anything_but_an_answer(writer: TraceWriter):
    """It may be read as another number: only a checksum tells. But nothing crashes, and what fails is said."""
    without_checksums(writer)
    file = segment(writer)
    good = file.read_bytes()
    for place in random.Random(2).sample(range(len(good)), 25):
        file.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        reader = Reader(Trace(writer.path))
        summary = reader.summary()
        assert summary.count == 3 * ROWS
        count = len(list(reader.events()))
        assert count == 3 * ROWS or f"events/{file.name} is" in reader.warnings[0]


def test_a_damaged_footer_is_left_out_whatever_was_asked(writer: TraceWriter):
    without_checksums(writer)
    file = segment(writer)
    good = file.read_bytes()
    file.write_bytes(good[:-40] + b"\xff" * 30 + good[-10:])
    reader = Reader(Trace(writer.path))
    assert list(reader.statement("select count(*) from events").rows()) == [(2 * ROWS,)]
    assert reader.files()[0].count == 2 * ROWS
    assert "200 rows left out" in reader.warnings[0]


def test_damaged_totals_are_said_too(writer: TraceWriter):
    file = sorted((writer.path / "totals").iterdir())[0]
    file.write_bytes(b"PAR1" + b"\0" * (file.stat().st_size - 8) + b"PAR1")
    reader = Reader(Trace(writer.path))
    assert reader.summary().count == 2 * ROWS
    assert f"totals/{file.name} is damaged" in reader.warnings[0]


def test_a_trace_without_its_manifest_has_no_segments(writer: TraceWriter):
    (writer.path / "manifest").unlink()
    reader = Reader(Trace(writer.path))
    assert reader.summary().count == 0
    assert "manifest is missing" in reader.warnings[0]


def test_a_manifest_of_garbage_is_said_line_by_line(writer: TraceWriter):
    manifest = writer.path / "manifest"
    manifest.write_bytes(b"\x00\xff garbage\n" + manifest.read_bytes() + b'"text"\n[1]\n17\n')
    reader = Reader(Trace(writer.path))
    assert reader.summary().count == 3 * ROWS
    assert len(reader.warnings) == 4


def test_a_check_finds_what_is_wrong_and_nothing_where_nothing_is(writer: TraceWriter):
    assert checked(Trace(writer.path)).problems == ()
    file = segment(writer)
    good = file.read_bytes()
    file.write_bytes(good[:500] + b"\0" + good[501:])
    found = checked(Trace(writer.path))
    assert found.events == 2 * ROWS
    assert "checksum" in found.problems[0]


def test_a_check_compares_with_the_ledger(writer: TraceWriter):
    manifest = writer.path / "manifest"
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(line for line in lines if "events/000003" not in line) + "\n")
    assert "the ledger says that 600 events are kept, and there are 400" in checked(Trace(writer.path)).problems[0]


def test_an_answer_that_damage_cuts_short_is_an_error(writer: TraceWriter, monkeypatch: pytest.MonkeyPatch):
    without_checksums(writer)
    file = segment(writer, 2)
    good = file.read_bytes()
    reader = Reader(Trace(writer.path))
    statement = reader.statement("select a.seq from events a, events b")
    rows = statement.rows()
    next(rows)

    def damaged(_size: int) -> None:
        import duckdb

        file.write_bytes(b"PAR1" + bytes(len(good) - 8) + b"PAR1")
        raise duckdb.InvalidInputException("Failed to read file")

    monkeypatch.setattr(statement, "_cursor", type("Cursor", (), {"fetchmany": staticmethod(damaged)}))
    with pytest.raises(DamagedTrace, match=f"{file.name} is damaged"):
        list(rows)
