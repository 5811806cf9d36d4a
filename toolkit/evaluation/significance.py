"""Tests of whether contestants differ on the same rows. It knows counts and p values, no probabilities."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, norm, t

from toolkit.evaluation.intervals import Interval

Doubles = NDArray[np.float64]
FEW = 16  # clusters up to which all signs of their leads are counted


def mcnemar(only_a: int, only_b: int, mid: bool = False) -> float:
    """Exact two-sided p of McNemar's test (1947): rows that only one of two got right are as likely either one's.

    With `mid`, half the probability of what was seen is taken off either tail: less cautious, and hardly ever too bold,
    though not guaranteed. Fagerland, Lydersen and Laake (2013), doi:10.1186/1471-2288-13-91.
    """
    disputed = only_a + only_b
    exact = min(1.0, 2 * float(binom.cdf(min(only_a, only_b), disputed, 0.5)))
    if not mid or disputed == 0:
        return exact
    seen = float(binom.pmf(only_a, disputed, 0.5))
    return 1 - seen / 2 if only_a == only_b else exact - seen


def clustered_mcnemar(leads: Doubles) -> float:
    """Two-sided p from each cluster's lead (G,), rows that only a got right less those that only b did.

    Clusters are independent and, between equals, as likely to lead as to trail: Obuchowski (1998), Durkalski et al.
    (2003, doi:10.1002/sim.1438); here every row counts alike. Exact over all signs of up to 16 clusters that lead or
    trail, where the normal approximation for more would be too bold.
    """
    leads = leads[leads != 0]
    if not len(leads):
        return 1.0
    if len(leads) <= FEW:
        return float(np.mean(np.abs(_signs(len(leads)) @ leads) >= abs(float(np.sum(leads))) - 1e-9))
    return float(2 * norm.sf(abs(float(np.sum(leads))) / math.sqrt(float(np.sum(leads**2)))))


def sign_flips(leads: Doubles) -> float:
    """Two-sided p from each unit's lead (U,), as likely to be the other's between equals; exact where all that differ
    differ by as much, as McNemar's test is, and else as `clustered_mcnemar`.
    """
    sizes = np.abs(leads[leads != 0])
    if len(sizes) and np.ptp(sizes) <= 1e-12 * sizes.max():
        return mcnemar(int(np.sum(leads > 0)), int(np.sum(leads < 0)))
    return clustered_mcnemar(leads)


def tango(only_a: int, only_b: int, rows: int, confidence: float = 0.95) -> Interval:
    """Score interval of a difference of two proportions of the same rows: Tango (1998).

    The inverse of McNemar's score test, and defined where no row is in dispute; recommended by Fagerland, Lydersen
    and Laake (2014), doi:10.1002/sim.6148. The bootstrap's interval is a single point there, and too short near
    perfection.
    """
    z = float(norm.ppf((1 + confidence) / 2))
    value = (only_a - only_b) / rows
    if only_a == only_b == 0:
        end = z * z / (rows + z * z)
        return Interval(0.0, -end, end)

    def excess(difference: float, sign: int) -> float:
        """How far the score of `difference` is beyond z: positive inside the interval."""
        linear = -only_a - only_b + (2 * rows - only_a + only_b) * difference
        constant = -only_b * difference * (1 - difference)
        rare = (math.sqrt(max(linear**2 - 8 * rows * constant, 0.0)) - linear) / (4 * rows)
        deviation = sign * (only_a - only_b - rows * difference)
        return z * math.sqrt(max(rows * (2 * rare + difference * (1 - difference)), 0.0)) - deviation

    almost = 1 - 1e-9  # at -1 and 1 themselves the score is 0 / 0
    inside = min(max(value, -almost), almost)
    low = -1.0 if excess(-almost, 1) >= 0 else float(brentq(excess, -almost, inside, args=(1,)))
    high = 1.0 if excess(almost, -1) >= 0 else float(brentq(excess, inside, almost, args=(-1,)))
    return Interval(value, min(low, value), max(high, value))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values, in the order given, adjusted for being looked at together: Holm (1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(order), 0, -1)
    result = np.empty(len(order))
    result[order] = np.minimum(np.maximum.accumulate(adjusted), 1.0)
    return [float(p) for p in result]


def smallest_difference(disputed: int, rows: int, level: float = 0.05) -> float:
    """The smallest accuracy difference that the exact McNemar test calls significant with so many rows in dispute.

    Where so few are in dispute that not even all of them on one side would do, it is the smallest number that would,
    all on one side; infinity where the test set has not even that many rows.
    """
    fewest = math.floor(math.log2(2 / level))
    while 2 * 0.5**fewest > level:
        fewest += 1
    disputed = max(disputed, fewest)
    if disputed > rows:
        return math.inf
    loser = int(binom.ppf(level / 2, disputed, 0.5))
    while loser >= 0 and mcnemar(disputed - loser, loser) > level:
        loser -= 1
    return (disputed - 2 * loser) / rows


def smallest_clustered_difference(leads: Doubles, units: int, rows: int, level: float = 0.05) -> float:
    """The smallest accuracy difference that `clustered_mcnemar` calls significant with clusters' leads (G,) of this
    size; infinity where not even all of them on one side would do.

    Where no cluster is in dispute, it is the smallest number of clusters that would do, with a row each.
    """
    sizes = np.abs(leads[leads != 0])
    fewest = math.ceil(math.log2(2 / level) - 1e-12)
    if len(sizes) < fewest:
        return fewest / rows if not len(sizes) and fewest <= units else math.inf
    if len(sizes) > FEW:
        least = float(norm.isf(level / 2)) * math.sqrt(float(np.sum(sizes**2))) / rows
        return least if least <= 1 else math.inf
    sums = np.sort(np.abs(_signs(len(sizes)) @ sizes))[::-1]
    told = sums[: int(level * len(sums) + 1e-9)]  # as many of all signs may be significant
    told = told[told > sums[len(told)] + 1e-9] if len(told) < len(sums) else told
    return float(told.min()) / rows if len(told) else math.inf


def _signs(count: int) -> NDArray[np.int64]:
    """All ways to choose signs, (2 ** count, count)."""
    return 1 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)


def cochran(correct: NDArray[np.bool_]) -> tuple[float, float]:
    """Cochran's Q and its p: are all contestants equally often right? correct: (N, contestants). Cochran (1950).

    (0, 1) where all agree on every row.
    """
    from statsmodels.stats.contingency_tables import cochrans_q  # takes seconds to import

    share = correct.mean(axis=1)
    if np.all((share == 0) | (share == 1)):
        return 0.0, 1.0
    result = cochrans_q(correct.astype(np.int64))
    return float(result.statistic), float(result.pvalue)


def bootstrap_p(value: float, replicates: Doubles, skew: float | None) -> float:
    """Two-sided p of a difference: 1 less the confidence at which its bootstrap interval just holds 0.

    With `skew` the BCa interval (Efron and Tibshirani 1993, section 15.4), without it the percentile interval. No
    smaller than twice one in (replicates + 1), as nothing rarer can be seen.
    """
    replicates = replicates[~np.isnan(replicates)]
    if math.isnan(value) or not len(replicates):
        return 1.0
    rarest = 1 / (len(replicates) + 1)

    def place(at: float) -> float:
        below = (np.mean(replicates < at) + np.mean(replicates <= at)) / 2
        return float(norm.ppf(np.clip(below, rarest, 1 - rarest)))

    z = place(0.0)
    if skew is not None:
        bias = place(value)
        z = (z - bias) / max(1 + skew / 6 * (z - bias), 1e-3) - bias
    return min(1.0, max(2 * rarest, 2 * float(norm.sf(abs(z)))))


def skewed_p(value: float, error: float, skew: float, freedom: float = math.inf) -> float:
    """Two-sided p of a difference `value` being none, from the interval of `intervals.skewed`: Hall (1992).

    freedom: of Student's t, for few clusters; the normal distribution's without end.
    """
    if math.isnan(value):
        return 1.0
    if error == 0:  # what so many units that lead alike are worth, `sign_flips` knows
        return 1.0 if value == 0 else 0.0
    ratio = value / error
    return 2 * float(t.sf(abs(ratio + skew / 3 * ratio**2 + skew**2 / 27 * ratio**3 + skew / 6), freedom))
