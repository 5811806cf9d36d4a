"""Reliability diagrams: whether a confidence of 80 % is right 80 times in 100. The ECE itself comes from the run."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from toolkit.report.colours import COLOURS
from toolkit.report.reading import Entrant, Run
from toolkit.report.svg import Drawing, Scale
from toolkit.report.text import count, percent

BINS = 10


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence lies in one tenth."""

    count: int
    confidence: float  # mean
    accuracy: float


def reliability_bins(confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = BINS) -> list[Bin]:
    """Confidence (N,) and whether it was right (N,) -> the bins of equal width that hold any."""
    place = np.clip(np.ceil(np.asarray(confidence, np.float64) * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sums = np.bincount(place, confidence, minlength=bins)
    hits = np.bincount(place, correct, minlength=bins)
    return [Bin(int(n), float(c / n), float(h / n)) for n, c, h in zip(counts, sums, hits, strict=True) if n]


def reliability(run: Run, entrant: Entrant, width: float) -> Markup | None:
    """Accuracy over confidence with the gap to the diagonal, and below it how many predictions were that confident."""
    if entrant.predicted is None or entrant.confidence is None:
        return None
    bins = reliability_bins(entrant.confidence, entrant.predicted == run.labels)
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
    drawing.raw(f'<g class="k{entrant.colour % COLOURS}">')
    for one in bins:
        x, high, low = (
            across(one.confidence),
            up(max(one.accuracy, one.confidence)),
            up(min(one.accuracy, one.confidence)),
        )
        drawing.rectangle(x - 5, high, 10, max(low - high, 0.5), "faint")
    drawing.polyline([(across(one.confidence), up(one.accuracy)) for one in bins], "stroke")
    tallest = max(one.count for one in bins)
    for one in bins:
        height = max(1.0, 40 * one.count / tallest)
        x = across((min(int(np.ceil(one.confidence * BINS)), BINS) or 1) / BINS)
        drawing.rectangle(x - (right - left) / BINS + 1, base - height, (right - left) / BINS - 2, height, "bar")
    drawing.raw("</g>")
    for one in bins:
        tip = (
            f"{count(one.count)} predictions, {percent(one.confidence)} sure on average: {percent(one.accuracy)} right"
        )
        drawing.marker(
            across(one.confidence), up(one.accuracy), entrant.colour, tip, radius=2 + 2.5 * (one.count / tallest) ** 0.5
        )
    drawing.line(left, base, right, base, "axis")
    drawing.text((left + right) / 2, base + 36, "confidence", "muted", "middle")
    drawing.upright(10, (top + floor) / 2, "accuracy", "muted", "middle")
    return drawing.markup()
