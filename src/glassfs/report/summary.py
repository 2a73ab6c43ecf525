"""What `report` and `run` print: a trace at one glance, for a tired reader, in 100 columns."""

from __future__ import annotations

from collections.abc import Sequence

from glassfs.filters import Filter
from glassfs.query import EVERYTHING, Event, Reader
from glassfs.query.answers import Coverage, ErrorRow, Headline, Losses, Summary
from glassfs.report import calls, tables
from glassfs.report.numbers import (
    count,
    in_unit,
    lasted,
    moment,
    share,
    signal_name,
    size,
    time_of_day,
    unit_of,
)
from glassfs.report.text import PLAIN, WIDTH, Paint, apart, safe, wrapped
from glassfs.trace import Trace

# A run with fewer events than this is shown whole: the events say more than any table.
FEW_EVENTS = 40

# Example paths an error is shown with in its one line.
_ERROR_EXAMPLES = 2

_POWERS_NS = [10**power for power in range(3, 13)]


def render_summary(trace: Trace | Reader, *, word: str = "@last", paint: Paint = PLAIN, width: int = WIDTH) -> str:
    """The summary of a whole trace, for who has just made it. `word`: what it is called in the commands proposed."""
    reader = trace if isinstance(trace, Reader) else Reader(trace)
    try:
        summary = reader.summary()
        return draw(summary, few_events(reader, summary), word=word, paint=paint, width=width)
    finally:
        if reader is not trace:
            reader.close()


def few_events(reader: Reader, summary: Summary, wanted: Filter = EVERYTHING) -> list[Event]:
    """All of them where they are few, else none."""
    return list(reader.events(wanted)) if 0 < summary.count < FEW_EVENTS else []


def draw(
    summary: Summary,
    few: Sequence[Event] = (),
    *,
    word: str,
    paint: Paint = PLAIN,
    width: int = WIDTH,
    with_context: bool = False,
) -> str:
    """`few`: draw these instead of tables. `with_context`: say also when, where and how it was recorded."""
    parts = [_head(summary, word=word, paint=paint, width=width)]
    parts += [_context(summary.headline, width)] if with_context else []
    parts += _facts(summary, paint=paint, width=width)
    head = "\n".join(parts)
    body = [_events(few, paint)] if few else _tables(summary, paint=paint, width=width)
    tail = [*_after(summary, few, width=width), _next(summary, word, width)]
    gap = "\n" if few else "\n\n"
    return gap.join([head, *body, "\n".join(tail)])


def _head(summary: Summary, *, word: str, paint: Paint, width: int) -> str:
    headline, losses = summary.headline, summary.losses
    what = safe(headline.command or ", ".join(headline.mount_points) or headline.name) + _outcome(headline)
    lost = f"{count(losses.dropped)} lost"
    left = f"glassfs: {what}, {lasted(headline.duration_ns)}, {count(summary.count)} {headline.noun}, {lost}"
    called = word if word == headline.name else f"{word} ({headline.name})" if word.startswith("@") else headline.name
    line = apart(left, f"trace {safe(called)}, {size(headline.bytes_on_disk)}", width)
    if losses.dropped:
        line = line.replace(lost, paint.bad(lost), 1)
    return line


def _outcome(headline: Headline) -> str:
    if headline.signal is not None:
        return f" (killed by {signal_name(headline.signal)})"
    return f" (exit status {headline.exit_status})" if headline.exit_status else ""


def _context(headline: Headline, width: int) -> str:
    parts = [moment(headline.start_ns), f"on {safe(headline.host)}" if headline.host else ""]
    mode = ", every lookup asked (--exact)" if headline.mode == "exact" else ""
    parts += [f"{headline.plane} plane{mode}", _why(headline), ", ".join(safe(each) for each in headline.mount_points)]
    return wrapped([part for part in parts if part], separator="; ", width=width, indent=2)


def _why(headline: Headline) -> str:
    """Why only requests were recorded, if nobody wished so; its first line, since a loader's words may follow."""
    reason = headline.plane_reason or ""
    return safe(reason.partition("\n")[0]) if headline.plane == "daemon" and reason != "asked for" else ""


def _facts(summary: Summary, *, paint: Paint, width: int) -> list[str]:
    """What must be known before a figure is believed."""
    headline = summary.headline
    facts = []
    if headline.state == "no goodbye":
        last = time_of_day(headline.end_ns).partition(".")[0]
        facts.append(f"ended without a goodbye (was the recorder killed?): this is what it had stored until {last}")
    if headline.state == "live":
        facts.append("still being recorded: this is what is stored so far")
    if summary.filtered_by:
        whole = f" of {count(summary.losses.seen)}" if summary.losses.seen else ""
        facts.append(f"only {safe(summary.filtered_by)}: {count(summary.count)}{whole} {headline.noun}")
    if summary.losses.dropped or summary.losses.removed:
        facts += _losses(summary.losses, headline.noun)
    elif summary.stored_count < summary.count:
        facts.append(f"{count(summary.count - summary.stored_count)} {headline.noun} are counted but cannot be read")
    lines = [paint.bad(_prose(fact, width)) for fact in facts]
    if summary.coverage is not None:
        lines.append(_coverage(summary.coverage, width))
    return lines


def _prose(text: str, width: int) -> str:
    return wrapped(text.split(" "), separator=" ", width=width, indent=2, hang=2)


def _losses(losses: Losses, noun: str) -> list[str]:
    dropped = [each for each in losses.reasons if each.stage != "retention"]
    reasons = ", ".join(f"{safe(each.reason)} {count(each.count)}" for each in dropped)
    told = []
    if losses.dropped:
        told.append(f"{count(losses.dropped)} {noun} are counted below but not stored one by one ({reasons})")
    if losses.removed:
        told.append(f"the oldest {count(losses.removed)} {noun} were removed by the trace's size limit")
    return told


def _coverage(coverage: Coverage, width: int) -> str:
    return wrapped([_seen(coverage), *_elsewhere(coverage)], separator="; ", width=width, indent=2)


def _seen(coverage: Coverage) -> str:
    if coverage.program_bytes is None:
        return f"saw {size(coverage.seen_bytes)}; of how much is unknown: {coverage.unknown}"
    if coverage.program_bytes == 0:
        return "the program read and wrote nothing"
    if coverage.share == 1.0:
        return f"saw all of the {size(coverage.program_bytes)} that the program read and wrote"
    unit = unit_of(coverage.program_bytes)
    seen, _ = in_unit(coverage.seen_bytes, unit)
    if seen == "0.0":
        seen = size(coverage.seen_bytes)
    part = f"{seen if coverage.seen_bytes else 'none'} of the {size(coverage.program_bytes)}"
    return f"saw {part} that the program read and wrote" + (f" ({share(coverage.share)})" if coverage.share else "")


def _elsewhere(coverage: Coverage) -> list[str]:
    if not coverage.open_elsewhere:
        return []
    paths = ", ".join(safe(each.path) for each in coverage.open_elsewhere)
    more = ", ..." if coverage.more_elsewhere else ""
    add = " ".join(dict.fromkeys(f"-d {safe(each.directory)}" for each in coverage.open_elsewhere))
    return [f"open elsewhere: {paths}{more} (add {add})"]


def _tables(summary: Summary, *, paint: Paint, width: int) -> list[str]:
    noun = summary.headline.noun
    parts = [tables.classes(summary.classes, noun, paint=paint, width=width)]
    if summary.files:
        parts.append(tables.files(summary.files, noun, title="most accessed", paint=paint, width=width))
    if summary.threads:
        parts.append(tables.threads(summary.threads, noun, title="who", paint=paint, width=width))
    return parts


def _events(few: Sequence[Event], paint: Paint) -> str:
    return "\n".join("  " + calls.line(event, paint) for event in few)


def _after(summary: Summary, few: Sequence[Event], *, width: int) -> list[str]:
    lines = []
    if summary.errors and not few:
        shown = [_error(row, summary.headline) for row in summary.errors]
        shown[0] = f"errors: {shown[0]}"
        lines.append(wrapped(shown, separator=", ", width=width, indent=2, hang=len("errors: ")))
    for hint in summary.hints:
        lead = "not visible here: " if hint.kind == "mapped" else ""
        lines.append(_prose(lead + safe(hint.text), width))
    return lines


def _error(row: ErrorRow, headline: Headline) -> str:
    """`lookup ENOENT 14 (db/CURRENT, ...)`: paths as they stand below the mount."""
    names = [_below(each.path, headline.mount_points) for each in row.examples[:_ERROR_EXAMPLES]]
    if sum(each.count for each in row.examples[:_ERROR_EXAMPLES]) < row.count:
        names.append("...")
    return f"{safe(row.op)} {row.errno_name} {count(row.count)}" + (f" ({', '.join(names)})" if row.examples else "")


def _below(path: str, mount_points: Sequence[str]) -> str:
    for mount_point in mount_points:
        if path.startswith(mount_point.rstrip("/") + "/"):
            last = mount_point.rstrip("/").rpartition("/")[2]
            return safe(f"{last}/{path[len(mount_point.rstrip('/')) + 1 :]}")
    return safe(path)


def _next(summary: Summary, word: str, width: int) -> str:
    commands = [
        f"glassfs report {word} --calls",
        f"glassfs calls {word}{_slow(summary)}",
        f'glassfs sql {word} "select ..."',
    ]
    shown = [f"next: {safe(commands[0])}", *map(safe, commands[1:])]
    return wrapped(shown, separator="  ", width=width, indent=0, hang=len("next: "))


def _slow(summary: Summary) -> str:
    """A threshold that finds the slowest, not everything: the power of ten below the longest."""
    longest = max((row.latency.max_ns for row in summary.classes if row.latency), default=0)
    below = [power for power in _POWERS_NS if power <= longest]
    if not below or summary.count < FEW_EVENTS:
        return ""
    for unit, size_ns in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if below[-1] >= size_ns:
            return f" --slow {below[-1] // size_ns}{unit}"
    return ""
