"""ROC AUC and average precision, one class against the rest, and what each row does to them. It resamples nothing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.evaluation import device
from toolkit.evaluation.checks import Labels, Probabilities
from toolkit.evaluation.precision import BLOCK, double_precision, order_keys, round_up, to_double, to_numpy

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Areas of each class, NaN where it has no row or all rows, and what each row does to their macro average."""

    roc_auc: Doubles  # (K,)
    average_precision: Doubles  # (K,)
    roc_auc_influence: Doubles | None  # (N,), sums to 0; its root sum of squares is the macro average's standard error
    average_precision_influence: Doubles | None  # (N,), likewise


def macro(values: Doubles) -> float:
    """The mean over the classes for which the value is defined, NaN where there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def rank_classes(labels: Labels, probabilities: Probabilities, influence: bool = True) -> Ranking:
    """Labels (N,) and probabilities (N, K) -> the areas of every class.

    ROC AUC is the Mann-Whitney statistic, ties half; average precision the step-wise sum of scikit-learn, ties as one
    threshold, without interpolation. The influence values are the infinitesimal jackknife; for the ROC they are
    DeLong's structural components (doi:10.2307/2531595), here added up over classes, so that the correlation between
    classes is counted.
    """
    rows, classes = probabilities.shape
    support = device.tally(labels, classes)
    areas, precisions = np.full(classes, np.nan), np.full(classes, np.nan)
    auc_influence, precision_influence = np.zeros(rows), np.zeros(rows)
    for index, column, ordered in _sorted_columns(probabilities):
        if not 0 < support[index] < rows:
            continue
        positive = labels == index
        found = _one_class(column, ordered, positive, influence)
        areas[index], precisions[index] = found[0], found[1]
        if influence:
            auc_influence += found[2]
            precision_influence += found[3]
    defined = max(1, int(np.sum(~np.isnan(areas))))
    if not influence:
        return Ranking(areas, precisions, None, None)
    return Ranking(areas, precisions, auc_influence / defined, precision_influence / defined)


def _sorted_columns(probabilities: Probabilities) -> Iterator[tuple[int, Any, Any]]:
    """Each class's index, its scores as order keys and these in rising order, (N,), several classes at a time.

    While the caller works on some, another thread sorts the next.
    """
    rows, classes = probabilities.shape
    step = max(1, BLOCK // rows)

    @double_precision  # JAX keeps its precision by thread
    def made(start: int) -> tuple[Any, Any]:
        scores = order_keys(np.ascontiguousarray(probabilities[:, start : start + step].T))
        return scores, device.sorted_rows(scores)

    with ThreadPoolExecutor(1) as ahead:
        waiting = ahead.submit(made, 0)
        for start in range(0, classes, step):
            scores, ordered = waiting.result()
            if start + step < classes:
                waiting = ahead.submit(made, start + step)
            for offset in range(len(scores)):
                yield start + offset, scores[offset], ordered[offset]


def _one_class(scores: Any, ordered: Any, positive: NDArray[np.bool_], influence: bool) -> tuple[Any, ...]:
    """ROC AUC, average precision and the influence (N,) of each row on either, for the scores (N,) of one class."""
    rows, mine = len(scores), np.flatnonzero(positive)
    mine = mine[device.order(scores[mine], stable=False)]
    positives, negatives = len(mine), rows - len(mine)
    thresholds = _padded(scores[mine])
    real = to_double(np.arange(len(thresholds)) < positives)
    own = ops.convert_to_tensor(thresholds)
    below, up_to = _count(ordered, own, "left"), _count(ordered, own, "right")
    own_below, own_up_to = _count(own, own, "left"), ops.minimum(_count(own, own, "right"), float(positives))
    beaten = (below - own_below + up_to - own_up_to) / 2  # negatives below each positive, ties half
    area = ops.sum(real * beaten) / (positives * negatives)
    taken = ops.maximum(rows - below, 1.0)  # rows at or above each positive
    precision = real * (positives - own_below) / taken
    average = ops.sum(precision) / positives
    if not influence:
        return float(area), float(average)
    column = ops.convert_to_tensor(scores)
    under, within = (ops.minimum(ops.searchsorted(own, column, side=side), positives) for side in ("left", "right"))
    within = ops.cast(within, "int32")
    won = 1 - (ops.cast(under, "float64") + ops.cast(within, "float64")) / (2 * positives)
    auc_influence = np.array(to_numpy((won - area) / negatives))
    auc_influence[mine] = to_numpy((beaten / negatives - area) / positives)[:positives]
    gain, loss = (ops.pad(ops.cumsum(real * value), [[1, 0]]) for value in (1 / taken, precision / taken))
    precision_influence = np.array(to_numpy(-ops.take(loss, within) / positives))
    gained = ops.take(gain, ops.cast(own_up_to, "int32"))
    precision_influence[mine] += to_numpy((precision - average + gained) / positives)[:positives]
    return float(area), float(average), auc_influence, precision_influence


def _count(ordered: Any, values: Any, side: str) -> Any:
    """How many of `ordered` lie below each value ('left') or at most at it ('right'), float64."""
    return ops.cast(ops.searchsorted(ordered, values, side=side), "float64")


def _padded(thresholds: NDArray[Any]) -> NDArray[Any]:
    """The thresholds followed by the largest integer up to the next power of two."""
    largest = np.iinfo(thresholds.dtype).max
    return np.pad(thresholds, (0, round_up(len(thresholds)) - len(thresholds)), constant_values=largest)
