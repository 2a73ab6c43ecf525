"""The pictures of a preview: lines, stacks, rings and heat maps, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from dashboards.preview_text import cut, number, scaled
from dashboards.questions import Metric, Question, Row

CLASS_COLORS = dict(
    zip(
        ("read", "write", "sync", "open", "metadata", "namespace"),
        ("#0072B2", "#D55E00", "#CC79A7", "#009E73", "#E69F00", "#56B4E9"),
        strict=True,
    )
)
COLORS = [*CLASS_COLORS.values(), "#999933", "#666666", "#882255", "#44AA99", "#117733", "#332288"]
GREY = "#69707d"
LINE_H = 14
LEGEND_W = 120
AXIS_W, AXIS_H = 52, 14
HEAT_LABELS_W = 90
Box = tuple[float, float, float, float]
Answer = tuple[Question, Sequence[Row]]
Series = dict[str, dict[int, float]]


def over_time(box: Box, answers: Sequence[Answer], times: Sequence[int]) -> list[str]:
    """`times`: the steps of the whole dashboard's time."""
    series = _series(answers)
    names = sorted(series, key=lambda name: -sum(series[name].values()))[: len(COLORS)]
    colors = {name: CLASS_COLORS.get(name.split(" ")[0], COLORS[place]) for place, name in enumerate(names)}
    x, y, w, h = box
    plot = (x + AXIS_W, y + 4, w - AXIS_W - LEGEND_W - 8, h - AXIS_H - 4)
    look = answers[0][0].look
    step = min((b - a for a, b in zip(times, times[1:], strict=False)), default=1000)
    span = (times[0], times[-1] + step)
    if look == "line":
        highest = max((value for name in names for value in series[name].values()), default=0) or 1
        shapes = [_line(plot, sorted(series[name].items()), span, highest, colors[name]) for name in names]
    else:
        sums = [sum(series[name].get(time, 0) for name in names) for time in times]
        highest = max(sums, default=0) or 1
        draw = _bars if look == "bar" else _areas
        shapes = draw(plot, [(series[name], colors[name]) for name in names], times, step, highest)
    return [*_axes(plot, span, number(highest, _unit(answers[0][0]))), *shapes, *_legend(box, names, colors)]


def _unit(question: Question) -> Metric:
    """The metric whose numbers stand at the axis."""
    if question.ratios:
        above, below = ({each.id: each for each in question.metrics}[id] for id in question.ratios[0][1:])
        return below if above.kind == "count" else above
    return question.metrics[0]


def _series(answers: Sequence[Answer]) -> Series:
    found: Series = {}
    for question, rows in answers:
        place = next(n for n, bucket in enumerate(question.buckets) if bucket.kind == "date_histogram")
        for row in rows:
            split = " ".join(str(key) for n, key in enumerate(row.keys) if n != place)
            for label, value in _values(question, row):
                name = " ".join(part for part in (split, "" if split and len(answers) == 1 else label) if part)
                if value is not None:
                    found.setdefault(name, {})[row.keys[place]] = value
    return found


def _values(question: Question, row: Row) -> list[tuple[str, float | None]]:
    tail = question.panel.rpartition(": ")[2]
    if question.growth:
        return [("", row.values.get(id)) for id, _ in question.growth]
    if question.ratios:
        return [(label, _ratio(row.values[above], row.values[below])) for label, above, below in question.ratios]
    return [(metric.label or tail, row.values[metric.id]) for metric in question.metrics]


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _axes(plot: Box, span: tuple[int, int], highest: str) -> list[str]:
    x, y, w, h = plot
    lines = [f'<path d="M{x:.1f} {y:.1f} h{w:.1f} M{x:.1f} {y + h:.1f} h{w:.1f}" stroke="#e4e8ee" fill="none"/>']
    texts = [(x - 4, y + 8, "end", highest), (x - 4, y + h, "end", "0")]
    texts += [(x, y + h + 12, "start", _clock(span[0])), (x + w, y + h + 12, "end", _clock(span[1]))]
    return lines + [
        f'<text x="{at:.1f}" y="{down:.1f}" text-anchor="{anchor}" font-size="9" fill="{GREY}">{escape(said)}</text>'
        for at, down, anchor, said in texts
    ]


def _clock(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%H:%M:%S}"


def _legend(box: Box, names: Sequence[str], colors: dict[str, str]) -> list[str]:
    x, y, w, h = box
    return [
        f'<text x="{x + w - LEGEND_W:.1f}" y="{y + 11 + place * LINE_H:.1f}" fill="{colors[name]}">'
        f"{escape(cut(name, LEGEND_W))}</text>"
        for place, name in enumerate(names[: int(h // LINE_H)])
    ]


def _line(plot: Box, points: Sequence[tuple[int, float]], span: tuple[int, int], highest: float, color: str) -> str:
    x, y, w, h = plot
    wide = max(span[1] - span[0], 1)
    at = [(x + (time - span[0]) / wide * w, y + h - max(value, 0) / highest * h) for time, value in points]
    # One point alone would be no line.
    at = at if len(at) > 1 else [at[0], (at[0][0] + 3, at[0][1])]
    drawn = " ".join(f"{one:.1f},{other:.1f}" for one, other in at)
    return f'<polyline points="{drawn}" fill="none" stroke="{color}" stroke-width="1.5"/>'


def _bars(
    plot: Box, series: Sequence[tuple[dict[int, float], str]], times: Sequence[int], step: int, highest: float
) -> list[str]:
    x, y, w, h = plot
    width = w * step / (times[-1] + step - times[0])
    shapes = []
    for time in times:
        floor = y + h
        for points, color in series:
            if value := points.get(time):
                tall = value / highest * h
                floor -= tall
                left = x + (time - times[0]) / step * width
                shapes.append(
                    f'<rect x="{left + 1:.1f}" y="{floor:.1f}" width="{max(width - 2, 1):.1f}" height="{tall:.1f}" '
                    f'fill="{color}"/>'
                )
    return shapes


def _areas(
    plot: Box, series: Sequence[tuple[dict[int, float], str]], times: Sequence[int], step: int, highest: float
) -> list[str]:
    x, y, w, h = plot
    whole = times[-1] + step - times[0]
    begin = times[0]
    # A step without a sample is a gap, and no fall to nothing.
    times = [time for time in times if any(time in points for points, _ in series)]
    at = [x + (time - begin) / whole * w for time in times]
    floor = [0.0] * len(times)
    shapes = []
    for points, color in series:
        top = [below + points.get(time, 0) for below, time in zip(floor, times, strict=True)]
        edge = [*zip(at, top, strict=True), *reversed(list(zip(at, floor, strict=True)))]
        drawn = " ".join(f"{one:.1f},{y + h - value / highest * h:.1f}" for one, value in edge)
        shapes.append(f'<polygon points="{drawn}" fill="{color}" opacity="0.75"/>')
        floor = top
    return shapes


def ring(box: Box, question: Question, rows: Sequence[Row]) -> list[str]:
    x, y, w, h = box
    metric = question.metrics[0]
    values = [(" / ".join(map(str, row.keys)), row.values[metric.id] or 0) for row in rows]
    whole = sum(value for _, value in values) or 1
    outer = min(h, w * 0.4) / 2
    middle, at, parts = (x + outer + 4, y + h / 2), 0.0, []
    for place, (name, value) in enumerate(values):
        color = CLASS_COLORS.get(name, COLORS[place % len(COLORS)])
        parts.append(_slice(middle, outer, at, at + value / whole, color))
        at += value / whole
        if place < h // LINE_H:
            down = y + 11 + place * LINE_H
            left = x + 2 * outer + 20
            said = f"{number(value, metric)}, {value / whole:.1%}"
            room = x + w - left - len(said) * 6.2 - 10
            parts.append(f'<text x="{left:.1f}" y="{down:.1f}" fill="{color}">{escape(cut(name, room))}</text>')
            parts.append(f'<text x="{x + w:.1f}" y="{down:.1f}" text-anchor="end">{escape(said)}</text>')
    return parts


def _slice(middle: tuple[float, float], outer: float, start: float, end: float, color: str) -> str:
    inner = outer * 0.55
    # An arc that ends where it begins is none.
    end = min(end, start + 0.999)

    def point(radius: float, share: float) -> str:
        angle = 2 * math.pi * (share - 0.25)
        return f"{middle[0] + radius * math.cos(angle):.2f} {middle[1] + radius * math.sin(angle):.2f}"

    far = int(end - start > 0.5)
    return (
        f'<path d="M{point(outer, start)} A{outer:.1f} {outer:.1f} 0 {far} 1 {point(outer, end)} '
        f'L{point(inner, end)} A{inner:.1f} {inner:.1f} 0 {far} 0 {point(inner, start)} Z" fill="{color}" '
        'stroke="#fff" stroke-width="0.5"/>'
    )


def heat(box: Box, question: Question, rows: Sequence[Row], times: Sequence[int]) -> list[str]:
    x, y, w, h = box
    h -= AXIS_H
    ups = _ups(question, rows)
    metric = question.metrics[0].id
    most = max((row.values[metric] or 0 for row in rows), default=0) or 1
    wide, tall = (w - HEAT_LABELS_W) / max(len(times), 1), h / max(len(ups), 1)
    parts = []
    for place, up in enumerate(ups):
        if tall >= 9 or place % 5 == 0:
            label = up if isinstance(up, str) else scaled(up, (("MB", 1e6), ("kB", 1e3), ("B", 1)))
            down = y + h - place * tall - 2
            parts.append(f'<text x="{x}" y="{down:.1f}" font-size="9" fill="{GREY}">{escape(label)}</text>')
    step = min((b - a for a, b in zip(times, times[1:], strict=False)), default=1000)
    for row in rows:
        if value := row.values[metric]:
            left = x + HEAT_LABELS_W + (row.keys[0] - times[0]) / step * wide
            down = y + h - (ups.index(row.keys[1]) + 1) * tall
            share = 0.1 + 0.9 * (value / most) ** 0.4
            parts.append(
                f'<rect x="{left:.1f}" y="{down:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="#08519c" '
                f'opacity="{share:.2f}"/>'
            )
    ends: list[tuple[float, str, int]] = [(x + HEAT_LABELS_W, "start", times[0]), (x + w, "end", times[-1] + step)]
    return parts + [
        f'<text x="{at:.1f}" y="{y + h + 12:.1f}" text-anchor="{anchor}" font-size="9" fill="{GREY}">{_clock(time)}</text>'
        for at, anchor, time in ends
    ]


def _ups(question: Question, rows: Sequence[Row]) -> list[Any]:
    """Upwards: of named cases all between the lowest and the highest that is there, as a viewer's axis has them."""
    if question.buckets[-1].kind != "filters":
        return sorted({row.keys[1] for row in rows})
    there = {row.keys[1] for row in rows}
    order = [label for label, _ in question.buckets[-1].filters]
    places = [place for place, label in enumerate(order) if label in there]
    return order[min(places) : max(places) + 1]
