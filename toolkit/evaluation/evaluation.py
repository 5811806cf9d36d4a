"""One contestant's answers judged: every metric with its interval. Labels and probabilities in, numbers out; it
knows no model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from toolkit.evaluation.calibration import resample_ece
from toolkit.evaluation.checks import check_class_names, check_level
from toolkit.evaluation.confusion import confusion_matrix, confusion_metrics
from toolkit.evaluation.intervals import UNDEFINED, Interval, effective_wilson, f1_interval, percentile, wilson
from toolkit.evaluation.metrics import metrics_of, top_name, tops
from toolkit.evaluation.precision import double_precision, to_double, to_numpy
from toolkit.evaluation.ranking import Ranking, rank_classes
from toolkit.evaluation.resampling import confusion_table, resample, resample_mean
from toolkit.evaluation.rows import Rows, read_rows


@dataclass(frozen=True)
class ClassScores:
    """One class against the rest; precision is undefined where it was never predicted, recall and F1 where nothing
    is to be found.
    """

    name: str
    support: int  # rows of this class
    precision: Interval
    recall: Interval
    f1: Interval

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        scores = {name: getattr(self, name).to_dict() for name in ("precision", "recall", "f1")}
        return {"name": self.name, "support": self.support, **scores}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The scores that `to_dict` wrote."""
        scores = {name: Interval.from_dict(values[name]) for name in ("precision", "recall", "f1")}
        return cls(name=values["name"], support=int(values["support"]), **scores)


@dataclass(frozen=True)
class Evaluation:
    """What the test set says about one contestant. What is not defined is NaN here and null in JSON."""

    rows: int  # N
    class_names: tuple[str, ...]  # K
    confidence: float  # of every interval, such as 0.95
    resamples: int
    seed: int
    metrics: dict[str, Interval]
    per_class: tuple[ClassScores, ...]  # K
    confusion: NDArray[np.int64]  # (K, K) [true, predicted]

    def __getitem__(self, metric: str) -> Interval:
        """The metric's interval, as in `evaluation["accuracy"]`."""
        return self.metrics[metric]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: numbers, strings, lists and dictionaries."""
        return {
            "rows": self.rows,
            "class_names": list(self.class_names),
            "confidence": self.confidence,
            "resamples": self.resamples,
            "seed": self.seed,
            "metrics": {name: interval.to_dict() for name, interval in self.metrics.items()},
            "per_class": [scores.to_dict() for scores in self.per_class],
            "confusion": self.confusion.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The evaluation that `to_dict` wrote."""
        return cls(
            rows=int(values["rows"]),
            class_names=tuple(values["class_names"]),
            confidence=float(values["confidence"]),
            resamples=int(values["resamples"]),
            seed=int(values["seed"]),
            metrics={name: Interval.from_dict(interval) for name, interval in values["metrics"].items()},
            per_class=tuple(ClassScores.from_dict(scores) for scores in values["per_class"]),
            confusion=np.asarray(values["confusion"], dtype=np.int64),
        )


@double_precision
def evaluate(
    labels: Any,
    probabilities: Any,
    class_names: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Evaluation:
    """Judge probabilities (N, K) against labels (N,): every metric with an interval, per class, and the confusion
    matrix.

    Proportions (accuracy, top-k, precision and recall of a class) have Wilson's interval, a class's F1 the same
    brought to its scale; areas one from their influence values (`effective_wilson`); the rest bootstrap intervals
    over the rows. The same seed gives the same intervals under every backend. Raises InputError for anything that is
    not labels and probabilities.
    """
    check_level(confidence, resamples)
    rows = read_rows(labels, probabilities)
    names = check_class_names(class_names, rows.classes)
    confusion = confusion_matrix(rows.labels, rows.predicted, rows.classes)
    ranking = rank_classes(rows.labels, rows.probabilities)
    points = metrics_of(rows, confusion, ranking)
    replicates = _replicates(rows, confusion, resamples, seed)
    intervals = {name: percentile(points[name], values, confidence) for name, values in replicates.items()}
    intervals |= _proportions(rows, confidence) | _areas(points, ranking, rows, confidence)
    return Evaluation(
        rows=len(rows.labels),
        class_names=names,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        metrics={name: intervals[name] for name in points},
        per_class=_per_class(confusion, names, confidence),
        confusion=confusion,
    )


def _replicates(rows: Rows, confusion: NDArray[np.int64], resamples: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Bootstrap replicates (resamples,) of each metric that is judged by them."""
    classes = rows.classes
    drawn = to_double(resample(confusion_table(confusion), resamples, seed))
    parts = (drawn[:, :classes], drawn[:, classes : 2 * classes], drawn[:, 2 * classes :])
    replicates = {name: to_numpy(values) for name, values in confusion_metrics(*parts).items()}
    replicates["log_loss"] = resample_mean(rows.log_loss, resamples, seed)
    replicates["brier"] = resample_mean(rows.brier, resamples, seed)
    replicates["ece"] = resample_ece(rows.confidence, rows.correct, resamples, seed)
    return replicates


def _proportions(rows: Rows, confidence: float) -> dict[str, Interval]:
    """Accuracy and top-k accuracies with Wilson's interval."""
    total = len(rows.labels)
    top = {top_name(top): wilson(int(np.sum(rows.rank < top)), total, confidence) for top in tops(rows.classes)}
    return {"accuracy": wilson(int(rows.correct.sum()), total, confidence), **top}


def _areas(points: dict[str, float], ranking: Ranking, rows: Rows, confidence: float) -> dict[str, Interval]:
    """The two areas with the interval that their influence values give."""
    support = np.bincount(rows.labels, minlength=rows.classes)
    smaller = np.minimum(support, len(rows.labels) - support)
    smaller = smaller[smaller > 0]
    trials = len(smaller) ** 2 / float(np.sum(1 / smaller)) if len(smaller) else 0.0
    intervals = {}
    for name in ("roc_auc", "average_precision"):
        influence = getattr(ranking, f"{name}_influence")
        intervals[name] = effective_wilson(points[name], math.sqrt(float(np.sum(influence**2))), trials, confidence)
    return intervals


def _per_class(confusion: NDArray[np.int64], names: Sequence[str], confidence: float) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of each class."""
    hits, support, predicted = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return tuple(
        ClassScores(
            name=name,
            support=int(support[index]),
            precision=wilson(hits[index], predicted[index], confidence),
            recall=wilson(hits[index], support[index], confidence),
            f1=f1_interval(hits[index], support[index], predicted[index], confidence) if support[index] else UNDEFINED,
        )
        for index, name in enumerate(names)
    )
