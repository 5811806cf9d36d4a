"""Answering only when sure: what is still wrong when the least sure rows get no answer. It knows no model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.evaluation import device
from toolkit.evaluation.checks import check_confidence
from toolkit.evaluation.design import Design, check_design
from toolkit.evaluation.intervals import UNDEFINED, Interval
from toolkit.evaluation.precision import double_precision, last_of_ties
from toolkit.evaluation.rows import read_rows
from toolkit.evaluation.shares import proportion

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """What happens when rows below a threshold of confidence get no answer."""

    threshold: float  # rows with at least this confidence are answered; infinity: none is
    coverage: float  # share of the rows that are answered
    risk: Interval  # share of the answers that are wrong; undefined where nothing is answered


@dataclass(frozen=True)
class RiskCoverage:
    """The risk at every coverage that a threshold can give, least coverage first. El-Yaniv and Wiener (JMLR 2010)."""

    threshold: Doubles  # (T,), falling
    answered: NDArray[np.int64]  # (T,), rows with at least this confidence
    wrong: NDArray[np.int64]  # (T,), of those
    sure: Doubles  # (N,), how sure the contestant is of each row
    mistaken: NDArray[np.bool_]  # (N,)
    design: Design  # how the rows were drawn, for the intervals of risks
    confidence: float  # of those intervals

    @property
    def rows(self) -> int:
        """N."""
        return len(self.sure)

    @property
    def coverage(self) -> Doubles:
        """(T,), 0..1, rising."""
        return self.answered / self.rows

    @property
    def risk(self) -> Doubles:
        """(T,), 0..1."""
        return self.wrong / self.answered

    @property
    def area(self) -> float:
        """The area under the curve, AURC: the mean risk over all coverages, lower is better. Geifman et al. (ICLR
        2019).
        """
        return float(np.sum(self.risk * np.diff(self.answered, prepend=0)) / self.rows)

    def at_risk(self, risk: float) -> Selection:
        """The largest coverage whose risk is at most `risk`, as seen on these rows.

        The best threshold for the rows it was chosen on flatters: choose it on validation rows, then see
        `at_threshold` on test rows.
        """
        if not 0 <= risk <= 1:
            raise InputError(f"Expected a risk between 0 and 1, such as 0.01. Received: {risk}.")
        enough = np.flatnonzero(self.risk <= risk)
        return self._selection(int(enough[-1])) if len(enough) else Selection(float("inf"), 0.0, UNDEFINED)

    def at_threshold(self, threshold: float) -> Selection:
        """What a threshold chosen elsewhere does on these rows."""
        answered = np.flatnonzero(self.threshold >= threshold)
        if not len(answered):
            return Selection(threshold, 0.0, UNDEFINED)
        found = self._selection(int(answered[-1]))
        return Selection(threshold, found.coverage, found.risk)

    def _selection(self, index: int) -> Selection:
        """One point of the curve."""
        risk = proportion(self.mistaken, self.sure >= self.threshold[index], self.design, self.confidence)
        return Selection(float(self.threshold[index]), float(self.coverage[index]), risk)


@double_precision
def risk_coverage(
    labels: Any, probabilities: Any, scores: Any = None, *, confidence: float = 0.95, design: Design | None = None
) -> RiskCoverage:
    """The risk-coverage curve of labels (N,) and probabilities (N, K).

    scores: (N,) how sure the contestant is of each row, higher is surer; its largest probability where None are given.
    """
    check_confidence(confidence)
    rows = read_rows(labels, probabilities)
    design = check_design(design, len(rows.labels))
    sure = rows.confidence if scores is None else np.asarray(scores, dtype=np.float64)
    if sure.shape != rows.labels.shape or np.isnan(sure).any():
        raise InputError(f"Expected one score for each of {len(rows.labels)} rows, none NaN. Received: {sure.shape}.")
    order = device.order(-sure)
    last = last_of_ties(sure[order])
    wrong = np.cumsum(~rows.correct[order], dtype=np.int64)
    return RiskCoverage(sure[order][last], last + 1, wrong[last], sure, ~rows.correct, design, confidence)
