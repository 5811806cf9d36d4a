"""Learning curves: loss and accuracy an epoch, on rows learned from and on rows held back. It trains nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from toolkit.report.colours import COLOURS
from toolkit.report.reading import Entrant
from toolkit.report.svg import Drawing, Scale, decimals_of
from toolkit.report.text import fixed

HELD_BACK = ("holdout_", "val_", "validation_")


def history_of(entrant: Entrant) -> Mapping[str, Sequence[float]]:
    """The values an epoch of a network, empty for contestants that have none."""
    history = entrant.values.get("history") or entrant.details.get("history") or {}
    kept = {}
    for key, values in dict(history).items():
        if isinstance(values, Sequence) and len(values) > 1 and all(isinstance(value, int | float) for value in values):
            kept[str(key)] = [float(value) for value in values]
    return kept


def learning_curve(entrant: Entrant, metric: str, width: float) -> Markup | None:
    """`loss` or `accuracy` by epoch, whole for rows learned from, dashed for those held back; the kept epoch marked."""
    history = history_of(entrant)
    held = next((history[prefix + metric] for prefix in HELD_BACK if prefix + metric in history), None)
    learned = history.get(metric)
    curves = [(values, kind) for values, kind in ((learned, "stroke"), (held, "dashed")) if values]
    if not curves:
        return None
    left, right, top, floor = 46.0, width - 12, 24.0, 150.0
    drawing = Drawing(width, floor + 38, f"{metric} of {entrant.name} by epoch")
    epochs = max(len(values) for values, _ in curves)
    low, high = (extreme(value for values, _ in curves for value in values) for extreme in (min, max))
    pad = 0.05 * (high - low) or 0.05
    across, up = Scale(1, epochs, left, right), Scale(low - pad, high + pad, floor, top)
    ticks = up.ticks(5)
    for tick in ticks:
        drawing.line(left, up(tick), right, up(tick), "grid")
        drawing.text(left - 6, up(tick) + 4, fixed(tick, decimals_of(ticks)), "muted small", "end")
    for tick in across.ticks(6):
        if tick == int(tick):
            drawing.text(across(tick), floor + 16, f"{int(tick)}", "muted small", "middle")
    best: Any = entrant.values.get("best_epoch", entrant.details.get("best_epoch"))
    if isinstance(best, int) and 0 <= best < epochs:
        drawing.line(across(best + 1), top, across(best + 1), floor, "rule")
    drawing.raw(f'<g class="k{entrant.colour % COLOURS}">')
    for values, kind in curves:
        drawing.polyline([(across(epoch + 1), up(value)) for epoch, value in enumerate(values)], kind)
    drawing.raw("</g>")
    drawing.text(left, 14, metric, "strong")
    drawing.text((left + right) / 2, floor + 34, "epoch", "muted", "middle")
    return drawing.markup()
