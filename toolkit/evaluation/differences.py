"""Two fitted contestants on the same rows by any metric: the paired bootstrap. It knows arrays, no model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from toolkit.evaluation.bootstrap import bootstrap_difference, bootstrap_function
from toolkit.evaluation.checks import check_level, check_method
from toolkit.evaluation.design import Design, check_design, skewness, standard_error
from toolkit.evaluation.evidence import BOUNDS, LOWER_IS_BETTER, Evidence
from toolkit.evaluation.intervals import Interval, bca, percentile, skewed
from toolkit.evaluation.paired import CANNOT_TELL, read_together, verdict
from toolkit.evaluation.precision import double_precision
from toolkit.evaluation.significance import bootstrap_p, holm, skewed_p

Metric = str | Callable[[Any, Any], float]
"""The name of a metric of `evaluate`, or a function of labels (n,) and probabilities (n, K), higher is better."""


@dataclass(frozen=True)
class Difference:
    """A metric of `a` minus the same of `b` on the same rows."""

    a: str
    b: str
    metric: str
    difference: float
    low: float
    high: float
    p: float  # two-sided, of the interval's own method
    holm_p: float  # adjusted for all pairs looked at together
    smallest_difference: float  # half the interval: about what it takes to be significant on this test set
    verdict: str  # "NAME is better", by the metric's own direction, or "cannot tell"

    @property
    def better(self) -> str | None:
        """The name of the better one, None where the verdict is that one cannot tell."""
        return None if self.verdict == CANNOT_TELL else (self.a if self.verdict == f"{self.a} is better" else self.b)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; NaN becomes None."""
        return {name: None if value != value else value for name, value in vars(self).items()}


@double_precision
def compare_metric(
    labels: Any,
    probabilities: Mapping[str, Any],
    metric: Metric,
    *,
    confidence: float = 0.95,
    method: str = "bca",
    resamples: int = 2000,
    seed: int = 0,
    design: Design | None = None,
) -> tuple[Difference, ...]:
    """Compare all pairs of contestants by one metric, both resampled on the same rows, with Holm's adjustment.

    labels (N,), probabilities (N, K) by name. The metric is any of `evaluate` but `ece`, or a function, which is
    called twice a resample and has no BCa acceleration, only its bias correction. method: `bca`, `percentile`, or
    `score` (named metrics only), an interval from what each row does to the difference, without resampling.
    """
    check_level(confidence, resamples)
    check_method(method, ("score", "percentile", "bca") if isinstance(metric, str) else ("percentile", "bca"))
    rows = read_together(labels, probabilities)
    design = check_design(design, len(np.asarray(labels)))
    evidence = {name: Evidence(one) for name, one in rows.items()}
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "metric")
    sign = -1 if name in LOWER_IS_BETTER else 1
    found = []
    for a, b in combinations(evidence, 2):
        pair = (evidence[a], evidence[b])
        interval, p = (
            _named(*pair, metric, design, (confidence, method, resamples, seed))
            if isinstance(metric, str)
            else _function(*pair, metric, design, (confidence, method, resamples, seed))
        )
        half = (interval.high - interval.low) / 2
        found.append(Difference(a, b, name, interval.value, interval.low, interval.high, p, p, half, CANNOT_TELL))
    adjusted = holm([one.p for one in found])
    return tuple(
        replace(one, holm_p=p, verdict=verdict(one.a, one.b, sign * one.difference, p, 1 - confidence))
        for one, p in zip(found, adjusted, strict=True)
    )


Settings = tuple[float, str, int, int]  # confidence, method, resamples, seed


def _named(
    first: Evidence, second: Evidence, metric: str, design: Design, settings: Settings
) -> tuple[Interval, float]:
    """Difference and p of a named metric."""
    confidence, method, resamples, seed = settings
    sums = design.sums(first.influence(metric) - second.influence(metric))
    value, skew = first.values[metric] - second.values[metric], skewness(sums)
    if method == "score":
        low, high = BOUNDS.get(metric, (0.0, 1.0))
        error = standard_error(sums)
        interval = skewed(value, error, skew, design.quantile(confidence), (low - high, high - low))
        return interval, skewed_p(value, error, skew)
    replicates = bootstrap_difference(first, second, metric, design, resamples, seed)
    return _of_replicates(value, replicates, skew, confidence, method)


def _function(
    first: Evidence, second: Evidence, metric: Callable[[Any, Any], float], design: Design, settings: Settings
) -> tuple[Interval, float]:
    """Difference and p of any function."""
    confidence, method, resamples, seed = settings

    def difference(labels: Any, one: Any, other: Any) -> float:
        return metric(labels, one) - metric(labels, other)

    rows = (first.rows, second.rows)
    value = difference(rows[0].labels, rows[0].probabilities, rows[1].probabilities)
    replicates = bootstrap_function(rows, difference, design, resamples, seed)
    return _of_replicates(value, replicates, 0.0, confidence, method)


def _of_replicates(
    value: float, replicates: Any, skew: float, confidence: float, method: str
) -> tuple[Interval, float]:
    """Interval and p of bootstrap replicates by the method of that name."""
    if method == "percentile":
        return percentile(value, replicates, confidence), bootstrap_p(value, replicates, None)
    return bca(value, replicates, skew, confidence), bootstrap_p(value, replicates, skew)
