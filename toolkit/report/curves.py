"""The learning curves of one training as files of their own. It trains nothing and judges nothing."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit.report.colours import standalone
from toolkit.report.export import rasterise
from toolkit.report.figures.learning import learning_curve
from toolkit.report.reading import Entrant
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
        text = standalone(str(figure))
        written.append(folder / f"{metric}.svg")
        write_text(written[-1], text)
        if find_spec("resvg_py") is not None:
            written.append(folder / f"{metric}.png")
            written[-1].write_bytes(rasterise(text))
    return written
