"""One class against the rest: precision, recall and F1 with their intervals. It knows arrays, no model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from toolkit.evaluation.bootstrap import ByClass
from toolkit.evaluation.design import Design, skewness
from toolkit.evaluation.evidence import Evidence
from toolkit.evaluation.intervals import UNDEFINED, Interval, bca, f1_interval, percentile, wilson
from toolkit.evaluation.shares import proportion

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class ClassScores:
    """One class against the rest; precision is undefined if it was never predicted, recall and F1 if it has no row."""

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


def class_scores(
    evidence: Evidence,
    names: Sequence[str],
    design: Design,
    confidence: float,
    method: str = "score",
    replicates: ByClass | None = None,
) -> tuple[ClassScores, ...]:
    """The scores of each of K classes; with `replicates`, their bootstrap intervals by `percentile` or `bca`."""
    support = evidence.confusion.sum(axis=1)
    scores = []
    for index, name in enumerate(names):
        shares = _Shares(evidence, index, design)
        found = shares.intervals(confidence)
        if replicates is not None:
            drawn = [values[:, index] for values in replicates]
            found = [shares.resampled(at, found[at], drawn[at], confidence, method) for at in range(3)]
        precision, recall, f1 = found
        scores.append(ClassScores(name, int(support[index]), precision, recall, f1 if support[index] else UNDEFINED))
    return tuple(scores)


class _Shares:
    """Three shares of rows: of those predicted as a class, of its own, of either, how many are both.

    The third is the Jaccard index, of which F1 is a function.
    """

    def __init__(self, evidence: Evidence, index: int, design: Design) -> None:
        self.rows, self.index, self.design = evidence.rows, index, design
        confusion = evidence.confusion
        self.hits = int(confusion[index, index])
        predicted, support = int(confusion[:, index].sum()), int(confusion[index].sum())
        self.trials = (predicted, support, predicted + support - self.hits)

    def intervals(self, confidence: float) -> list[Interval]:
        """Of precision, recall and F1, by score."""
        if self.design.simple:  # the counts say it all
            precision, recall, jaccard = (wilson(self.hits, trials, confidence) for trials in self.trials)
        else:
            hit = self._of(1) & self._of(0)
            precision, recall, jaccard = (proportion(hit, self._of(at), self.design, confidence) for at in range(3))
        return [precision, recall, f1_interval(jaccard)]

    def resampled(self, at: int, known: Interval, drawn: Doubles, confidence: float, method: str) -> Interval:
        """The bootstrap interval of one of them; the one by score where all replicates (resamples,) are alike."""
        defined = drawn[~np.isnan(drawn)]
        if math.isnan(known.value) or not len(defined) or np.ptp(defined) == 0:
            return known
        if method == "percentile":
            return percentile(known.value, drawn, confidence)
        return bca(known.value, drawn, self._skew(at), confidence)

    def _skew(self, at: int) -> float:
        """The skewness of the share, and so of whatever rises with it."""
        trials = self.trials[at]
        share = self.hits / trials
        if self.design.simple:
            spread = trials * share * (1 - share)
            return (1 - 2 * share) / math.sqrt(spread) if spread else 0.0
        hit, of = self._of(1) & self._of(0), self._of(at)
        return skewness(self.design.sums(of * (hit - share) / trials))

    def _of(self, at: int) -> NDArray[np.bool_]:
        """The rows (N,) that the share is of."""
        chosen, true = self.rows.predicted == self.index, self.rows.labels == self.index
        return (chosen, true, chosen | true)[at]
