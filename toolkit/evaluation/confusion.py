"""Metrics that are functions of the confusion matrix, for one matrix or a stack of them. It sees no row."""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.evaluation.checks import Labels
from toolkit.evaluation.device import tally

CONFUSION_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "weighted_precision",
    "weighted_recall",
    "weighted_f1",
    "matthews",
    "kappa",
)


def confusion_matrix(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """int64 (N,), (N,) -> int64 (K, K), rows are the true class, columns the predicted one."""
    cells = tally(labels * classes + predicted, classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def ratio(numerator: Any, denominator: Any, otherwise: float = 0.0) -> Any:
    """The numerator over the denominator, and `otherwise` where the denominator is 0."""
    defined = denominator > 0
    return ops.where(defined, numerator / ops.where(defined, denominator, 1.0), otherwise)


def per_class(hits: Any, support: Any, predicted: Any) -> tuple[Any, Any, Any]:
    """Precision, recall and F1 (..., K) from three float64 tensors (..., K), 0 where undefined, as in scikit-learn."""
    return ratio(hits, predicted), ratio(hits, support), ratio(2 * hits, support + predicted)


def confusion_metrics(hits: Any, support: Any, predicted: Any) -> dict[str, Any]:
    """All of CONFUSION_METRICS (...), from the diagonals, row sums and column sums of matrices, float64 (..., K).

    Macro averages run over the classes that occur among the labels or the predictions, balanced accuracy over those
    that occur among the labels; precision or recall of such a class that cannot be computed counts as 0, Matthews is
    0 where it cannot be, kappa NaN: all as scikit-learn does. Matthews for K classes: Gorodkin (2004),
    doi:10.1016/j.compbiolchem.2004.09.006.
    """
    precision, recall, f1 = per_class(hits, support, predicted)
    rows, correct = ops.sum(support, axis=-1), ops.sum(hits, axis=-1)
    occurs = ops.cast(support + predicted > 0, hits.dtype)
    true_occurs = ops.cast(support > 0, hits.dtype)
    chance = ops.sum(support * predicted, axis=-1) / rows
    true_spread = rows - ops.sum(support * support, axis=-1) / rows
    predicted_spread = rows - ops.sum(predicted * predicted, axis=-1) / rows
    macro = [ops.sum(value * occurs, axis=-1) / ops.sum(occurs, axis=-1) for value in (precision, recall, f1)]
    weighted = [ops.sum(value * support, axis=-1) / rows for value in (precision, recall, f1)]
    values = (
        correct / rows,
        ops.sum(recall * true_occurs, axis=-1) / ops.sum(true_occurs, axis=-1),
        *macro,
        *weighted,
        ratio(correct - chance, ops.sqrt(ops.maximum(true_spread * predicted_spread, 0.0))),
        ratio(correct - chance, rows - chance, float("nan")),
    )
    return dict(zip(CONFUSION_METRICS, values, strict=True))
