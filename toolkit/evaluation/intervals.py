"""Intervals: a value and how far from the truth it may be. It knows no metric and no model."""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval, NaN where they are not known; all three where the value is not defined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """As in `0.931 (0.926..0.936)`."""
        if math.isnan(self.value):
            return "undefined"
        return f"{self.value:.3f}" + ("" if math.isnan(self.low) else f" ({self.low:.3f}..{self.high:.3f})")

    @property
    def endless(self) -> Self:
        """The value alone."""
        return replace(self, low=float("nan"), high=float("nan"))

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
    low, high = _wilson_ends(successes / trials, trials, float(norm.ppf((1 + confidence) / 2)))
    return Interval(successes / trials, low, high)


def _wilson_ends(share: float, trials: float, z: float) -> tuple[float, float]:
    """Both ends of Wilson's interval, exactly 0 and 1 where nothing or everything was right."""
    middle = (trials * share + z * z / 2) / (trials + z * z)
    half = z / (trials + z * z) * math.sqrt(trials * share * (1 - share) + z * z / 4)
    return (0.0 if share <= 0 else max(0.0, middle - half)), (1.0 if share >= 1 else min(1.0, middle + half))


def f1_interval(jaccard: Interval) -> Interval:
    """One class's F1 from its Jaccard index J, F1 = 2 J / (1 + J), which rises with J.

    J is a proportion, hits among the rows that are of the class or predicted as it, and so has a proportion's interval.
    """
    return Interval(*(2 * end / (1 + end) for end in (jaccard.value, jaccard.low, jaccard.high)))


def percentile(value: float, replicates: Doubles, confidence: float = 0.95) -> Interval:
    """The middle part of the bootstrap replicates; those that are not defined are left out. Efron (1979)."""
    return _between(value, replicates, (1 - confidence) / 2, (1 + confidence) / 2)


def bca(value: float, replicates: Doubles, skew: float, confidence: float = 0.95) -> Interval:
    """Bias-corrected and accelerated bootstrap interval; `skew` is that of the estimate, 6 times the acceleration.

    Efron (1987), doi:10.1080/01621459.1987.10478410. Replicates that equal the value count half for the bias.
    """
    defined = replicates[~np.isnan(replicates)]
    if math.isnan(value) or not len(defined):
        return UNDEFINED
    below = (np.mean(defined < value) + np.mean(defined <= value)) / 2
    bias = float(norm.ppf(np.clip(below, 1 / len(defined), 1 - 1 / len(defined))))
    ends = []
    for z in norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2]):
        scale = 1 - skew / 6 * (bias + z)
        ends.append(float(norm.cdf(bias + (bias + z) / scale)) if scale > 0 else float(z > 0))
    return _between(value, defined, *ends)


def _between(value: float, replicates: Doubles, lower: float, upper: float) -> Interval:
    """The replicates' quantiles at two probabilities."""
    replicates = replicates[~np.isnan(replicates)]
    if math.isnan(value) or not len(replicates):
        return UNDEFINED
    low, high = np.quantile(replicates, [lower, upper])
    return Interval(float(value), float(low), float(high))


def score(value: float, error: float, trials: float, z: float, bounds: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """Wilson's interval with as many trials as give this standard error: for any metric that has bounds.

    Stays within the bounds, widens towards them on the side where the truth may be, and is Wilson's own for a plain
    proportion. Where the standard error is 0 because nothing was wrong, `trials` stands behind the value, so that a
    perfect score keeps an interval. As done for proportions under complex sampling: Korn and Graubard (1998, Survey
    Methodology 24), compared by Franco et al. (2019), doi:10.1093/jssam/smy019; here brought to averages, areas and
    correlations. z: quantile of the normal (or t) distribution.
    """
    if math.isnan(value):
        return UNDEFINED
    width = bounds[1] - bounds[0]
    share, error = (value - bounds[0]) / width, error / width
    if error > 0 and 0 < share < 1:
        trials = share * (1 - share) / error**2
    low, high = _wilson_ends(share, trials, z)
    return Interval(float(value), min(bounds[0] + width * low, value), max(bounds[0] + width * high, value))


def skewed(
    value: float, error: float, skew: float, z: float, bounds: tuple[float, float], trials: float = 0
) -> Interval:
    """Interval of a mean whose rows are skewed, such as the log loss, where a few rows hold most of the sum.

    Hall's transformation of the t statistic that removes its skewness: Hall (1992),
    doi:10.1111/j.2517-6161.1992.tb01876.x. `skew` is the skewness of the mean, `bounds` what it can be at all. Where no
    row differs from another, an error of 0, it is that of `score` with so many trials behind it; its ends are not known
    where there are fewer than two, or no bounds.
    """
    if math.isnan(value):
        return UNDEFINED
    if error == 0:
        known = trials > 1 and -math.inf < bounds[0] < bounds[1] < math.inf
        return score(value, error, trials, z, bounds) if known else Interval(float(value), math.nan, math.nan)

    def transformed(quantile: float) -> float:
        if abs(skew) < 1e-6:
            return quantile
        return 3 / skew * (math.cbrt(1 + skew * (quantile - skew / 6)) - 1)

    low, high = value - error * transformed(z), value - error * transformed(-z)
    return Interval(float(value), max(bounds[0], min(low, value)), min(bounds[1], max(high, value)))
