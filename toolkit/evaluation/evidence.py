"""What one contestant's rows say about every metric: its value, and what each row does to it. It draws no interval."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.errors import unknown
from toolkit.evaluation.calibration import expected_calibration_error
from toolkit.evaluation.confusion import CONFUSION_METRICS, confusion_matrix, confusion_metrics
from toolkit.evaluation.precision import to_double, to_numpy
from toolkit.evaluation.ranking import Ranking, macro, rank_classes
from toolkit.evaluation.rows import Rows

Doubles = NDArray[np.float64]

TOP = (3, 5)  # the k of top-k accuracy, reported where there are more classes than that
AREAS = ("roc_auc", "average_precision")
BOUNDS = {"matthews": (-1.0, 1.0), "kappa": (-1.0, 1.0), "brier": (0.0, 2.0), "log_loss": (0.0, np.inf)}  # others 0..1
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece"})
STEP = 1e-3  # rows, by which totals are moved to see what they do; classes of one row are still moved little


@dataclass(frozen=True)
class Evidence:
    """Rows that were read, and all that follows from them, each computed when it is first asked for."""

    rows: Rows

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """int64 (K, K) [true, predicted]."""
        return confusion_matrix(self.rows.labels, self.rows.predicted, self.rows.classes)

    @cached_property
    def ranking(self) -> Ranking:
        """The areas with each row's influence on them."""
        return rank_classes(self.rows.labels, self.rows.probabilities)

    @cached_property
    def means(self) -> dict[str, Doubles]:
        """The metrics that are means over rows, as the values (N,) that they are means of."""
        rows = self.rows
        top = {f"top_{k}_accuracy": (rows.rank < k).astype(np.float64) for k in TOP if k < rows.classes}
        return {"accuracy": rows.correct.astype(np.float64), "log_loss": rows.log_loss, "brier": rows.brier, **top}

    @cached_property
    def values(self) -> dict[str, float]:
        """Every metric by name, NaN where it is not defined."""
        return metric_values(self, self.ranking)

    @cached_property
    def cells(self) -> dict[str, Doubles]:
        """For each metric of the confusion matrix what one row more in a cell does to it, (K, K)."""
        return cell_influence(self.confusion)

    def influence(self, metric: str) -> Doubles:
        """What each row does to the metric, (N,); its root sum of squares is the standard error of rows drawn alone."""
        if metric in self.means:
            values = self.means[metric]
            return (values - values.mean()) / len(values)
        if metric in CONFUSION_METRICS:
            return self.cells[metric][self.rows.labels, self.rows.predicted]
        if metric in AREAS:
            return np.asarray(getattr(self.ranking, f"{metric}_influence"))
        raise unknown("metric", metric, [*self.means, *CONFUSION_METRICS, *AREAS])


def metric_values(evidence: Evidence, ranking: Ranking) -> dict[str, float]:
    """Every metric by name, the areas from a ranking that need not know the rows' influence."""
    confusion = evidence.confusion
    margins = (np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0))
    values = {name: float(to_numpy(value)) for name, value in confusion_metrics(*map(to_double, margins)).items()}
    means = {name: float(mean.mean()) for name, mean in evidence.means.items()}
    areas = {name: macro(getattr(ranking, name)) for name in AREAS}
    ece = expected_calibration_error(evidence.rows.confidence, evidence.rows.correct)
    return values | means | {"ece": ece} | areas


def cell_influence(confusion: NDArray[np.int64]) -> dict[str, Doubles]:
    """int64 (K, K) -> for each of CONFUSION_METRICS the infinitesimal jackknife of its cells, (K, K); Jaeckel (1972).

    The metrics are functions of 3 K totals (hits, row sums, column sums); each total is moved a little, and a cell
    does what the totals do that it adds to. Cells of classes that do not occur are meaningless, and hold no row.
    """
    classes, rows = len(confusion), confusion.sum()
    margins = [to_double(part) for part in (np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0))]
    still = {name: to_numpy(value) for name, value in confusion_metrics(*margins).items()}
    step = STEP * ops.eye(classes, dtype="float64")
    slopes: dict[str, list[Doubles]] = {name: [] for name in CONFUSION_METRICS}
    for index in range(3):
        shape = (classes, classes)
        moved = [ops.broadcast_to(margin, shape) + (step if at == index else 0.0) for at, margin in enumerate(margins)]
        for name, value in confusion_metrics(*moved).items():
            slopes[name].append((to_numpy(value) - still[name]) / STEP)
    influence = {}
    for name, (hits, true, predicted) in slopes.items():
        cell = true[:, None] + predicted[None, :] + np.diag(hits)
        occupied = np.where(confusion > 0, cell, 0.0)
        influence[name] = occupied - np.sum(occupied * confusion) / rows
    return influence
