"""The curves of one training as files of their own: by epoch, and by learning rate. It trains and judges nothing."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from markupsafe import Markup

from toolkit.report.colours import standalone
from toolkit.report.export import rasterise
from toolkit.report.figures.learning import learning_curve
from toolkit.report.reading import Entrant
from toolkit.report.svg import Drawing, Scale, decimals_of
from toolkit.report.text import fixed
from toolkit.runs import write_text


def write_curves(
    folder: Path, name: str, history: Mapping[str, Sequence[float | None]], best_epoch: int | None
) -> list[Path]:
    """Write loss.svg and accuracy.svg, and each as .png where the extra `figures` is installed; none for one epoch."""
    values: dict[str, Any] = {"history": history, "best_epoch": best_epoch}
    written = []
    for metric in ("loss", "accuracy"):
        figure = learning_curve(Entrant(name, 0, values), metric, 520.0)
        if figure is None:
            continue
        written += _write(folder / f"{metric}.svg", figure)
    return written


def write_rates(folder: Path, rates: Sequence[float], losses: Sequence[float], suggestion: float) -> list[Path]:
    """Write rates.svg, the loss at each learning rate that was tried, with the one suggested, and perhaps rates.png."""
    left, right, top, floor = 46.0, 508.0, 24.0, 150.0
    drawing = Drawing(520.0, floor + 38, f"loss by learning rate, {suggestion:g} suggested")
    low, high = min(losses), max(losses)
    pad = 0.05 * (high - low) or 0.05
    across = Scale(min(*rates, suggestion), max(rates), left, right, log=True)
    up = Scale(low - pad, high + pad, floor, top)
    ticks = up.ticks(5)
    for tick in ticks:
        drawing.line(left, up(tick), right, up(tick), "grid")
        drawing.text(left - 6, up(tick) + 4, fixed(tick, decimals_of(ticks)), "muted small", "end")
    for tick in across.ticks(8):
        drawing.text(across(tick), floor + 16, f"{tick:g}", "muted small", "middle")
    drawing.line(across(suggestion), top, across(suggestion), floor, "rule")
    drawing.raw('<g class="k0">')
    drawing.polyline([(across(rate), up(loss)) for rate, loss in zip(rates, losses, strict=True)], "stroke")
    drawing.raw("</g>")
    drawing.text(left, 14, "loss", "strong")
    drawing.text(across(suggestion) + 4, top + 10, f"{suggestion:g}", "small")
    drawing.text((left + right) / 2, floor + 34, "learning rate", "muted", "middle")
    return _write(folder / "rates.svg", drawing.markup())


def _write(path: Path, figure: Markup) -> list[Path]:
    text = standalone(str(figure))
    write_text(path, text)
    if find_spec("resvg_py") is None:
        return [path]
    picture = path.with_suffix(".png")
    picture.write_bytes(rasterise(text))
    return [path, picture]
