"""A search drawn: the best score so far, every setting as a line, what mattered. It computes no importance."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from toolkit.report.svg import Drawing, Scale, decimals_of
from toolkit.report.text import fixed, percent, shortened

Record = Mapping[str, Any]  # a trial of search.json
ORIGINS = {"defaults": 1, "random": 7, "grid": 7, "suggested": 0, "promoted": 0}  # colours
LOWER_IS_BETTER = ("log_loss",)


def sign_of(objective: str) -> int:
    """1 where lower is better, -1 where higher is."""
    return 1 if objective in LOWER_IS_BETTER else -1


def progress(trials: Sequence[Record], objective: str, across: str, width: float) -> Markup | None:
    """Scores in their order and the best so far; `across` is `trials` or `seconds`. The worst quarter may lie above."""
    ended = [trial for trial in trials if trial["status"] == "finished" and trial["share"] == 1]
    if len(ended) < 2:
        return None
    left, right, top, floor = 56.0, width - 12, 26.0, 236.0
    places = [trial["number"] + 1 if across == "trials" else trial["elapsed_seconds"] for trial in ended]
    scores = [trial["metrics"][objective] for trial in ended]
    low, high = _shown(scores, sign_of(objective))
    drawing = Drawing(width, floor + 40, f"{objective} by {across}")
    x, y = Scale(0, max(places) * 1.02, left, right), Scale(low, high, floor, top)
    _axes(drawing, x, y, f"{objective}, validation", across)
    path: list[tuple[float, float]] = []
    best: float | None = None
    for place, score in zip(places, scores, strict=True):
        if best is None or sign_of(objective) * score < sign_of(objective) * best:
            path += [(x(place), y(best))] if best is not None else []
            path, best = [*path, (x(place), y(score))], score
    drawing.raw('<g class="k0">')
    drawing.polyline([*path, (x(max(places)), y(best if best is not None else 0))], "stroke")
    drawing.raw("</g>")
    for trial, place, score in zip(ended, places, scores, strict=True):
        tip = f"trial {trial['number']}, {trial['origin']}: {fixed(score, 4)}"
        drawing.marker(x(place), y(score), ORIGINS[trial["origin"]], tip, trial["origin"] != "suggested", 3.5)
    return drawing.markup()


def parallel(trials: Sequence[Record], objective: str, names: Sequence[str], width: float) -> Markup | None:
    """A line for each trial through its values, the best tenth (three at least) in colour; axes as given."""
    ended = [trial for trial in trials if trial["status"] == "finished" and trial["share"] == 1]
    if len(ended) < 3 or not names:
        return None
    ranked = sorted(ended, key=lambda trial: -sign_of(objective) * trial["metrics"][objective])  # the best drawn last
    shown = max(3, len(ranked) // 10)
    left, right, top, floor = 64.0, width - 64, 46.0, 270.0
    drawing = Drawing(width, floor + 30, "settings of all trials")
    gap = (right - left) / max(len(names) - 1, 1)
    axes = {name: _places(ended, name, top, floor) for name in names}
    for number, trial in enumerate(ranked):
        aside = 7 * (2 * number / len(ranked) - 1)  # pixels, so that lines through one choice can be told apart
        points = [
            (left + place * gap, axes[name][0](trial["values"][name]) + aside * axes[name][2])
            for place, name in enumerate(names)
            if name in trial["values"]
        ]
        good = number >= len(ranked) - shown
        drawing.raw(f'<g class="{"k0" if good else "k7"}" opacity="{0.9 if good else 0.22}">')
        drawing.polyline(points, "stroke")
        drawing.raw("</g>")
    room = max(6, int(gap / 6.6))
    for place, name in enumerate(names):
        at = left + place * gap
        drawing.line(at, top, at, floor, "rule")
        lift = 16 if place % 2 and gap < 110 else 0
        drawing.text(at, top - 12 - lift, shortened(name, room * (2 if gap < 110 else 1)), "strong small", "middle")
        for text, height in axes[name][1]:
            drawing.text(at + 5, height + 4, shortened(text, room), "muted small halo")
    return drawing.markup()


def importance_bars(shares: Mapping[str, float], width: float) -> Markup | None:
    """A bar for each hyper-parameter."""
    if not shares:
        return None
    left, row = min(170.0, width * 0.4), 24.0
    drawing = Drawing(width, row * len(shares) + 8, "importance of each hyper-parameter")
    scale = Scale(0, max(shares.values()) or 1, 0, width - left - 64)
    for number, (name, share) in enumerate(shares.items()):
        y = 4 + number * row
        drawing.text(left - 10, y + 15, shortened(name, 22), "", "end")
        drawing.rectangle(left, y + 3, max(scale(share), 1), row - 8, "k0 fill")
        drawing.text(left + scale(share) + 8, y + 15, percent(share, 0), "muted small")
    return drawing.markup()


def _shown(scores: Sequence[float], sign: int) -> tuple[float, float]:
    """The range of scores drawn: runs that diverged would press all others flat, so the worst tenth may be cut off."""
    ordered = sorted(scores, key=lambda score: sign * score)
    best, worst = ordered[0], ordered[min(len(ordered) - 1, round(0.9 * (len(ordered) - 1)))]
    pad = 0.06 * abs(worst - best) or 0.01
    return min(best, worst) - pad, max(best, worst) + pad


def _axes(drawing: Drawing, x: Scale, y: Scale, title: str, below: str) -> None:
    ticks = y.ticks(6)
    for tick in ticks:
        drawing.line(x.start, y(tick), x.end, y(tick), "grid")
        drawing.text(x.start - 8, y(tick) + 4, fixed(tick, decimals_of(ticks)), "muted small", "end")
    for tick in x.ticks(6):
        drawing.text(x(tick), y.start + 18, f"{tick:,g}", "muted small", "middle")
    drawing.text(x.start, 10, title, "strong small")
    drawing.text((x.start + x.end) / 2, y.start + 36, below, "muted small", "middle")


def _places(trials: Sequence[Record], name: str, top: float, floor: float) -> tuple[Any, list[tuple[str, float]], bool]:
    """Where a value stands on its axis, the labels beside it, and whether it is one of a few choices."""
    values = [trial["values"][name] for trial in trials if name in trial["values"]]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    distinct = sorted(set(values)) if numbers else sorted({str(value) for value in values})
    if not numbers or len(distinct) <= 6:
        step = (floor - top) / max(len(distinct) - 1, 1)
        heights = {value: floor - place * step if len(distinct) > 1 else floor for place, value in enumerate(distinct)}
        labels = [(f"{value:g}" if numbers else str(value), height) for value, height in heights.items()]
        return (lambda value: heights[value if numbers else str(value)]), labels, True
    low, high = float(distinct[0]), float(distinct[-1])
    log = low > 0 and high / low > 30
    scale = Scale(low, high, floor, top, log)
    return scale, [(f"{tick:.3g}", scale(tick)) for tick in (low, high)], False
