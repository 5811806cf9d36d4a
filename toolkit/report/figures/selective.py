"""Risk by coverage: how often an answer is wrong if only the surest rows get one. The curves come from the run."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from toolkit.report.colours import COLOURS
from toolkit.report.reading import Entrant, Run
from toolkit.report.svg import Drawing, Scale, decimals_of, legend
from toolkit.report.text import percent

Curve = Sequence[tuple[float, float]]  # (coverage, risk), coverage rising
FEWEST = 0.02  # coverage left of which a curve says nothing: a row or two


def curve_of(entrant: Entrant) -> Curve:
    """The points as `compare` wrote them, empty where it wrote none."""
    found = selective_of(entrant)
    return list(zip(found.get("coverage") or (), found.get("risk") or (), strict=False))


def selective_of(entrant: Entrant) -> Mapping[str, Any]:
    """What the run has on answering only when sure."""
    return dict(entrant.values.get("selective") or {})


def risk_by_coverage(run: Run, width: float) -> Markup | None:
    """A line for each contestant: the share of wrong answers among the surest rows, over the share of rows answered."""
    curves = [(entrant, curve_of(entrant)) for entrant in run.entrants]
    curves = [(entrant, [point for point in curve if point[0] >= FEWEST]) for entrant, curve in curves]
    curves = [(entrant, curve) for entrant, curve in curves if len(curve) > 1]
    if not curves:
        return None
    left, right = 52.0, width - 12
    drawing = Drawing(width, 0, "share of wrong answers by share of rows answered")
    top = legend(drawing, [(entrant.colour, entrant.name) for entrant, _ in curves], 0, 14, width) + 4
    floor = top + (220.0 if width < 480 else 260.0)
    drawing.height = floor + 46
    highest = max(risk for _, curve in curves for _, risk in curve)
    across, up = Scale(0, 1, left, right), Scale(0, 1.06 * highest or 0.01, floor, top)
    ticks = up.ticks(6)
    for tick in ticks:
        drawing.line(left, up(tick), right, up(tick), "grid")
        drawing.text(left - 8, up(tick) + 4, percent(tick, max(0, decimals_of(ticks) - 2)), "muted small", "end")
    for tick in (0, 0.25, 0.5, 0.75, 1):
        drawing.line(across(tick), top, across(tick), floor, "grid")
        drawing.text(across(tick), floor + 16, percent(tick, 0), "muted small", "middle" if tick < 1 else "end")
    for entrant, curve in curves:
        drawing.raw(f'<g class="k{entrant.colour % COLOURS}">')
        drawing.polyline(thinned([(across(coverage), up(risk)) for coverage, risk in curve]), "stroke")
        drawing.raw("</g>")
        coverage, risk = curve[-1]
        drawing.marker(across(coverage), up(risk), entrant.colour, f"{entrant.name}: {percent(risk)} wrong of all")
    drawing.text((left + right) / 2, floor + 38, "share of rows answered, the surest first", "muted", "middle")
    drawing.upright(12, (top + floor) / 2, "wrong answers", "muted", "middle")
    return drawing.markup()


def thinned(points: Sequence[tuple[float, float]], apart: float = 1.0) -> list[tuple[float, float]]:
    """The points (x, y) in pixels that are at least so far from the one kept before, across or up; and the last."""
    kept = [points[0]]
    for x, y in points[1:]:
        if abs(x - kept[-1][0]) >= apart or abs(y - kept[-1][1]) >= apart:
            kept.append((x, y))
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]
