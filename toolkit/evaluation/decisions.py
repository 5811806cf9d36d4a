"""From probabilities to decisions: thresholds that keep a promise, and choices that cost least. It knows no model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.evaluation import device
from toolkit.evaluation.checks import Labels, check_arrays, check_confidence
from toolkit.evaluation.design import Design, check_design, skewness, standard_error
from toolkit.evaluation.intervals import Interval, skewed
from toolkit.evaluation.precision import double_precision, last_of_ties, to_double, to_numpy
from toolkit.evaluation.rows import read_probabilities, read_rows
from toolkit.evaluation.shares import proportion


@dataclass(frozen=True)
class Threshold:
    """A threshold of one class's probability, and what it gives on the rows it was chosen on."""

    threshold: float  # a row is called the class if its probability is at least this; infinity: none is
    precision: Interval  # undefined where no row is called the class
    recall: Interval  # undefined where the class has no row


@double_precision
def threshold_for(
    labels: Any,
    probabilities: Any,
    index: int,
    *,
    precision: float | None = None,
    recall: float | None = None,
    confidence: float = 0.95,
    design: Design | None = None,
) -> Threshold:
    """The threshold of class `index` for a wanted precision with the most recall, or the other way round.

    labels (N,), probabilities (N, K): validation rows. Where no threshold reaches the precision, it is infinity:
    nothing is called the class. Name exactly one of the two.
    """
    wanted = [goal for goal in (precision, recall) if goal is not None]
    rows = read_rows(labels, probabilities)
    if len(wanted) != 1 or not 0 < wanted[0] <= 1:
        raise InputError(f"Expected either a precision or a recall in (0, 1]. Received: {precision} and {recall}.")
    if not 0 <= index < rows.classes:
        raise InputError(f"Expected a class from 0 to {rows.classes - 1}. Received: {index}.")
    score, positive = rows.probabilities[:, index].astype(np.float64), rows.labels == index
    order = device.order(-score)
    last = last_of_ties(score[order])
    hits, called, total = np.cumsum(positive[order])[last], last + 1, int(positive.sum())
    if precision is not None:
        enough = np.flatnonzero(hits >= precision * called * (1 - 1e-12))
        chosen = enough[np.argmax(hits[enough])] if len(enough) else None
    else:
        enough = np.flatnonzero(hits >= wanted[0] * total * (1 - 1e-12)) if total else np.array([], dtype=np.int64)
        chosen = enough[np.argmax(hits[enough] / called[enough])] if len(enough) else None
    threshold = float("inf") if chosen is None else float(score[order][last[chosen]])
    return at_threshold(labels, probabilities, index, threshold, confidence=confidence, design=design)


@double_precision
def at_threshold(
    labels: Any,
    probabilities: Any,
    index: int,
    threshold: float,
    *,
    confidence: float = 0.95,
    design: Design | None = None,
) -> Threshold:
    """What a threshold of class `index`, chosen on other rows, gives on these: labels (N,), probabilities (N, K)."""
    check_confidence(confidence)
    rows = read_rows(labels, probabilities)
    design = check_design(design, len(rows.labels))
    if not 0 <= index < rows.classes:
        raise InputError(f"Expected a class from 0 to {rows.classes - 1}. Received: {index}.")
    called, positive = rows.probabilities[:, index].astype(np.float64) >= threshold, rows.labels == index
    shares = (proportion(called & positive, of, design, confidence) for of in (called, positive))
    return Threshold(threshold, *shares)


@double_precision
def decide(probabilities: Any, costs: Any) -> Labels:
    """Probabilities (N, K) and costs (K, D) of decision d for a row of class k -> the cheapest, int64 (N,).

    D need not be K: a last column may stand for asking a person. Elkan (IJCAI 2001).
    """
    matrix = _check_costs(costs, np.shape(probabilities)[-1] if np.ndim(probabilities) else 0)
    values = read_probabilities(probabilities)
    expected = ops.matmul(to_double(values), to_double(matrix))
    return np.asarray(to_numpy(ops.argmin(expected, axis=1)), dtype=np.int64)


def mean_cost(
    labels: Any, decisions: Any, costs: Any, confidence: float = 0.95, design: Design | None = None
) -> Interval:
    """What decisions (N,) cost on average when the classes are labels (N,), given costs (K, D), with its interval."""
    check_confidence(confidence)
    matrix = _check_costs(costs)
    truth, _ = check_arrays(labels, np.zeros((np.size(labels), len(matrix))))
    chosen = np.asarray(decisions)
    last = matrix.shape[1] - 1
    if chosen.shape != truth.shape or chosen.dtype.kind not in "iu" or np.any((chosen < 0) | (chosen > last)):
        raise InputError(f"Expected a decision from 0 to {last} for each row. Received: {chosen.dtype} {chosen.shape}.")
    paid = matrix[truth, chosen]
    value = float(paid.mean())
    design = check_design(design, len(paid))
    sums = design.sums((paid - value) / len(paid))
    bounds = (float(matrix.min()), float(matrix.max()))
    return skewed(value, standard_error(sums), skewness(sums), design.quantile(confidence), bounds, design.units)


def _check_costs(costs: Any, classes: int | None = None) -> NDArray[np.float64]:
    """The costs as float64 (K, D), or one line on what they should be."""
    matrix = np.asarray(costs, dtype=np.float64)
    if (
        matrix.ndim != 2
        or not matrix.size
        or not np.isfinite(matrix).all()
        or (classes is not None and len(matrix) != classes)
    ):
        rows = "K" if classes is None else str(classes)
        raise InputError(
            f"Expected finite costs with {rows} rows, one a class, and a column a decision, one or more. "
            f"Received: {matrix.shape}."
        )
    return matrix
