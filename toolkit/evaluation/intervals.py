"""Intervals: a value and how far from the truth it may be. It knows no metric and no model."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval; all three NaN where the value is not defined, null in JSON."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """As in `0.931 (0.926..0.936)`."""
        return "undefined" if math.isnan(self.value) else f"{self.value:.3f} ({self.low:.3f}..{self.high:.3f})"

    def to_dict(self) -> dict[str, float | None]:
        """Plain JSON values; NaN becomes None."""
        return {name: None if math.isnan(number) else number for name, number in vars(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The interval that `to_dict` wrote."""
        return cls(
            *(float("nan") if values[name] is None else float(values[name]) for name in ("value", "low", "high"))
        )


UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion; undefined for no trials. Wilson (1927), doi:10.1080/01621459.1927.10502953.

    Preferred over Wald and Clopper-Pearson by Brown, Cai and DasGupta (2001), doi:10.1214/ss/1009213286.
    """
    if trials <= 0:
        return UNDEFINED
    successes, trials = float(successes), float(trials)  # NumPy scalars would end up in the results
    z = float(norm.ppf((1 + confidence) / 2))
    value = successes / trials
    middle = (successes + z * z / 2) / (trials + z * z)
    half = z / (trials + z * z) * math.sqrt(trials * value * (1 - value) + z * z / 4)
    low = 0.0 if successes <= 0 else max(0.0, middle - half)
    high = 1.0 if successes >= trials else min(1.0, middle + half)
    return Interval(value, low, high)


def f1_interval(hits: float, support: float, predicted: float, confidence: float = 0.95) -> Interval:
    """Interval of one class's F1 = 2 J / (1 + J), J the Jaccard index: Wilson's interval of J brought to F1.

    Of the rows that are of the class or predicted as it, hits are a binomial proportion J; F1 rises with J.
    """
    jaccard = wilson(hits, support + predicted - hits, confidence)
    return Interval(*(2 * end / (1 + end) for end in (jaccard.value, jaccard.low, jaccard.high)))


def percentile(value: float, replicates: Doubles, confidence: float = 0.95) -> Interval:
    """The middle part of the bootstrap replicates; those that are not defined are left out. Efron (1979)."""
    replicates = replicates[~np.isnan(replicates)]
    if math.isnan(value) or not len(replicates):
        return UNDEFINED
    low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(value), float(low), float(high))


def effective_wilson(value: float, standard_error: float, trials: float, confidence: float = 0.95) -> Interval:
    """Interval in 0..1 of an area or average, as if it were a proportion out of so many trials as give its standard
    error.

    Where the standard error is 0 (all or none ranked rightly) the number of `trials` that stands behind the value is
    used, so that a perfect score keeps an interval. The idea: Kottas, Kuss and Zapf (2014),
    doi:10.1186/1471-2288-14-26.
    """
    if math.isnan(value):
        return UNDEFINED
    if standard_error > 0 and 0 < value < 1:
        trials = value * (1 - value) / standard_error**2
    interval = wilson(value * trials, trials, confidence)
    return Interval(value, interval.low, interval.high)
