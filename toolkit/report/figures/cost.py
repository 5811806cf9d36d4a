"""What accuracy costs: a scatter for each cost, those whom nobody beats in both marked. It measures nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from toolkit.report.colours import COLOURS
from toolkit.report.reading import Entrant, Run
from toolkit.report.svg import Drawing, Scale, decimals_of, text_width
from toolkit.report.text import count, fixed, seconds, shortened, size


@dataclass(frozen=True)
class Price:
    """A cost that a run may have: where it stands in comparison.json, what it is called, how it is written."""

    key: str
    head: str  # of a column
    label: str  # of an axis
    paths: tuple[tuple[str, ...], ...]  # the first that is there counts
    written: Callable[[float | None], str]

    def of(self, entrant: Entrant) -> float | None:
        """The cost of a contestant; None where it is missing or not above zero."""
        for path in self.paths:
            value = entrant.number(*path)
            if value is not None and value > 0:
                return value
        return None


PRICES = (
    Price(
        "batch",
        "image, in a batch",
        "time for an image in a batch",
        (("cost", "batch_seconds_per_image"), ("predict_seconds_per_image",)),
        seconds,
    ),
    Price("one", "one image alone", "time for one image alone, median", (("cost", "one_image_p50_seconds"),), seconds),
    Price(
        "one_p95",
        "one image alone, p95",
        "time for one image alone, 95th percentile",
        (("cost", "one_image_p95_seconds"),),
        seconds,
    ),
    Price("fit", "fit", "time to fit", (("fit_seconds",),), seconds),
    Price("size", "size", "size", (("size_bytes",),), size),
    Price("parameters", "parameters", "parameters", (("cost", "parameters"), ("parameters",)), count),
    Price("memory", "peak memory", "peak memory while predicting", (("cost", "peak_memory_bytes"),), size),
    Price("device", "peak on the GPU", "peak memory of the accelerator", (("cost", "device_peak_bytes"),), size),
)


PRICES_BY_KEY = {price.key: price for price in PRICES}


def known_prices(run: Run) -> list[Price]:
    """The costs that two contestants or more have."""
    return [price for price in PRICES if sum(price.of(entrant) is not None for entrant in run.entrants) > 1]


def front(run: Run, price: Price) -> list[Entrant]:
    """Contestants that no other equals in accuracy for less, or beats for the same; the cheapest first."""
    points = [
        (cost, -_accuracy(entrant), entrant) for entrant in run.entrants if (cost := price.of(entrant)) is not None
    ]
    best: list[Entrant] = []
    for _, _, entrant in sorted(points, key=lambda point: point[:2]):
        if not best or _accuracy(entrant) > _accuracy(best[-1]):
            best.append(entrant)
    return best


def cost_against_accuracy(run: Run, price: Price, width: float) -> Markup | None:
    """Accuracy over the logarithm of a cost; the front is filled and joined. None for fewer than two contestants."""
    entrants = [entrant for entrant in run.entrants if price.of(entrant) is not None]
    if len(entrants) < 2:
        return None
    narrow = width < 480
    height = 320.0 if narrow else 360.0
    drawing = Drawing(width, height, f"accuracy against {price.label}")
    costs = [price.of(entrant) or 1.0 for entrant in entrants]
    across = Scale(min(costs) / 1.6, max(costs) * 1.6, 52.0, width - 12, log=True)
    up = _accuracy_scale(entrants, height - 50, 14.0)
    _axes(drawing, across, up, price, 5 if narrow else 8)
    best = front(run, price)
    corners = [(across(price.of(entrant) or 1.0), up(_accuracy(entrant))) for entrant in best]
    steps = [(corners[0][0], up.start), corners[0]]
    for x, y in corners[1:]:
        steps += [(x, steps[-1][1]), (x, y)]
    drawing.polyline([*steps, (across.end, steps[-1][1])], "front")
    points = [(across(cost), up(_accuracy(entrant))) for cost, entrant in zip(costs, entrants, strict=True)]
    for (x, y), entrant in zip(points, entrants, strict=True):
        _point(drawing, entrant, x, y, up, price, hollow=entrant not in best)
    names = [shortened(entrant.name, 18 if narrow else 30) for entrant in entrants]
    whiskers = [box for (x, _), entrant in zip(points, entrants, strict=True) for box in _whisker(entrant, x, up)]
    places = place_labels(points, [text_width(name, 14) for name in names], across.start, across.end, whiskers)
    for name, entrant, (x, y) in zip(names, entrants, places, strict=True):
        drawing.text(x, y, name, "halo strong" if entrant in best else "halo")
    return drawing.markup()


def _accuracy(entrant: Entrant) -> float:
    interval = entrant.metric("accuracy")
    return interval.value if interval else 0.0


def _accuracy_scale(entrants: Sequence[Entrant], floor: float, top: float) -> Scale:
    ends = []
    for entrant in entrants:
        interval = entrant.metric("accuracy")
        if interval:
            ends += [end for end in (interval.low, interval.value, interval.high) if end is not None]
    pad = 0.08 * (max(ends) - min(ends)) or 0.02
    return Scale(max(0.0, min(ends) - pad), min(1.0, max(ends) + pad), floor, top)


def _axes(drawing: Drawing, across: Scale, up: Scale, price: Price, most: int) -> None:
    ticks = up.ticks(6)
    decimals = decimals_of(ticks)
    for tick in ticks:
        drawing.line(across.start, up(tick), across.end, up(tick), "grid")
        drawing.text(across.start - 8, up(tick) + 4, fixed(tick, decimals), "muted small", "end")
    for tick in across.ticks(most):
        drawing.line(across(tick), up.end, across(tick), up.start, "grid")
        drawing.text(across(tick), up.start + 16, price.written(tick), "muted small", "middle")
    drawing.upright(12, (up.start + up.end) / 2, "accuracy", "muted", "middle")
    drawing.text((across.start + across.end) / 2, up.start + 38, price.label, "muted", "middle")


def _point(drawing: Drawing, entrant: Entrant, x: float, y: float, up: Scale, price: Price, hollow: bool) -> None:
    interval = entrant.metric("accuracy")
    if interval and interval.low is not None and interval.high is not None:
        drawing.raw(f'<g class="k{entrant.colour % COLOURS}">')
        drawing.line(x, up(interval.low), x, up(interval.high), "stroke")
        drawing.raw("</g>")
    tip = f"{entrant.name}: accuracy {fixed(_accuracy(entrant))}, {price.label} {price.written(price.of(entrant))}"
    drawing.marker(x, y, entrant.colour, tip, hollow=hollow, radius=5.5)


Box = tuple[float, float, float, float]  # left, top, right, bottom


def _whisker(entrant: Entrant, x: float, up: Scale) -> list[Box]:
    interval = entrant.metric("accuracy")
    if interval is None or interval.low is None or interval.high is None:
        return []
    return [(x - 2, up(interval.high), x + 2, up(interval.low))]


def place_labels(
    points: Sequence[tuple[float, float]],
    widths: Sequence[float],
    left: float,
    right: float,
    whiskers: Sequence[Box] = (),
) -> list[tuple[float, float]]:
    """Where the names of points begin (x, baseline): above them at a side, or elsewhere where something else stands."""
    taken = [*whiskers, *((x - 7, y - 7, x + 7, y + 7) for x, y in points)]
    places = []
    for (x, y), width in zip(points, widths, strict=True):
        starts, lifts = (x + 9, x - 9 - width, x - width / 2), (-12, 14, 0, -27, 29, -42, 44, -57, 59)
        near = [(start, y + 4 + lift) for lift in lifts for start in starts]
        inside = [place for place in near if left <= place[0] and place[0] + width <= right and place[1] > 12] or near
        boxes = [(start, base - 12, start + width, base + 3) for start, base in inside]
        best = min(range(len(boxes)), key=lambda index: (sum(_overlap(boxes[index], other) for other in taken), index))
        taken.append(boxes[best])
        places.append(inside[best])
    return places


def _overlap(one: Box, other: Box) -> float:
    """Area that two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(down, 0.0)
