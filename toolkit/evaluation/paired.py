"""Two fitted contestants on the same rows: is one better, or can this test set not tell? It knows arrays, no model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.evaluation.checks import check_level, check_method
from toolkit.evaluation.design import Design, check_design, skewness, standard_error
from toolkit.evaluation.device import tally
from toolkit.evaluation.intervals import Interval, bca, percentile, skewed
from toolkit.evaluation.precision import double_precision
from toolkit.evaluation.resampling import resample_mean
from toolkit.evaluation.rows import Rows, read_rows
from toolkit.evaluation.significance import (
    clustered_mcnemar,
    cochran,
    holm,
    mcnemar,
    smallest_clustered_difference,
    smallest_difference,
    tango,
)

CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Pair:
    """Accuracy of `a` minus accuracy of `b` on the same rows, and what that proves about these two as fitted."""

    a: str
    b: str
    rows: int
    only_a: int  # rows that only a got right
    only_b: int
    difference: float  # accuracy of a minus accuracy of b
    low: float
    high: float
    p: float  # exact McNemar, two-sided; of rows in clusters its clustered form
    mid_p: float  # McNemar mid-p, for those who want it; the verdict does not use it
    holm_p: float  # p adjusted for all pairs looked at together; p itself for a single pair
    smallest_difference: float  # what it takes to be significant among all pairs with so many rows in dispute
    verdict: str  # "NAME is better" or "cannot tell"

    @property
    def better(self) -> str | None:
        """The name of the better one, None where the verdict is that one cannot tell."""
        return None if self.verdict == CANNOT_TELL else (self.a if self.difference > 0 else self.b)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; a smallest difference that is infinite becomes None."""
        return {name: None if value == math.inf else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The pair that `to_dict` wrote."""
        smallest = values["smallest_difference"]
        return cls(**{**values, "smallest_difference": math.inf if smallest is None else smallest})


@double_precision
def compare_pair(
    labels: Any,
    probabilities_a: Any,
    probabilities_b: Any,
    *,
    confidence: float = 0.95,
    method: str = "score",
    resamples: int = 2000,
    seed: int = 0,
    design: Design | None = None,
) -> Pair:
    """Compare two sets of probabilities (N, K) for the same labels (N,), named a and b: see `compare_pairs`."""
    return compare_pairs(
        labels,
        {"a": probabilities_a, "b": probabilities_b},
        confidence=confidence,
        method=method,
        resamples=resamples,
        seed=seed,
        design=design,
    )[0]


@double_precision
def compare_pairs(
    labels: Any,
    probabilities: Mapping[str, Any],
    *,
    confidence: float = 0.95,
    method: str = "score",
    resamples: int = 2000,
    seed: int = 0,
    design: Design | None = None,
) -> tuple[Pair, ...]:
    """Compare the accuracy of all pairs of contestants: labels (N,), and probabilities (N, K) by name.

    The verdict is the exact McNemar test's, with Holm's adjustment over all pairs, so that among equals a false
    verdict comes at most once in 1 / (1 - confidence) such families. The interval of the difference is Tango's
    (`score`), or that of a paired bootstrap (`percentile`, `bca`); it is not adjusted. Rows in clusters: a clustered
    McNemar test, and an interval from the clusters' spread. Whether a recipe would win again on other seeds and
    splits is another question: see `compare_recipes`. With fewer than two contestants there are no pairs. Raises
    InputError for arrays that do not belong together.
    """
    check_level(confidence, resamples)
    check_method(method)
    rows = read_together(labels, probabilities)
    design = check_design(design, len(np.asarray(labels)))
    count = max(math.comb(len(rows), 2), 1)
    settings = _Settings(confidence, (1 - confidence) / count, method, resamples, seed, design)
    pairs = [_pair(a, b, rows[a].correct, rows[b].correct, settings) for a, b in combinations(rows, 2)]
    adjusted = holm([pair.p for pair in pairs])
    return tuple(
        replace(pair, holm_p=p, verdict=verdict(pair.a, pair.b, pair.difference, p, 1 - confidence))
        for pair, p in zip(pairs, adjusted, strict=True)
    )


def read_together(labels: Any, probabilities: Mapping[str, Any]) -> dict[str, Rows]:
    """Read each contestant's probabilities (N, K) for the same labels (N,), all of the same shape."""
    if not isinstance(probabilities, Mapping):
        raise InputError(
            "Expected labels (N,) first and then probabilities by name, {'a': (N, K), 'b': (N, K)}. "
            f"Received: {type(labels).__name__} and {type(probabilities).__name__}."
        )
    shapes = {name: np.shape(values) for name, values in probabilities.items()}
    if len(set(shapes.values())) > 1:
        came = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(
            f"Expected probabilities of one shape from all contestants, as they answer one test set. Received: {came}."
        )
    return {name: read_rows(labels, values) for name, values in probabilities.items()}


def verdict(a: str, b: str, difference: float, p: float, level: float) -> str:
    """In words; a positive difference speaks for a."""
    if not p <= level or difference == 0 or math.isnan(difference):
        return CANNOT_TELL
    return f"{a if difference > 0 else b} is better"


@dataclass(frozen=True)
class _Settings:
    """What all pairs share."""

    confidence: float
    level: float  # of Holm's first step: p below it is significant whatever the other pairs show
    method: str
    resamples: int
    seed: int
    design: Design


def _pair(a: str, b: str, correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], settings: _Settings) -> Pair:
    """The comparison of one pair on its own, its verdict still open."""
    rows, level = len(correct_a), settings.level
    only_a, only_b = int(np.sum(correct_a & ~correct_b)), int(np.sum(correct_b & ~correct_a))
    lead = correct_a.astype(np.float64) - correct_b
    interval = _difference(lead, only_a, only_b, settings)
    p, mid_p = mcnemar(only_a, only_b), mcnemar(only_a, only_b, mid=True)
    smallest = smallest_difference(only_a + only_b, rows, level)
    if settings.design.cluster is not None:
        leads = tally(settings.design.cluster, settings.design.units, lead)
        p = mid_p = clustered_mcnemar(leads)
        smallest = smallest_clustered_difference(leads, settings.design.units, rows, level)
    return Pair(
        a=a,
        b=b,
        rows=rows,
        only_a=only_a,
        only_b=only_b,
        difference=interval.value,
        low=interval.low,
        high=interval.high,
        p=p,
        mid_p=mid_p,
        holm_p=p,
        smallest_difference=smallest,
        verdict=CANNOT_TELL,
    )


def _difference(lead: NDArray[np.float64], only_a: int, only_b: int, settings: _Settings) -> Interval:
    """The accuracy difference with its interval; lead (N,) is 1 where only a was right, -1 where only b was."""
    design, confidence, rows = settings.design, settings.confidence, len(lead)
    value = (only_a - only_b) / rows
    if not lead.any() or (settings.method == "score" and design.simple):  # where none differs, no resample would
        return tango(only_a, only_b, rows if design.cluster is None else design.units, confidence)
    sums = design.sums((lead - value) / rows)
    if settings.method == "score":
        error, z = standard_error(sums), design.quantile(confidence)
        return skewed(value, error, skewness(sums), z, (-1.0, 1.0), design.units)
    replicates = resample_mean(lead, design, settings.resamples, settings.seed)
    if settings.method == "percentile":
        return percentile(value, replicates, confidence)
    return bca(value, replicates, skewness(sums), confidence)


@double_precision
def cochran_q(labels: Any, probabilities: Mapping[str, Any]) -> tuple[float, float]:
    """Cochran's Q over all contestants on the same labels (N,), and its p: are they equally often right?"""
    rows = read_together(labels, probabilities)
    if len(rows) < 2:
        raise InputError(f"Expected at least two contestants. Received: {len(rows)}.")
    return cochran(np.stack([one.correct for one in rows.values()], axis=1))
