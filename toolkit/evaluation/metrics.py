"""The numbers themselves, without intervals: what scikit-learn's metrics give, from one pass. It knows no model."""

from typing import Any

from toolkit.evaluation.evidence import Evidence, metric_values
from toolkit.evaluation.precision import double_precision
from toolkit.evaluation.ranking import rank_classes
from toolkit.evaluation.rows import read_rows


@double_precision
def point_metrics(labels: Any, probabilities: Any) -> dict[str, float]:
    """Every metric of `evaluate` without its interval, by name, NaN where it is not defined.

    labels: int (N,), 0..K-1; probabilities: float (N, K), rows sum to 1. Equal to scikit-learn's to 1e-6, with its
    conventions for classes that do not occur (see `confusion_metrics`); `roc_auc` and `average_precision` are averages
    over the classes against the rest, and leave out classes without any row, for which scikit-learn gives NaN or 0.
    """
    rows = read_rows(labels, probabilities)
    ranking = rank_classes(rows.labels, rows.probabilities, influence=False)
    return metric_values(Evidence(rows), ranking)
