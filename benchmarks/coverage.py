"""How often the intervals hold the truth, on simulated test sets whose truth is known, and how often verdicts cry wolf.

    python benchmarks/coverage.py [--sets 500] [--method score] [--rows 200 2000]

The truth of each scenario is read off 1,000,000 rows of it. Coverage is printed in per cent with the Wilson interval
that so many test sets give it, and with how often the truth lay below or above. 500 test sets leave it open by 2 points
either way; so accuracy and its paired difference, which need three counts only, are simulated 20 times as often, which
leaves it open by 0.4, and computed without simulating as well, also at truths from 97 to 99.9 %, where a count of few
errors jumps from one whole number to the next and the coverage of any interval jumps with it. Some ten minutes on two
cores, a scenario on each.
"""

import argparse
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

from toolkit.evaluation import (
    calibration_error,
    compare_metric,
    compare_pair,
    compare_pairs,
    compare_recipes,
    evaluate,
    point_metrics,
)
from toolkit.evaluation.intervals import Interval, wilson
from toolkit.evaluation.significance import tango

METRICS = ("accuracy", "macro_f1", "log_loss", "brier", "balanced_accuracy", "kappa", "roc_auc", "average_precision")
tangos = cache(tango)  # one interval serves many truths
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


@cache
def truth_of(scenario: Scenario) -> tuple[dict[str, float], float, float]:
    """The better one's metrics, and how often only it and only the other is right, as 1,000,000 rows have them."""
    labels, first, second = scenario.draw(1_000_000, np.random.default_rng(1))
    truth = point_metrics(labels, first) | {"ece": calibration_error(labels, first).value}
    right, other = first.argmax(axis=1) == labels, second.argmax(axis=1) == labels
    return truth, float(np.mean(right & ~other)), float(np.mean(other & ~right))


def cover(scenario: Scenario, rows: int, sets: int, method: str) -> str:
    """The coverage of every metric and of the paired difference, and what ECE says of its bias, as lines."""
    truth, only_first, only_second = truth_of(scenario)
    gap = only_first - only_second
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
    lines = [f"{scenario.name}, {rows} rows, {sets} test sets, method {method}:"]
    lines += [tally.line(name, truth.get(name, gap)) for name, tally in tallies.items()]
    if method == "score":
        computed = accuracy_coverage(rows, np.array([truth["accuracy"]]))[0], paired_at(rows, only_first, only_second)
        lines.append("  computed: accuracy {:.1%}, paired difference {:.1%}".format(*computed).replace("%", " %"))
    bias, said, calibrated = ece.mean(axis=0)
    lines.append(
        f"  ECE is {bias:.4f} too high on average, says {said:.4f}; if calibrated it would be {calibrated:.4f}"
    )
    return "\n".join(lines)


def count_often(scenario: Scenario, rows: int, sets: int) -> str:
    """Accuracy and its paired difference alone, over many more test sets, as their intervals need three counts only."""
    truth, only_first, only_second = truth_of(scenario)
    tallies = {"accuracy": Tally(), "paired difference": Tally()}
    for index in range(sets):
        labels, first, second = scenario.draw(rows, np.random.default_rng([7, rows, index]))
        right, other = first.argmax(axis=1) == labels, second.argmax(axis=1) == labels
        tallies["accuracy"].add(wilson(int(right.sum()), rows), truth["accuracy"])
        found = tangos(int(np.sum(right & ~other)), int(np.sum(other & ~right)), rows)
        tallies["paired difference"].add(found, only_first - only_second)
    lines = [f"{scenario.name}, {rows} rows, {sets} test sets, counts alone:"]
    return "\n".join([*lines, *(tally.line(name) for name, tally in tallies.items())])


def accuracy_coverage(rows: int, truths: Doubles) -> Doubles:
    """Exact coverage of Wilson's interval at each true accuracy."""
    ends = np.array([(one.low, one.high) for one in (wilson(count, rows) for count in range(rows + 1))])
    return _held(ends, rows, truths)


def _held(ends: Doubles, rows: int, truths: Doubles) -> Doubles:
    """The probability at each truth (T,) that the interval of the count drawn, ends (rows + 1, 2), holds it."""
    chance = binom.pmf(np.arange(rows + 1)[:, None], rows, truths)
    held = (ends[:, :1] <= truths + 1e-12) & (truths <= ends[:, 1:] + 1e-12)
    return np.asarray(np.sum(held * chance, axis=0))


def paired_at(rows: int, only_first: float, only_second: float) -> float:
    """Exact coverage of Tango's interval where only one, and only the other, is right with these probabilities."""
    truth, rest, covered, rare = only_first - only_second, only_second / (1 - only_first), 0.0, 1e-6
    for a in range(int(binom.ppf(rare, rows, only_first)), int(binom.isf(rare, rows, only_first)) + 1):
        likely = range(int(binom.ppf(rare, rows - a, rest)), int(binom.isf(rare, rows - a, rest)) + 1)
        held = [b for b in likely if (one := tangos(a, b, rows)).low - 1e-12 <= truth <= one.high + 1e-12]
        covered += binom.pmf(a, rows, only_first) * float(np.sum(binom.pmf(held, rows - a, rest)))
    return covered


def near_perfection(rows: int) -> str:
    """Exact coverage for true accuracies from 97 to 99.9 %: Wilson's interval, its rivals, then Tango's."""
    counts, truths = np.arange(rows + 1), np.linspace(0.97, 0.999, 291)
    rivals = {
        "Jeffreys": beta.ppf([[0.025], [0.975]], counts + 0.5, rows - counts + 0.5).T,
        "Clopper-Pearson": beta.ppf([[0.025], [0.975]], [counts, counts + 1], [rows - counts + 1, rows - counts]).T,
    }
    lines = [f"true accuracies from 97 to 99.9 %, {rows} rows, computed:"]
    lines.append(_spread("accuracy, Wilson", accuracy_coverage(rows, truths)))
    for name, ends in rivals.items():
        ends[0, 0], ends[-1, 1] = 0.0, 1.0
        lines.append(_spread(f"accuracy, {name}", _held(ends, rows, truths)))
    lines.append(_spread("accuracy, the best there is", best_coverage(rows, truths)))
    return "\n".join([*lines, _spread("paired difference, Tango", paired_coverage(rows))])


def best_coverage(rows: int, truths: Doubles) -> Doubles:
    """The coverage nearest to 95 % that any interval could have: an unbroken run of counts that hold the truth."""
    found = []
    for truth in truths:
        below = np.concatenate([[0.0], binom.cdf(np.arange(rows + 1), rows, truth)])
        runs = (below[None] - below[:, None]).ravel()
        found.append(runs[np.argmin(np.abs(runs - 0.95))])
    return np.array(found)


def paired_coverage(rows: int, steps: int = 13) -> Doubles:
    """Exact coverage of Tango's interval for pairs of accuracies on a grid from 97 to 99.9 %, errors independent."""
    truths = np.linspace(0.97, 0.999, steps)
    pairs = [(first, second) for at, first in enumerate(truths) for second in truths[: at + 1]]
    return np.array([paired_at(rows, a * (1 - b), b * (1 - a)) for a, b in pairs])


def _spread(name: str, coverage: Doubles) -> str:
    """Mean and range over the truths, and how many of them lie where they should."""
    inside = np.mean((coverage >= 0.93) & (coverage <= 0.97))
    low, mean, high = (100 * number for number in (coverage.min(), coverage.mean(), coverage.max()))
    return (
        f"  {name:28s} {mean:5.1f} % on average, {low:.1f} to {high:.1f}; {100 * inside:.0f} % of truths within 93..97"
    )


def false_alarms(rows: int, families: int, contestants: int = 6) -> str:
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
    lines = []
    for name, number in (("verdicts", alarms), ("unadjusted p", most_alarms)):
        seen = wilson(number, families)
        lines.append(
            f"false {name} among {contestants} equals ({count} pairs), {rows} rows: {100 * seen.value:.1f} % of "
            f"{families} families ({100 * seen.low:.1f}..{100 * seen.high:.1f})"
        )
    return "\n".join(lines)


def metric_alarms(rows: int, sets: int, errors: float) -> str:
    """How often two equals near perfection are told apart by a metric."""
    methods = [(metric, method) for metric in ("accuracy", "macro_f1", "log_loss") for method in ("bca", "score")]
    alarms = dict.fromkeys(methods, 0)
    for index in range(sets):
        rng = np.random.default_rng([6, rows, index])
        labels = rng.integers(0, 3, rows)
        told = {}
        for name in "ab":
            missed = rng.random(rows) < errors
            sure = rng.uniform(0.6, 0.99, (rows, 1))
            said = np.where(missed, (labels + rng.integers(1, 3, rows)) % 3, labels)
            told[name] = np.where(np.eye(3)[said] > 0, sure, (1 - sure) / 2)
        for metric, method in alarms:
            (pair,) = compare_metric(labels, told, metric, method=method, resamples=1000)
            alarms[metric, method] += pair.better is not None
    seen = [f"{metric} by {method} {100 * count / sets:.1f} %" for (metric, method), count in alarms.items()]
    return f"false verdicts between two equals with {errors:.0%} errors, {rows} rows, {sets} pairs: {', '.join(seen)}"


def recipe_alarms(rows: int, families: int, runs: int, recipes: int = 4) -> str:
    """How often a family of equal recipes over few seeds has a verdict: scores of whole rows, which often tie."""
    alarms = 0
    for index in range(families):
        rng = np.random.default_rng([5, rows, runs, index])
        skills = np.clip(0.9 + 0.01 * rng.normal(size=(recipes, runs)), 0, 1)  # what a seed does to a recipe
        scores = {f"recipe {at}": (rng.binomial(rows, one) / rows).tolist() for at, one in enumerate(skills)}
        pairs = compare_recipes(scores, test_rows=rows, train_rows=4 * rows)
        alarms += any(pair.verdict.endswith("is better") for pair in pairs)
    seen = wilson(alarms, families)
    return (
        f"false verdicts among {recipes} equal recipes over {runs} seeds, {rows} rows: {100 * seen.value:.1f} % of "
        f"{families} families ({100 * seen.low:.1f}..{100 * seen.high:.1f})"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--method", choices=("score", "percentile", "bca"), default="score")
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--workers", type=int, default=2, help="processes; the figures do not depend on it")
    settings = parser.parse_args()
    with ProcessPoolExecutor(settings.workers, get_context("spawn")) as pool:
        found: list[Future[str]] = []
        for rows in settings.rows:
            found += [pool.submit(near_perfection, rows), pool.submit(false_alarms, rows, settings.sets)]
            found += [pool.submit(metric_alarms, rows, min(settings.sets, 500), errors) for errors in (0.01, 0.03, 0.1)]
            found += [pool.submit(recipe_alarms, rows, 4 * settings.sets, runs) for runs in (2, 3, 5)]
        for scenario in SCENARIOS:
            if settings.method == "score":
                found += [pool.submit(count_often, scenario, rows, 20 * settings.sets) for rows in settings.rows]
            found += [pool.submit(cover, scenario, rows, settings.sets, settings.method) for rows in settings.rows]
        for one in found:
            print(one.result(), flush=True)


if __name__ == "__main__":
    main()
