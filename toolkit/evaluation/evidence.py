"""What one contestant's rows say about every metric: its value, and what each row does to it. It draws no interval."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import unknown
from toolkit.evaluation.calibration import expected_calibration_error
from toolkit.evaluation.confusion import CONFUSION_METRICS, confusion_matrix, confusion_metrics
from toolkit.evaluation.precision import blocks, to_double, to_numpy
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
    def of_confusion(self) -> dict[str, float]:
        """The metrics of the confusion matrix."""
        margins = (np.diagonal(self.confusion), self.confusion.sum(axis=1), self.confusion.sum(axis=0))
        return {name: float(to_numpy(value)) for name, value in confusion_metrics(*map(to_double, margins)).items()}

    def value(self, metric: str) -> float:
        """One metric, without the others where they are not needed for it."""
        if metric in self.means:
            return float(self.means[metric].mean())
        return self.of_confusion[metric] if metric in CONFUSION_METRICS else self.values[metric]

    @cached_property
    def slopes(self) -> dict[str, Doubles]:
        """For each metric of the confusion matrix what a hit, a label and a prediction more of a class do, (3, K)."""
        return slopes(self.confusion)

    def influence(self, metric: str) -> Doubles:
        """What each row does to the metric, (N,); its root sum of squares is the standard error of rows drawn alone.

        The infinitesimal jackknife: Jaeckel (1972), Efron (1982).
        """
        if metric in self.means:
            values = self.means[metric]
            return (values - values.mean()) / len(values)
        if metric in CONFUSION_METRICS:
            hit, label, prediction = self.slopes[metric]
            values = (
                label[self.rows.labels] + prediction[self.rows.predicted] + hit[self.rows.labels] * self.rows.correct
            )
            return values - values.mean()
        if metric in AREAS:
            return np.asarray(getattr(self.ranking, f"{metric}_influence"))
        raise unknown("metric", metric, {*self.means, *CONFUSION_METRICS, *AREAS})


def metric_values(evidence: Evidence, ranking: Ranking) -> dict[str, float]:
    """Every metric by name, the areas from a ranking that need not know the rows' influence."""
    means = {name: float(mean.mean()) for name, mean in evidence.means.items()}
    areas = {name: macro(getattr(ranking, name)) for name in AREAS}
    ece = expected_calibration_error(evidence.rows.confidence, evidence.rows.correct)
    return evidence.of_confusion | means | {"ece": ece} | areas


def slopes(confusion: NDArray[np.int64]) -> dict[str, Doubles]:
    """int64 (K, K) -> for each of CONFUSION_METRICS what a hit, a label and a prediction more of each class do, (3, K).

    The metrics are functions of those 3 K totals; each is moved by a small part of a row. For classes that do not
    occur the slopes are meaningless, and no row asks for them.
    """
    classes = len(confusion)
    margins = [to_double(part) for part in (np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0))]
    still = {name: float(to_numpy(value)) for name, value in confusion_metrics(*margins).items()}
    found = {name: np.empty((3, classes)) for name in CONFUSION_METRICS}
    for index in range(3):
        for block in blocks(classes, 3 * classes):
            step = to_double(STEP * np.eye(classes)[block])
            moved = [margin[None] + (step if at == index else 0 * step) for at, margin in enumerate(margins)]
            for name, value in confusion_metrics(*moved).items():
                found[name][index, block] = (to_numpy(value) - still[name]) / STEP
    return found
