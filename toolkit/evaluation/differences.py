"""Two fitted contestants on the same rows by any metric: the paired bootstrap. It knows arrays, no model."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from toolkit.errors import InputError
from toolkit.evaluation.bootstrap import bootstrap_difference, bootstrap_function
from toolkit.evaluation.checks import check_level, check_method
from toolkit.evaluation.design import Design, check_design, skewness, standard_error
from toolkit.evaluation.evidence import BOUNDS, LOWER_IS_BETTER, Evidence
from toolkit.evaluation.exchange import exchange_p, exchange_p_of
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
    p: float  # two-sided: of the interval's own method, or of exchanging the two, whichever is larger
    holm_p: float  # adjusted for all pairs looked at together
    smallest_difference: float  # about what it takes to be significant among all pairs on this test set
    verdict: str  # "NAME is better", by the metric's own direction, or "cannot tell"

    @property
    def better(self) -> str | None:
        """The name of the better one, None where the verdict is that one cannot tell."""
        return None if self.verdict == CANNOT_TELL else (self.a if self.verdict == f"{self.a} is better" else self.b)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; NaN and infinity become None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in vars(self).items()
        }


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

    labels (N,), probabilities (N, K) by name. The metric is any of `evaluate` but `ece`, which noise raises in every
    resample again, or a function, which is called four times a resample and has no BCa acceleration, only its bias
    correction. method: `bca`, `percentile`, or `score` (named metrics only), an interval from what each row does to the
    difference, without resampling. A verdict needs the interval's method and a permutation test that exchanges the two
    contestants' answers (`exchange`): near perfection the intervals alone cry wolf. Where there are many pairs, more
    than `resamples` are drawn, 4 / (1 - confidence) a pair, or the rarest p would be too large for Holm's first step.
    """
    check_level(confidence, resamples)
    check_method(method, ("score", "percentile", "bca") if isinstance(metric, str) else ("percentile", "bca"))
    if metric == "ece":
        raise InputError(
            "Expected a metric that has a paired test. Received: ece, which has none, because noise raises it in every "
            "resample again; compare log_loss or brier, and see calibration_error for each contestant's own interval."
        )
    rows = read_together(labels, probabilities)
    design = check_design(design, len(np.asarray(labels)))
    evidence = {name: Evidence(one) for name, one in rows.items()}
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "metric")
    sign = -1 if isinstance(metric, str) and metric in LOWER_IS_BETTER else 1  # of a function, higher is better
    pairs = max(math.comb(len(rows), 2), 1)
    step = 1 - (1 - confidence) / pairs  # of Holm, the first
    settings = Settings(confidence, step, method, max(resamples, math.ceil(4 * pairs / (1 - confidence))), seed)
    found = []
    for a, b in combinations(evidence, 2):
        pair = (evidence[a], evidence[b])
        interval, wider, p = (
            _named(*pair, metric, design, settings)
            if isinstance(metric, str)
            else _function(*pair, metric, design, settings)
        )
        p = max(p, _exchanged(*pair, metric, design, settings))
        ends, reach = (interval.value, interval.low, interval.high), _reach(wider)
        found.append(Difference(a, b, name, *ends, p, p, reach, CANNOT_TELL))
    adjusted = holm([one.p for one in found])
    return tuple(
        replace(one, holm_p=p, verdict=verdict(one.a, one.b, sign * one.difference, p, 1 - confidence))
        for one, p in zip(found, adjusted, strict=True)
    )


class Settings(NamedTuple):
    """What all pairs share."""

    confidence: float
    step: float  # the confidence at which an interval without 0 passes Holm's first step
    method: str
    resamples: int
    seed: int


Found = tuple[Interval, Interval, float]  # the difference at both confidences, and p


def _reach(interval: Interval) -> float:
    """How far the interval reaches to its longer side: a difference of more has 0 outside; infinity for a single point,
    where no resample differed and so nothing is known, and where there is no interval.
    """
    reach = max(interval.value - interval.low, interval.high - interval.value)
    return reach if reach > 0 else math.inf


def _exchanged(first: Evidence, second: Evidence, metric: Metric, design: Design, settings: Settings) -> float:
    """The p of exchanging the two."""
    how = (design, settings.resamples, settings.seed)
    if isinstance(metric, str):
        return exchange_p(first, second, metric, *how)
    return exchange_p_of((first.rows, second.rows), metric, *how)


def _named(first: Evidence, second: Evidence, metric: str, design: Design, settings: Settings) -> Found:
    """The difference of a named metric."""
    sums = design.sums(first.influence(metric) - second.influence(metric))
    value, skew = first.value(metric) - second.value(metric), skewness(sums)
    if settings.method == "score":
        low, high = BOUNDS.get(metric, (0.0, 1.0))
        error = standard_error(sums)
        interval, wider = (
            skewed(value, error, skew, design.quantile(confidence), (low - high, high - low))
            for confidence in (settings.confidence, settings.step)
        )
        return interval, wider, skewed_p(value, error, skew, design.freedom)
    replicates = bootstrap_difference(first, second, metric, design, settings.resamples, settings.seed)
    return _of_replicates(value, replicates, skew, settings)


def _function(
    first: Evidence, second: Evidence, metric: Callable[[Any, Any], float], design: Design, settings: Settings
) -> Found:
    """The difference of any function."""

    def difference(labels: Any, one: Any, other: Any) -> float:
        return metric(labels, one) - metric(labels, other)

    rows = (first.rows, second.rows)
    value = difference(rows[0].labels, rows[0].probabilities, rows[1].probabilities)
    replicates = bootstrap_function(rows, difference, design, settings.resamples, settings.seed)
    return _of_replicates(value, replicates, 0.0, settings)


def _of_replicates(value: float, replicates: Any, skew: float, settings: Settings) -> Found:
    """Intervals and p of bootstrap replicates by the method of that name."""
    levels = (settings.confidence, settings.step)
    if settings.method == "percentile":
        interval, wider = (percentile(value, replicates, confidence) for confidence in levels)
        return interval, wider, bootstrap_p(value, replicates, None)
    interval, wider = (bca(value, replicates, skew, confidence) for confidence in levels)
    return interval, wider, bootstrap_p(value, replicates, skew)
