"""F1 of every class, contestants side by side, the hardest class first. It takes the numbers from the run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from toolkit.report.reading import Interval, Run, as_interval
from toolkit.report.svg import Drawing, Scale, decimals_of, legend, text_width
from toolkit.report.text import count, fixed, shortened


@dataclass(frozen=True)
class ClassRow:
    """A class with the F1 of each contestant, in the order of the run; None where it is undefined."""

    name: str
    support: int
    scores: tuple[Interval | None, ...]

    @property
    def known(self) -> list[float]:
        """The values that are defined."""
        return [score.value for score in self.scores if score]

    @property
    def mean(self) -> float:
        """Over the contestants; above every F1 where none is defined, so that such classes come last."""
        return sum(self.known) / len(self.known) if self.known else 2.0

    @property
    def spread(self) -> float | None:
        """The best contestant minus the worst."""
        return max(self.known) - min(self.known) if self.known else None


def class_rows(run: Run) -> list[ClassRow]:
    """Every class, the hardest first; empty where the run has no scores of classes."""
    tables = [entrant.values.get("per_class") or () for entrant in run.entrants]
    if not all(isinstance(table, Sequence) and len(table) == run.classes for table in tables):
        return []
    rows = []
    for index, name in enumerate(run.class_names):
        scores = tuple(as_interval(table[index].get("f1")) for table in tables)
        rows.append(ClassRow(name, int(tables[0][index].get("support", 0)), scores))
    return sorted(rows, key=lambda row: row.mean)


def class_scores(run: Run, width: float) -> Markup | None:
    """One line a class: the signs of all contestants, joined by the spread between them."""
    rows = class_rows(run)
    if not rows:
        return None
    many = len(rows) > 30
    step = 15.0 if many else 30.0
    names = [shortened(row.name, 18 if width < 480 else 30) for row in rows]
    size = 11 if many else 12
    left = 24 + max(text_width(name, size) for name in names)
    right = width - 46
    drawing = Drawing(width, 0, "F1 of each class")
    top = legend(drawing, [(one.colour, one.name) for one in run.entrants], 0, 14, width) + 18
    floor = top + step * len(rows)
    drawing.height = floor + 26
    known = [value for row in rows for value in row.known] or [0.0, 1.0]
    low, high = math.floor(10 * min(known)) / 10, math.ceil(10 * max(known)) / 10
    across = Scale(min(low, 0.9), max(high, low + 0.1, 0.1), left, right)
    ticks = across.ticks(5 if width < 480 else 9)
    for tick in ticks:
        drawing.line(across(tick), top, across(tick), floor, "grid")
        for y in (top - 6, floor + 16):
            drawing.text(across(tick), y, fixed(tick, decimals_of(ticks)), "muted small", "middle")
    drawing.text(width - 4, top - 6, "rows", "muted small", "end")
    for index, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = top + step * (index + 0.5)
        drawing.text(left - 12, y + 4, name, "small" if many else "", "end")
        drawing.text(width - 4, y + 4, count(row.support), "muted small", "end")
        if row.known:
            drawing.line(across(min(row.known)), y, across(max(row.known)), y, "span")
        told = [(entrant, score) for entrant, score in zip(run.entrants, row.scores, strict=True) if score]
        radius = 3.4 if many else 4.5
        lifts = aside([across(score.value) for _, score in told], 2 * radius, step / 2 - radius)
        for (entrant, score), lift in reversed(list(zip(told, lifts, strict=True))):
            tip = f"{row.name}, {entrant.name}: F1 {fixed(score.value)}"
            drawing.marker(across(score.value), y + lift, entrant.colour, tip, radius=radius)
    return drawing.markup()


def aside(places: Sequence[float], near: float, most: float) -> list[float]:
    """How far up or down each sign steps, so that those less than `near` pixels apart are all seen: `most` at most."""
    lifts, order = [0.0] * len(places), sorted(range(len(places)), key=lambda index: places[index])
    while order:
        cluster = [order.pop(0)]
        while order and places[order[0]] - places[cluster[-1]] < near:
            cluster.append(order.pop(0))
        step = min(near, 2 * most / max(len(cluster) - 1, 1))
        for place, index in enumerate(cluster):
            lifts[index] = step * (place - (len(cluster) - 1) / 2)
    return lifts
