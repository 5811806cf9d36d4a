"""Two contestants on the same rows: is one better, or can this test set not tell? It knows arrays, no model."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Self

import numpy as np
from scipy.stats import binom

from toolkit.errors import InputError
from toolkit.evaluation.checks import check_level
from toolkit.evaluation.intervals import Interval, percentile
from toolkit.evaluation.precision import double_precision
from toolkit.evaluation.rows import read_rows

CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Pair:
    """Accuracy of `a` minus accuracy of `b` on the same rows, and what that proves about these two fitted models."""

    a: str
    b: str
    rows: int
    only_a: int  # rows that only a got right
    only_b: int
    difference: float  # accuracy of a minus accuracy of b
    low: float
    high: float
    p: float  # exact McNemar, two-sided
    holm_p: float  # p adjusted for all pairs looked at together; p itself for a single pair
    smallest_difference: float  # what it takes to be significant with so many rows in dispute
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
    names: tuple[str, str] = ("a", "b"),
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Pair:
    """Compare two sets of probabilities (N, K) for the same labels (N,) by accuracy.

    The verdict is that of the exact McNemar test at 1 - confidence. Raises InputError for arrays that do not belong
    together.
    """
    return compare_pairs(
        labels,
        dict(zip(names, (probabilities_a, probabilities_b), strict=True)),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )[0]


@double_precision
def compare_pairs(
    labels: Any,
    probabilities: Mapping[str, Any],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[Pair, ...]:
    """Compare all pairs of contestants, by name, on the same labels (N,); Holm (1979) over the pairs holds the
    family's error.

    Each contestant's probabilities are (N, K). With fewer than two contestants there are no pairs.
    """
    check_level(confidence, resamples)
    shapes = {name: np.shape(values) for name, values in probabilities.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(
            "Expected probabilities of one shape from all contestants, as they answer one test set. Received: "
            + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            + "."
        )
    correct = {name: read_rows(labels, values).correct for name, values in probabilities.items()}
    pairs = [
        _pair(a, b, correct[a], correct[b], confidence, resamples, seed) for a, b in combinations(probabilities, 2)
    ]
    adjusted = holm([pair.p for pair in pairs])
    return tuple(
        replace(pair, holm_p=p, verdict=_verdict(pair, p, 1 - confidence))
        for pair, p in zip(pairs, adjusted, strict=True)
    )


def _pair(a: str, b: str, correct_a: Any, correct_b: Any, confidence: float, resamples: int, seed: int) -> Pair:
    """The comparison of one pair on its own."""
    rows = len(correct_a)
    only_a, only_b = int(np.sum(correct_a & ~correct_b)), int(np.sum(correct_b & ~correct_a))
    counts = np.array([only_a, only_b, rows - only_a - only_b])
    drawn = np.random.default_rng(seed).multinomial(rows, counts / rows, size=resamples)
    interval: Interval = percentile((only_a - only_b) / rows, (drawn[:, 0] - drawn[:, 1]) / rows, confidence)
    p = mcnemar(only_a, only_b)
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
        holm_p=p,
        smallest_difference=smallest_difference(only_a + only_b, rows, 1 - confidence),
        verdict=CANNOT_TELL,
    )


def _verdict(pair: Pair, p: float, level: float) -> str:
    """In words."""
    if p > level or pair.difference == 0:
        return CANNOT_TELL
    return f"{pair.a if pair.difference > 0 else pair.b} is better"


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p of McNemar's test: of the rows that only one got right, either is as likely. McNemar (1947)."""
    disputed = only_a + only_b
    return min(1.0, 2 * float(binom.cdf(min(only_a, only_b), disputed, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted for being looked at together, in the order given. Holm (1979),
    www.jstor.org/stable/4615733.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(order), 0, -1)
    result = np.empty(len(order))
    result[order] = np.minimum(np.maximum.accumulate(adjusted), 1.0)
    return [float(p) for p in result]


def smallest_difference(disputed: int, rows: int, level: float = 0.05) -> float:
    """The smallest accuracy difference that the exact McNemar test calls significant with so many rows in dispute.

    Where so few are in dispute that not even all of them on one side would do, it is the smallest number that would,
    all on one side. In units of accuracy, 0..1; more than 1, that is inf, where the test set is too small to show any.
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


def groups(accuracies: Mapping[str, float], pairs: Iterable[Pair]) -> dict[str, str]:
    """Letters for each contestant, best first: two that share a letter cannot be told apart.

    Compact letter display, by insertion and absorption: Piepho (2004), doi:10.1198/1061860043515. Letters follow the
    accuracy.
    """
    order = sorted(accuracies, key=lambda name: -accuracies[name])
    sets = [frozenset(order)]
    for pair in pairs:
        if pair.better is None:
            continue
        split = [part - {name} if {pair.a, pair.b} <= part else part for part in sets for name in (pair.a, pair.b)]
        unique = list(dict.fromkeys(split))
        sets = [part for part in unique if not any(part < other for other in unique)]
    sets.sort(key=lambda part: sorted(order.index(name) for name in part))
    letters = [_letter(index) for index in range(len(sets))]
    return {name: "".join(letter for letter, part in zip(letters, sets, strict=True) if name in part) for name in order}


def _letter(index: int) -> str:
    """From a to z, then a1 to z1, and so on."""
    return chr(ord("a") + index % 26) + (str(index // 26) if index >= 26 else "")
