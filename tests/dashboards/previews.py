"""Draws a dashboard from its panels' real answers, as SVG: a preview, and not what a viewer would draw to the pixel."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from dashboards.questions import Question, Row

CELL_W, CELL_H, GAP, TITLE_H = 24, 12, 6, 20
CLASS_COLORS = dict(
    zip(
        ("read", "write", "sync", "open", "metadata", "namespace"),
        ("#0072B2", "#D55E00", "#CC79A7", "#009E73", "#E69F00", "#56B4E9"),
        strict=True,
    )
)
COLORS = [*CLASS_COLORS.values(), "#F0E442", "#666666", "#882255", "#44AA99", "#117733", "#332288"]
ROWS_SHOWN = 12
Answer = tuple[Question, Sequence[Row]]


def svg(title: str, panels: Sequence[tuple[dict[str, int], str, Sequence[Answer] | str]]) -> str:
    """`panels`: its place in the grid, its title, and its answers, or words."""
    height = max(grid["y"] + grid["h"] for grid, _, _ in panels) * CELL_H + 40
    width = 48 * CELL_W
    parts = [f'<text x="8" y="24" font-size="18">{escape(title)} (preview)</text>']
    for grid, name, answers in panels:
        box = (grid["x"] * CELL_W + GAP, grid["y"] * CELL_H + 40, grid["w"] * CELL_W - GAP, grid["h"] * CELL_H - GAP)
        parts.append(_panel(box, name, answers))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#f4f6f8"/>', *parts, "</svg>", ""])


def _panel(box: tuple[int, int, int, int], name: str, answers: Sequence[Answer] | str) -> str:
    x, y, w, h = box
    inside = (x + 8, y + TITLE_H + 4, w - 16, h - TITLE_H - 10)
    head = f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="#fff" stroke="#d3dae6" rx="4"/>'
    title = f'<text x="{x + 8}" y="{y + 14}" font-weight="bold">{escape(name)}</text>'
    return "\n".join([head, title, *_content(inside, answers)])


def _content(box: tuple[int, int, int, int], answers: Sequence[Answer] | str) -> list[str]:
    if isinstance(answers, str):
        return [
            _line(box, number, text)
            for number, text in enumerate(_wrapped(answers, box[2] // 6))
            if number < box[3] // 13
        ]
    (question, rows) = answers[0]
    if not question.buckets:
        value = next(iter(rows[0].values.values()), None) if rows else None
        x, y, _, h = box
        return [f'<text x="{x}" y="{y + h / 2 + 8}" font-size="22">{_short(value, question, 0)}</text>']
    kinds = [bucket.kind for bucket in question.buckets]
    if "date_histogram" in kinds and len(answers) == 1 and kinds[-1] in ("histogram", "filters"):
        return _heat(box, question, rows)
    if "date_histogram" in kinds:
        return _lines(box, _series(answers))
    return _table(box, question, rows)


def _line(box: tuple[int, int, int, int], number: int, text: str) -> str:
    return f'<text x="{box[0]}" y="{box[1] + 11 + number * 13}">{escape(text)}</text>'


def _wrapped(text: str, width: int) -> list[str]:
    lines, line = [], ""
    for word in text.replace("*", "").replace("`", "").split():
        if len(line) + len(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return [*lines, line]


def _short(value: Any, question: Question, place: int) -> str:
    if value is None:
        return "-"
    name = question.metrics[place].field or ""
    if question.metrics[place].kind in ("count", "cardinality"):
        return f"{value:,.0f}".replace(",", " ")
    if name == "event.duration" or name.endswith("_ns"):
        return _scaled(value, (("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1)))
    if "bytes" in name:
        return _scaled(value, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1)))
    return f"{value * 100:.1f} %" if name.endswith(("pct", "usage")) else f"{value:.4g}"


def _scaled(value: float, units: Sequence[tuple[str, float]]) -> str:
    unit, size = next((each for each in units if value >= each[1]), units[-1])
    return f"{value / size:.3g} {unit}"


def _table(box: tuple[int, int, int, int], question: Question, rows: Sequence[Row]) -> list[str]:
    x, y, w, h = box
    shown = list(rows)[: min(ROWS_SHOWN, max(h // 13, 1))]
    columns = min(len(question.metrics), 4)
    first = question.metrics[0].id
    most = max((row.values[first] or 0 for row in shown), default=0) or 1
    parts = []
    for number, row in enumerate(shown):
        top = y + number * 13
        label = " / ".join(str(key) for key in row.keys)
        room = max((w - columns * 60) // 6, 8)
        label = label if len(label) <= room else "..." + label[-room + 3 :]
        color = CLASS_COLORS.get(str(row.keys[-1]), "#0072B2")
        share = (row.values[first] or 0) / most
        parts.append(f'<rect x="{x}" y="{top}" width="{share * w:.1f}" height="12" fill="{color}" opacity="0.18"/>')
        parts.append(f'<text x="{x + 2}" y="{top + 10}">{escape(label)}</text>')
        for place in range(columns):
            value = _short(row.values[question.metrics[place].id], question, place)
            right = x + w - (columns - 1 - place) * 60
            parts.append(f'<text x="{right}" y="{top + 10}" text-anchor="end">{escape(value)}</text>')
    return parts


def _series(answers: Sequence[Answer]) -> dict[str, dict[Any, float]]:
    found: dict[str, dict[Any, float]] = {}
    for question, rows in answers:
        place = next(n for n, bucket in enumerate(question.buckets) if bucket.kind == "date_histogram")
        for row in rows:
            label = " ".join(str(key) for n, key in enumerate(row.keys) if n != place)
            ids = [id for id, _ in question.growth] or [metric.id for metric in question.metrics]
            for id in ids:
                metric = next((each for each in question.metrics if each.id == id), None)
                said = metric.only.rpartition(": ")[2] if metric and metric.only else ""
                percent = f"p{metric.percent:g}" if metric and metric.percent else ""
                name = " ".join(part for part in (label, said, percent) if part) or question.panel.rpartition(": ")[2]
                if row.values.get(id) is not None:
                    found.setdefault(name, {})[row.keys[place]] = float(row.values[id] or 0)
    return found


def _lines(box: tuple[int, int, int, int], series: dict[str, dict[Any, float]]) -> list[str]:
    x, y, w, h = box
    times = sorted({time for points in series.values() for time in points})
    highest = max((value for points in series.values() for value in points.values()), default=0) or 1
    low, wide = (times[0], max(times[-1] - times[0], 1)) if times else (0, 1)
    plot = w - 110
    parts = []
    for number, (name, points) in enumerate(
        sorted(series.items(), key=lambda each: -sum(each[1].values()))[:ROWS_SHOWN]
    ):
        color = CLASS_COLORS.get(name.split()[0] if name else "", COLORS[number % len(COLORS)])
        at = " ".join(
            f"{x + (t - low) / wide * plot:.1f},{y + h - v / highest * h:.1f}" for t, v in sorted(points.items())
        )
        parts.append(f'<polyline points="{at}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        if number < h // 13:
            parts.append(
                f'<text x="{x + plot + 6}" y="{y + 10 + number * 13}" fill="{color}">{escape(name[:18])}</text>'
            )
    return parts


def _heat(box: tuple[int, int, int, int], question: Question, rows: Sequence[Row]) -> list[str]:
    x, y, w, h = box
    times = sorted({row.keys[0] for row in rows})
    if question.buckets[-1].kind == "filters":
        order = [label for label, _ in question.buckets[-1].filters]
        ups: list[Any] = [label for label in order if any(row.keys[1] == label for row in rows)]
    else:
        ups = sorted({row.keys[1] for row in rows})
    first = question.metrics[0].id
    most = max((row.values[first] or 0 for row in rows), default=0) or 1
    left = 80
    wide, tall = (w - left) / max(len(times), 1), h / max(len(ups), 1)
    parts = []
    for number, up in enumerate(ups):
        if tall >= 9 or number % 5 == 0:
            label = up if isinstance(up, str) else _scaled(up, (("MB", 1e6), ("kB", 1e3), ("B", 1)))
            parts.append(f'<text x="{x}" y="{y + h - number * tall - 2:.1f}" font-size="9">{escape(label)}</text>')
    for row in rows:
        if value := row.values[first]:
            share = 0.12 + 0.88 * (value / most) ** 0.4
            at = (x + left + times.index(row.keys[0]) * wide, y + h - (ups.index(row.keys[1]) + 1) * tall)
            parts.append(
                f'<rect x="{at[0]:.1f}" y="{at[1]:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="#08519c" '
                f'opacity="{share:.2f}"/>'
            )
    return parts
