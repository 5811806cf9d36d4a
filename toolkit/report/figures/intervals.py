"""Forest plots: every contestant's interval, and how far behind the first the others are. It computes neither."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from toolkit.report.colours import COLOURS
from toolkit.report.reading import Entrant, Interval, Run, as_interval
from toolkit.report.svg import Drawing, Scale, decimals_of, text_width
from toolkit.report.text import fixed, shortened

NARROW = 480  # pixels; below this, names stand above their intervals


@dataclass(frozen=True)
class Row:
    """A line of a forest plot."""

    entrant: Entrant
    interval: Interval
    said: str  # right of it


def forest(run: Run, width: float, metric: str = "accuracy", label: str = "accuracy") -> Markup | None:
    """The metric of every contestant with its interval; None where nobody has it."""
    rows = []
    for entrant in run.entrants:
        interval = entrant.metric(metric)
        if interval:
            rows.append(Row(entrant, interval, fixed(interval.value) + _ends(interval)))
    return _plot(rows, width, f"{label} with {100 * run.confidence:.0f} % intervals", None) if rows else None


def differences(run: Run, width: float) -> Markup | None:
    """Accuracy of each other contestant minus that of the first, paired, in percentage points; None without pairs."""
    first = run.entrants[0]
    rows = []
    for entrant in run.entrants[1:]:
        interval = points_between(run.pairs, entrant.name, first.name)
        if interval:
            rows.append(Row(entrant, interval, fixed(interval.value, 1) + _ends(interval, 1)))
    label = f"accuracy minus that of {shortened(first.name, 28)}, percentage points"
    return _plot(rows, width, label, 0.0) if rows else None


def points_between(pairs: Sequence[Mapping[str, Any]], name: str, other: str) -> Interval | None:
    """`name` minus `other` in percentage points, whichever way round the pair was written; None without one."""
    for pair in pairs:
        if {pair.get("a"), pair.get("b")} == {name, other} and name != other:
            found = pair_difference(pair)
            if found is None:
                return None
            ends = [None if end is None else 100 * end for end in (found.low, found.high)]
            if pair["a"] == name:
                return Interval(100 * found.value, *ends)
            low, high = (None if end is None else -end for end in ends)
            return Interval(-100 * found.value, high, low)
    return None


def pair_difference(pair: Mapping[str, Any]) -> Interval | None:
    """Accuracy of `a` minus accuracy of `b`: an interval of its own, or a number with its ends beside it."""
    difference = pair.get("difference")
    if isinstance(difference, Mapping):
        return as_interval(difference)
    return as_interval({"value": difference, "low": pair.get("low"), "high": pair.get("high")})


def _ends(interval: Interval, decimals: int = 3) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return f" ({fixed(interval.low, decimals)}..{fixed(interval.high, decimals)})"


def _plot(rows: Sequence[Row], width: float, label: str, reference: float | None) -> Markup:
    narrow = width < NARROW
    step, top, bottom = (44.0, 6.0, 44.0) if narrow else (30.0, 6.0, 44.0)
    names = [shortened(row.entrant.name, 34 if narrow else 30) for row in rows]
    left = 14.0 if narrow else 34 + max(text_width(name) for name in names)
    right = width - 14 if narrow else width - 20 - max(text_width(row.said) for row in rows)
    drawing = Drawing(width, top + step * len(rows) + bottom, label)
    scale = _scale(rows, left, right, reference)
    floor = top + step * len(rows)
    ticks = scale.ticks(5 if narrow else 7)
    decimals = decimals_of(ticks)
    for tick in ticks:
        drawing.line(scale(tick), top, scale(tick), floor, "grid")
        drawing.text(scale(tick), floor + 16, fixed(tick, decimals), "muted small", "middle")
    if reference is not None:
        drawing.line(scale(reference), top, scale(reference), floor, "rule")
    drawing.text((left + right) / 2, floor + 36, label, "muted", "middle")
    for index, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = top + step * (index + 0.5)
        if narrow:
            for start, text in ((left, name), (right - text_width(row.said), row.said)):
                drawing.rectangle(start, y - 18, text_width(text), 16, "paper")  # no rule runs through the words
            drawing.text(left, y - 6, name)
            drawing.text(right, y - 6, row.said, "muted", "end")
            y += 8
        else:
            drawing.text(left - 20, y + 4, name, "", "end")
            drawing.text(width - 4, y + 4, row.said, "muted", "end")
        _whisker(drawing, row, scale, y)
    return drawing.markup()


def _scale(rows: Sequence[Row], left: float, right: float, reference: float | None) -> Scale:
    ends = [end for row in rows for end in (row.interval.value, row.interval.low, row.interval.high) if end is not None]
    ends += [] if reference is None else [reference]
    low, high = min(ends), max(ends)
    pad = 0.06 * (high - low) or 0.02
    if reference is None and low >= 0 and high <= 1:
        return Scale(max(0.0, low - pad), min(1.0, high + pad), left, right)
    return Scale(low - pad, high + pad, left, right)


def _whisker(drawing: Drawing, row: Row, scale: Scale, y: float) -> None:
    interval, colour = row.interval, row.entrant.colour
    if interval.low is not None and interval.high is not None:
        low, high = scale(interval.low), scale(interval.high)
        drawing.raw(f'<g class="k{colour % COLOURS}">')
        drawing.line(low, y, high, y, "stroke")
        drawing.line(low, y - 4, low, y + 4, "stroke")
        drawing.line(high, y - 4, high, y + 4, "stroke")
        drawing.raw("</g>")
    drawing.marker(scale(interval.value), y, colour, f"{row.entrant.name}: {row.said}", radius=5)
