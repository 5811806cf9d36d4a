"""Would two contestants differ as much if their answers were exchanged at random? A permutation test; no interval.

Between equals it is as likely that the one gave these answers to a unit of rows and the other those as the other way
round, and the test is exact, however few units differ: Fisher (1935), Pitman (1937). The bootstrap's p and the delta
method's are not: near perfection they call a lead of three rows proven.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.evaluation.confusion import CONFUSION_METRICS, confusion_metrics
from toolkit.evaluation.design import Design
from toolkit.evaluation.evidence import Evidence
from toolkit.evaluation.precision import BLOCK, to_double, to_numpy
from toolkit.evaluation.resampling import confusion_table, totals
from toolkit.evaluation.significance import sign_flips

Doubles = NDArray[np.float64]


def exchange_p(first: Evidence, second: Evidence, metric: str, design: Design, exchanges: int, seed: int) -> float:
    """Two-sided p of the difference of a named metric, exact or of so many exchanges.

    Of the areas, whose ranking each exchange would change, it is the smallest p that any test could have.
    """
    if metric in first.means:
        return sign_flips(design.totals(first.means[metric] - second.means[metric]))
    if metric in CONFUSION_METRICS:
        return _of_cells(first, second, metric, design, exchanges, seed)
    differ = np.any(first.rows.probabilities != second.rows.probabilities, axis=1)
    return min(1.0, 2.0 * 0.5 ** int(np.count_nonzero(design.totals(differ.astype(np.float64)))))


def exchange_p_of(rows: Any, function: Callable[[Any, Any], float], design: Design, exchanges: int, seed: int) -> float:
    """The same of any function of labels and probabilities, called twice an exchange."""
    labels, (one, other) = rows[0].labels, [each.probabilities for each in rows]
    rng, found = np.random.default_rng(seed), np.empty(exchanges)
    for index in range(exchanges):
        swapped = rng.random(design.units) < 0.5
        swapped = (swapped if design.cluster is None else swapped[design.cluster])[:, None]
        found[index] = function(labels, np.where(swapped, other, one)) - function(labels, np.where(swapped, one, other))
    return _share(found, function(labels, one) - function(labels, other))


def _of_cells(first: Evidence, second: Evidence, metric: str, design: Design, exchanges: int, seed: int) -> float:
    """Of a function of the confusion matrix: of the rows of each cell, or clusters, a binomial number is exchanged."""
    classes = first.rows.classes
    table = confusion_table(first.rows.labels, [first.rows.predicted, second.rows.predicted], classes, design)
    whole, rng, found = totals(table, table.multiplicity[None]), np.random.default_rng(seed), []
    step = max(1, BLOCK // max(len(table.multiplicity), len(table.unit)))
    for start in range(0, exchanges, step):
        size = (min(step, exchanges - start), len(table.multiplicity))
        moved = totals(table, rng.binomial(table.multiplicity, 0.5, size=size))
        moved -= np.roll(moved, 3 * classes, axis=1)  # what leaves the one less what comes from the other
        one, other = (whole - moved).reshape(len(moved), 2, 3, classes).transpose(1, 2, 0, 3)
        found.append(_metric(metric, one) - _metric(metric, other))
    return _share(np.concatenate(found), first.value(metric) - second.value(metric))


def _metric(metric: str, margins: Doubles) -> Doubles:
    return np.asarray(to_numpy(confusion_metrics(*map(to_double, margins))[metric]))


def _share(found: Doubles, seen: float) -> float:
    """How often an exchange differs as much as what was seen, which counts as one; one without a value does."""
    if math.isnan(seen):
        return 1.0
    return float((1 + np.sum(~(np.abs(found) < abs(seen) - 1e-12))) / (1 + len(found)))
