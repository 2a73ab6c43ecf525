"""Draws a dashboard from its panels' real answers, as SVG: a preview, and not what a viewer would draw to the pixel."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from dashboards.preview_charts import CLASS_COLORS, GREY, LINE_H, Answer, Box, heat, over_time, ring
from dashboards.preview_text import CHAR_W, cut, number, wrapped
from dashboards.questions import Question, Row

# A cell of the viewers' grid, somewhat lower than theirs.
CELL_W, CELL_H, GAP, TITLE_H = 24, 16, 6, 20
COLUMN_W = 66
# Of a table's width, at most so much is its numbers'.
NUMBERS = 0.72
ALARM, FINE = "#BD271E", "#209280"
Drawn = tuple[dict[str, int], str, Sequence[Answer] | str]


def svg(title: str, panels: Sequence[Drawn]) -> str:
    """`panels`: its place in the grid, its title, and its answers, or words."""
    height = max(grid["y"] + grid["h"] for grid, _, _ in panels) * CELL_H + 40
    width = 48 * CELL_W + GAP
    times = _times(panels)
    parts = [f'<text x="8" y="24" font-size="18">{escape(title)} (preview)</text>']
    for grid, name, answers in panels:
        box = (grid["x"] * CELL_W + GAP, grid["y"] * CELL_H + 40, grid["w"] * CELL_W - GAP, grid["h"] * CELL_H - GAP)
        parts.append(_panel(box, name, answers, times))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#f4f6f8"/>', *parts, "</svg>", ""])


def _times(panels: Sequence[Drawn]) -> list[int]:
    """Every step of the dashboard's time that any panel has something in, and those between."""
    found = {
        row.keys[place]
        for _, _, answers in panels
        if not isinstance(answers, str)
        for question, rows in answers
        for place, bucket in enumerate(question.buckets)
        if bucket.kind == "date_histogram"
        for row in rows
    }
    ordered = sorted(found)
    step = min((b - a for a, b in zip(ordered, ordered[1:], strict=False)), default=1000)
    return list(range(ordered[0], ordered[-1] + 1, step)) if ordered else [0]


def _panel(box: Box, name: str, answers: Sequence[Answer] | str, times: Sequence[int]) -> str:
    x, y, w, h = box
    inside = (x + 8, y + TITLE_H + 4, w - 16, h - TITLE_H - 10)
    head = f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="#fff" stroke="#d3dae6" rx="4"/>'
    title = f'<text x="{x + 8}" y="{y + 14}" font-weight="bold">{escape(name)}</text>'
    return "\n".join([head, title, *_content(inside, answers, times)])


def _content(box: Box, answers: Sequence[Answer] | str, times: Sequence[int]) -> list[str]:
    if isinstance(answers, str):
        lines = [line for part in answers.split("\n\n") for line in wrapped(part, box[2])]
        return [_text(box[0], box[1] + 11 + place * LINE_H, line) for place, line in enumerate(lines)]
    question, rows = answers[0]
    if not question.buckets:
        return _number(box, question, rows)
    if question.look == "heat":
        return heat(box, question, rows, times)
    if any(bucket.kind == "date_histogram" for bucket in question.buckets):
        return over_time(box, answers, times)
    return ring(box, question, rows) if question.look == "ring" else _table(box, question, rows)


def _text(x: float, y: float, said: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(said)}</text>'


def _number(box: Box, question: Question, rows: Sequence[Row]) -> list[str]:
    value = next(iter(rows[0].values.values()), None) if rows else None
    color = (ALARM if value else FINE) if question.may_be_zero else "#1a1c21"
    x, y, _, h = box
    return [_text(x, y + h / 2 + 8, number(value, question.metrics[0]), f' font-size="22" fill="{color}"')]


def _table(box: Box, question: Question, rows: Sequence[Row]) -> list[str]:
    x, y, w, h = box
    shown = list(rows)[: max(int(h // LINE_H) - 1, 1)]
    first = question.metrics[0].id if question.metrics else ""
    most = max((row.values.get(first) or 0 for row in shown), default=0) or 1
    count = len(question.metrics)
    widest = max((len(metric.label) * CHAR_W + 10 for metric in question.metrics), default=0)
    column = min(max(widest, COLUMN_W), w * NUMBERS / max(count, 1))
    room = w - count * column
    edges = [x + w - (count - 1 - place) * column for place in range(count)]
    grey = f' fill="{GREY}"'
    parts = [_text(x + 2, y + 9, cut(" / ".join(bucket.label for bucket in question.buckets), room), grey)]
    for edge, metric in zip(edges, question.metrics, strict=True):
        parts.append(_text(edge, y + 9, cut(metric.label, column - 2), f' text-anchor="end"{grey}'))
    for place, row in enumerate(shown):
        top = y + (place + 1) * LINE_H
        color = CLASS_COLORS.get(str(row.keys[-1]), "#0072B2")
        share = (row.values.get(first) or 0) / most
        parts.append(f'<rect x="{x}" y="{top}" width="{share * w:.1f}" height="13" fill="{color}" opacity="0.15"/>')
        parts.append(_text(x + 2, top + 10, cut(" / ".join(str(key) for key in row.keys), room)))
        for edge, metric in zip(edges, question.metrics, strict=True):
            parts.append(_text(edge, top + 10, number(row.values[metric.id], metric), ' text-anchor="end"'))
    return parts
