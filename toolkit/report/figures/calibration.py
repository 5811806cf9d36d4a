"""Reliability diagrams: whether a confidence of 80 % is right 80 times in 100. The bins come from the run."""

import math
from dataclasses import dataclass

from markupsafe import Markup

from toolkit.report.colours import COLOURS
from toolkit.report.reading import Entrant, Interval, as_interval
from toolkit.report.svg import Drawing, Scale
from toolkit.report.text import count, percent


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence lies in (low, high]."""

    low: float
    high: float
    count: int
    confidence: float  # mean
    accuracy: Interval


def bins_of(entrant: Entrant) -> list[Bin]:
    """The bins as `compare` wrote them, empty where it wrote none."""
    found = []
    for entry in dict(entrant.values.get("calibration") or {}).get("bins") or ():
        accuracy = as_interval(entry.get("accuracy"))
        if accuracy is not None:
            found.append(Bin(entry["low"], entry["high"], int(entry["rows"]), entry["confidence"], accuracy))
    return found


def reliability(entrant: Entrant, width: float) -> Markup | None:
    """Accuracy over confidence with its interval, and below it how many predictions were that confident."""
    bins = bins_of(entrant)
    if not bins:
        return None
    left, right, top = 50.0, width - 12, 8.0
    floor = top + (right - left)
    base = floor + 62
    drawing = Drawing(width, base + 44, f"reliability of {entrant.name}")
    across, up = Scale(0, 1, left, right), Scale(0, 1, floor, top)
    for tick in (0, 0.25, 0.5, 0.75, 1):
        drawing.line(across(tick), top, across(tick), floor, "grid")
        drawing.line(left, up(tick), right, up(tick), "grid")
        drawing.text(left - 6, up(tick) + 4, percent(tick, 0).replace(" ", ""), "muted small", "end")
        if tick in (0, 0.5, 1):
            drawing.text(across(tick), base + 16, percent(tick, 0).replace(" ", ""), "muted small", "middle")
    drawing.line(across(0), up(0), across(1), up(1), "rule")
    tallest = max(one.count for one in bins)
    drawing.raw(f'<g class="k{entrant.colour % COLOURS}">')
    for one in bins:
        x, low, high = across(one.confidence), one.accuracy.low, one.accuracy.high
        if low is not None and high is not None:
            drawing.rectangle(x - 4, up(high), 8, max(up(low) - up(high), 0.5), "faint")
        height = max(1.0, 40 * one.count / tallest)
        drawing.rectangle(across(one.low) + 1, base - height, across(one.high) - across(one.low) - 2, height, "bar")
    drawing.polyline([(across(one.confidence), up(one.accuracy.value)) for one in bins], "stroke")
    drawing.raw("</g>")
    for one in bins:
        said = f"{percent(one.confidence)} sure on average: {percent(one.accuracy.value)} right"
        tip = f"{count(one.count)} predictions, {said}"
        radius = 2 + 2.5 * math.sqrt(one.count / tallest)
        drawing.marker(across(one.confidence), up(one.accuracy.value), entrant.colour, tip, radius=radius)
    drawing.line(left, base, right, base, "axis")
    drawing.text((left + right) / 2, base + 36, "confidence", "muted", "middle")
    drawing.upright(10, (top + floor) / 2, "accuracy", "muted", "middle")
    return drawing.markup()
