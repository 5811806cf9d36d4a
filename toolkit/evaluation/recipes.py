"""Two recipes over seeds and splits: would one win again? It knows the scores of runs, no model and no row."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from toolkit.errors import InputError
from toolkit.evaluation.paired import CANNOT_TELL, verdict
from toolkit.evaluation.significance import holm

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class RecipePair:
    """Mean score of recipe `a` minus that of recipe `b` over the same J runs, and what it says of a run to come."""

    a: str
    b: str
    runs: int  # J
    difference: float
    low: float
    high: float
    p: float  # corrected resampled t test, two-sided
    holm_p: float  # adjusted for all pairs looked at together
    improvement: float  # how often a run of a beats a run of b, any with any, ties half
    a_better: float  # probability that a is better by more than `equivalence`
    equivalent: float  # probability that the difference is practically none
    b_better: float  # probability that b is better by more than `equivalence`
    equivalence: float  # differences up to this are practically none, in units of the score
    smallest_difference: float  # the smallest mean difference that such runs call significant among all pairs
    verdict: str  # "NAME is better", "practically equal" or "cannot tell"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dict(vars(self))


def compare_recipes(
    scores: Mapping[str, Sequence[float]],
    *,
    test_rows: int,
    train_rows: int,
    equivalence: float = 0.01,
    confidence: float = 0.95,
    shares: bool = True,
) -> tuple[RecipePair, ...]:
    """Compare all pairs of recipes by J scores each, score j of every recipe from the same split; higher is better.

    Runs share training rows, so their differences are not independent, and a plain t test finds too much. The
    variance is corrected by test_rows / train_rows of a split: Nadeau and Bengio (2003),
    doi:10.1023/A:1024068626366; for repeated cross-validation Bouckaert and Frank (2004). `a_better`, `equivalent`
    and `b_better` are the Bayesian reading of the same t distribution: Benavoli et al. (2017, JMLR 18, 77).
    `improvement` is the probability of improvement of Agarwal et al. (NeurIPS 2021).
    shares: scores are shares of the test rows, as accuracies are, and where we differ: a few runs may agree by chance,
    and so no variance is taken for less than what counting test rows makes of it at least. Other scores: False.
    The verdict is the test's,
    after Holm; "practically equal" where it finds nothing and `equivalent` reaches the confidence. Where only seeds
    differ and not the splits, the answer is for that one split. Two runs prove next to nothing: with one degree of
    freedom a difference has to be 13 standard errors large.
    """
    runs = _check(scores, test_rows, train_rows, equivalence, confidence)
    level = (1 - confidence) / math.comb(len(runs), 2)  # of Holm's first step
    settings = _Settings(test_rows if shares else None, test_rows / train_rows, equivalence, confidence, level)
    pairs = [_pair(a, b, runs[a] - runs[b], settings) for a, b in combinations(runs, 2)]
    adjusted = holm([pair.p for pair in pairs])
    found = []
    for pair, p in zip(pairs, adjusted, strict=True):
        text = verdict(pair.a, pair.b, pair.difference, p, 1 - confidence)
        if text == CANNOT_TELL and pair.equivalent >= confidence:
            text = "practically equal"
        wins = np.sign(runs[pair.a][:, None] - runs[pair.b][None, :])
        found.append(replace(pair, holm_p=p, verdict=text, improvement=float((wins.mean() + 1) / 2)))
    return tuple(found)


def corrected_t(differences: Doubles, ratio: float, least: float = 0.0) -> tuple[float, float, float]:
    """Differences of J runs (J,), test rows over train rows -> t, two-sided p, and standard error of the mean.

    least: the variance of one difference at least, whatever so few of them show.
    """
    runs = len(differences)
    mean = float(differences.mean())
    error = float(np.sqrt((1 / runs + ratio) * max(differences.var(ddof=1), least)))
    if error == 0:
        return (0.0, 1.0, 0.0) if mean == 0 else (float(np.copysign(np.inf, mean)), 0.0, 0.0)
    statistic = mean / error
    return statistic, 2 * float(t.sf(abs(statistic), runs - 1)), error


def least_variance(mean: float, test_rows: int) -> float:
    """The variance that a mean difference of scores has over test sets of so many rows at the very least.

    A difference of |mean| in accuracy takes a share of |mean| rows on which the recipes differ, and how many of those a
    test set holds is binomial; no less than what rounding to whole rows makes. Few runs may agree by chance, and their
    own variance would then be 0, and p with it.
    """
    share = min(abs(mean), 1.0)
    return max(share * (1 - share), 1 / (12 * test_rows)) / test_rows


@dataclass(frozen=True)
class _Settings:
    """What all pairs share."""

    test_rows: int | None  # where scores are shares of them
    ratio: float  # test rows over train rows
    equivalence: float
    confidence: float
    level: float  # of Holm's first step: p below it is significant whatever the other pairs show


def _pair(a: str, b: str, differences: Doubles, settings: _Settings) -> RecipePair:
    """One pair on its own, its verdict still open."""
    runs, mean, equivalence = len(differences), float(differences.mean()), settings.equivalence
    least = 0.0 if settings.test_rows is None else least_variance(mean, settings.test_rows)
    _, p, error = corrected_t(differences, settings.ratio, least)
    reach = float(t.ppf((1 + settings.confidence) / 2, runs - 1)) * error
    below, above = (float(t.cdf(_ratio(edge - mean, error), runs - 1)) for edge in (-equivalence, equivalence))
    return RecipePair(
        a=a,
        b=b,
        runs=runs,
        difference=mean,
        low=mean - reach,
        high=mean + reach,
        p=p,
        holm_p=p,
        improvement=float("nan"),
        a_better=1 - above,
        equivalent=above - below,
        b_better=below,
        equivalence=equivalence,
        smallest_difference=float(t.isf(settings.level / 2, runs - 1)) * error,
        verdict=CANNOT_TELL,
    )


def _ratio(value: float, error: float) -> float:
    """How many standard errors it is; without end, by its sign, where there is no error."""
    return value / error if error > 0 else math.copysign(math.inf, value)


def _check(
    scores: Mapping[str, Sequence[float]], test_rows: int, train_rows: int, equivalence: float, confidence: float
) -> dict[str, Doubles]:
    """The scores as arrays (J,), or one line on what is wrong with them or the settings."""
    runs = {name: np.asarray(values, dtype=np.float64) for name, values in scores.items()}
    lengths = {name: values.shape for name, values in runs.items()}
    if len(runs) < 2 or len(set(lengths.values())) > 1 or any(len(s) != 1 or s[0] < 2 for s in lengths.values()):
        raise InputError(
            f"Expected two or more recipes with the same number of runs, two or more. Received: {lengths}."
        )
    if not all(np.isfinite(values).all() for values in runs.values()):
        raise InputError("Expected finite scores. Received: NaN or infinity; leave out the run for every recipe.")
    if test_rows < 1 or train_rows < 1 or equivalence < 0 or not 0 < confidence < 1:
        raise InputError(
            f"Expected positive row counts, an equivalence of 0 or more and a confidence between 0 and 1. "
            f"Received: {test_rows}, {train_rows}, {equivalence}, {confidence}."
        )
    return runs
