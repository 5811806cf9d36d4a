"""Confusion matrices that stay light with a hundred classes: one path for each shade. It counts nothing itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from toolkit.report.colours import LEVELS
from toolkit.report.reading import Entrant, Run
from toolkit.report.svg import Drawing, text_width
from toolkit.report.text import shortened

NAMED = 40  # classes up to which names stand along the sides
EACH = 10  # of more classes than that, every tenth is named
COUNTED = 12  # classes up to which the counts stand in the cells


@dataclass(frozen=True)
class Mistake:
    """A cell off the diagonal."""

    true: int
    predicted: int
    count: int
    share: float  # of the rows of the true class


def confusion_of(entrant: Entrant) -> NDArray[np.int64] | None:
    """int64 (K, K) [true, predicted] as the run has it, None where it has none."""
    matrix = np.asarray(entrant.values.get("confusion") or 0)
    return matrix.astype(np.int64) if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] else None


def worst_mistakes(matrix: NDArray[np.int64], most: int = 10) -> list[Mistake]:
    """The cells off the diagonal with the most rows in them; ties in the order of the classes."""
    off = matrix.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:most]
    totals = matrix.sum(axis=1)
    found = []
    for true, predicted in zip(*np.unravel_index(order, off.shape), strict=True):
        if off[true, predicted]:
            count = int(off[true, predicted])
            found.append(Mistake(int(true), int(predicted), count, count / int(totals[true])))
    return found


def shade(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """(K, K) -> level 0..LEVELS-1 of each cell, -1 where nothing is: the square root of its share of the true class."""
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    levels = np.ceil(np.sqrt(matrix / totals) * (LEVELS - 1)).astype(np.int64)
    return np.where(matrix > 0, np.minimum(levels, LEVELS - 1), -1)


def confusion_figure(run: Run, entrant: Entrant, width: float) -> Markup | None:
    """Rows are the true classes, columns the predicted ones, darker the larger the share of the true class."""
    matrix = confusion_of(entrant)
    if matrix is None:
        return None
    classes = len(matrix)
    width = min(width, 150.0 + 66 * classes)
    names = [shortened(name, 12 if width < 480 else 16) for name in _names(run, classes)]
    named = classes <= NAMED and (width - 40) / classes >= 11
    shown = range(classes) if named else range(0, classes, EACH)
    left = top = 34 + max(text_width(names[index], 11) for index in shown)
    side = width - left - 4
    cell = side / classes
    drawing = Drawing(width, top + side + 4, f"confusion matrix of {entrant.name}")
    drawing.text(left + side / 2, 13, "predicted", "muted", "middle")
    drawing.upright(13, top + side / 2, "true", "muted", "middle")
    for index in shown:
        middle = left + (index + 0.5) * cell + 4
        drawing.text(left - 8, middle, names[index], "small", "end")
        drawing.upright(middle, top - 8, names[index], "small")
    drawing.raw(f'<g class="cells k0" transform="translate({left:.2f} {top:.2f}) scale({cell:.5f})">')
    drawing.raw(_cells(shade(matrix)))
    drawing.raw('<rect class="cross" width="1" height="1" visibility="hidden"/></g>')
    drawing.rectangle(left, top, side, side, "frame")
    if classes <= COUNTED:
        _counts(drawing, matrix, left, top, cell)
    return drawing.markup("confusion")


def _names(run: Run, classes: int) -> Sequence[str]:
    return run.class_names if len(run.class_names) == classes else [str(index) for index in range(classes)]


def _cells(levels: NDArray[np.int64]) -> str:
    """A path for each level that occurs, cells of one row that touch joined to one bar."""
    paths = []
    for level in range(LEVELS):
        strokes = []
        for y, row in enumerate(levels == level):
            edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
            strokes += [f"M{start} {y}h{end - start}v1h{start - end}z" for start, end in edges.reshape(-1, 2)]
        if strokes:
            paths.append(f'<path class="q{level}" d="{"".join(strokes)}"/>')
    return "".join(paths)


def _counts(drawing: Drawing, matrix: NDArray[Any], left: float, top: float, cell: float) -> None:
    levels = shade(matrix)
    for (true, predicted), number in np.ndenumerate(matrix):
        if number:
            kind = "light small" if levels[true, predicted] > LEVELS // 2 else "small"
            x, y = left + (predicted + 0.5) * cell, top + (true + 0.5) * cell + 4
            drawing.text(x, y, f"{number}", f"{kind} count", "middle")
