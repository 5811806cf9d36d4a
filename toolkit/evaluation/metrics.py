"""The numbers themselves, without intervals: what scikit-learn's metrics give, from one pass. It knows no model."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.evaluation.calibration import expected_calibration_error
from toolkit.evaluation.confusion import confusion_matrix, confusion_metrics
from toolkit.evaluation.precision import double_precision, to_double, to_numpy
from toolkit.evaluation.ranking import Ranking, macro, rank_classes
from toolkit.evaluation.rows import Rows, read_rows

TOP = (3, 5)  # reported where there are more classes than that


@double_precision
def point_metrics(labels: Any, probabilities: Any) -> dict[str, float]:
    """Every metric of `evaluate` without its interval, by name, NaN where it is not defined.

    labels: int (N,), 0..K-1; probabilities: float (N, K), rows sum to 1. Equal to scikit-learn's to 1e-6, with its
    conventions for classes that do not occur (see `confusion_metrics`); `roc_auc` and `average_precision` are
    averages over the classes against the rest, and leave out classes without any row, for which scikit-learn gives
    NaN or 0.
    """
    rows = read_rows(labels, probabilities)
    confusion = confusion_matrix(rows.labels, rows.predicted, rows.classes)
    return metrics_of(rows, confusion, rank_classes(rows.labels, rows.probabilities, influence=False))


def metrics_of(rows: Rows, confusion: NDArray[np.int64], ranking: Ranking) -> dict[str, float]:
    """The metrics of rows that were read, their confusion matrix (K, K) and their ranking."""
    margins = (np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0))
    values = {name: float(to_numpy(value)) for name, value in confusion_metrics(*map(to_double, margins)).items()}
    values["log_loss"] = float(rows.log_loss.mean())
    values["brier"] = float(rows.brier.mean())
    values["ece"] = expected_calibration_error(rows.confidence, rows.correct)
    values["roc_auc"] = macro(ranking.roc_auc)
    values["average_precision"] = macro(ranking.average_precision)
    return values | {top_name(top): float(np.mean(rows.rank < top)) for top in tops(rows.classes)}


def tops(classes: int) -> tuple[int, ...]:
    """The k for which top-k accuracy says something about `classes` classes."""
    return tuple(top for top in TOP if top < classes)


def top_name(top: int) -> str:
    """The name of a top-k accuracy, such as `top_5_accuracy`."""
    return f"top_{top}_accuracy"
