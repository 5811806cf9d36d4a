"""How often the intervals hold the truth, on simulated test sets whose truth is known, and how often verdicts cry wolf.

    python benchmarks/coverage.py [--sets 500] [--method score] [--rows 200 2000]

The truth of each scenario is read off 1,000,000 rows of it. Coverage is printed in per cent with the Wilson interval
that so many test sets give it, and with how often the truth lay below or above.
"""

import argparse
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from toolkit.evaluation import calibration_error, compare_pair, compare_pairs, evaluate, point_metrics
from toolkit.evaluation.intervals import Interval, wilson
from toolkit.evaluation.significance import tango

METRICS = ("accuracy", "macro_f1", "log_loss", "brier", "balanced_accuracy", "kappa", "roc_auc", "average_precision")
Labels = NDArray[np.int64]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Scenario:
    """A population: class k is `decay` times as frequent as k - 1, and contestants see the label through noise."""

    name: str
    classes: int
    decay: float
    strength: float  # of the label against unit noise, for the better of the two contestants
    sharpness: float  # above 1: probabilities are surer than right

    def draw(self, rows: int, rng: np.random.Generator) -> tuple[Labels, Doubles, Doubles]:
        """Labels (N,) and the probabilities (N, K) of two contestants, half of whose noise is common."""
        share = self.decay ** np.arange(self.classes)
        labels = rng.choice(self.classes, rows, p=share / share.sum())
        noise = rng.normal(size=(3, rows, self.classes)) * np.sqrt(0.5)
        told = []
        for own, strength in ((noise[1], self.strength), (noise[2], 0.95 * self.strength)):
            scores = noise[0] + own
            scores[np.arange(rows), labels] += strength
            odds = np.exp(self.sharpness * (scores - scores.max(axis=1, keepdims=True)))
            told.append(odds / odds.sum(axis=1, keepdims=True))
        return labels, told[0], told[1]


SCENARIOS = (
    Scenario("ten even classes", 10, 1.0, 3.0, 1.0),
    Scenario("five uneven classes", 5, 0.6, 1.8, 1.5),
    Scenario("three classes, near 100 %", 3, 1.0, 3.6, 2.0),
    Scenario("ten classes, near 100 %", 10, 1.0, 4.3, 2.0),
)


@dataclass
class Tally:
    """How often intervals held the truth, and on which side they missed."""

    held: int = 0
    below: int = 0  # the truth was below the interval
    above: int = 0
    width: float = 0.0

    def add(self, interval: Interval, truth: float) -> None:
        """Count one interval."""
        slack = 1e-12
        self.below += truth < interval.low - slack
        self.above += truth > interval.high + slack
        self.held += interval.low - slack <= truth <= interval.high + slack
        self.width += interval.high - interval.low

    def line(self, name: str, truth: float | None = None) -> str:
        """One line of the table."""
        count = self.held + self.below + self.above
        seen = wilson(self.held, count)
        missed = f"truth below {100 * self.below / count:4.1f}, above {100 * self.above / count:4.1f}"
        known = "" if truth is None else f"; truth {truth:.4f}, mean width {self.width / count:.4f}"
        return f"  {name:20s} {100 * seen.value:5.1f} % ({100 * seen.low:.1f}..{100 * seen.high:.1f}); {missed}{known}"


def cover(scenario: Scenario, rows: int, sets: int, method: str) -> None:
    """Print the coverage of every metric and of the paired difference, and what ECE says of its bias."""
    labels, first, second = scenario.draw(1_000_000, np.random.default_rng(1))
    truth = point_metrics(labels, first) | {"ece": calibration_error(labels, first).value}
    gap = truth["accuracy"] - point_metrics(labels, second)["accuracy"]
    tallies = {name: Tally() for name in (*METRICS, "ece", "paired difference")}
    ece = np.empty((sets, 3))
    for index in range(sets):
        labels, first, second = scenario.draw(rows, np.random.default_rng([2, rows, index]))
        evaluation = evaluate(labels, first, method=method, seed=index)  # type: ignore[arg-type]
        for name in (*METRICS, "ece"):
            tallies[name].add(evaluation[name], truth[name])
        pair = compare_pair(labels, first, second, method=method, seed=index)
        tallies["paired difference"].add(Interval(pair.difference, pair.low, pair.high), gap)
        error = calibration_error(labels, first)
        ece[index] = (error.value - truth["ece"], error.bias, error.if_calibrated)
    print(f"{scenario.name}, {rows} rows, {sets} test sets, method {method}:")
    for name, tally in tallies.items():
        print(tally.line(name, truth.get(name, gap)))
    bias, said, calibrated = ece.mean(axis=0)
    print(f"  ECE is {bias:.4f} too high on average, and says {said:.4f}; if calibrated it would be {calibrated:.4f}")


def near_perfection(rows: int, sets: int) -> None:
    """Accuracies anywhere from 97 to 99.9 %, each test set with its own two, errors independent: what few errors do."""
    rng = np.random.default_rng([3, rows])
    accuracy, difference = Tally(), Tally()
    for _ in range(sets):
        first, second = rng.uniform(0.97, 0.999, 2)
        accuracy.add(wilson(int(rng.binomial(rows, first)), rows), first)
        only_a, only_b = first * (1 - second), second * (1 - first)
        counts = rng.multinomial(rows, [only_a, only_b, 1 - only_a - only_b])
        difference.add(tango(int(counts[0]), int(counts[1]), rows), first - second)
    print(f"accuracies from 97 to 99.9 %, {rows} rows, {sets} test sets:")
    print(accuracy.line("accuracy"))
    print(difference.line("paired difference"))


def false_alarms(rows: int, families: int, contestants: int = 6) -> None:
    """How often a family of equals has a verdict at all; McNemar's exact test and Holm promise at most 5 %."""
    alarms, most_alarms = 0, 0
    for index in range(families):
        rng = np.random.default_rng([4, rows, index])
        labels = rng.integers(0, 2, rows)
        right = rng.random((contestants, rows)) < 0.85
        told = {f"contestant {at}": np.eye(2)[np.where(one, labels, 1 - labels)] for at, one in enumerate(right)}
        pairs = compare_pairs(labels, told)
        alarms += any(pair.better is not None for pair in pairs)
        most_alarms += min(pair.p for pair in pairs) <= 0.05
    count = len(list(combinations(range(contestants), 2)))
    for name, number in (("verdicts", alarms), ("unadjusted p", most_alarms)):
        seen = wilson(number, families)
        print(
            f"false {name} among {contestants} equals ({count} pairs), {rows} rows: {100 * seen.value:.1f} % of "
            f"{families} families ({100 * seen.low:.1f}..{100 * seen.high:.1f})"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--method", choices=("score", "percentile", "bca"), default="score")
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 2000])
    settings = parser.parse_args()
    for rows in settings.rows:
        near_perfection(rows, 20 * settings.sets)
        false_alarms(rows, settings.sets)
        for scenario in SCENARIOS:
            cover(scenario, rows, settings.sets, settings.method)


if __name__ == "__main__":
    main()
