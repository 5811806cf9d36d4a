"""Bootstrap replicates of every metric, for one contestant or for two on the same rows. It draws no interval."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.evaluation import device
from toolkit.evaluation.confusion import CONFUSION_METRICS, confusion_metrics
from toolkit.evaluation.design import Design
from toolkit.evaluation.evidence import AREAS, Evidence
from toolkit.evaluation.precision import last_of_ties, order_keys, round_up, to_double, to_numpy
from toolkit.evaluation.resampling import confusion_table, draws, resample, resample_mean
from toolkit.evaluation.rows import Rows

Doubles = NDArray[np.float64]


ByClass = tuple[Doubles, Doubles, Doubles]  # replicates of precision, recall and F1, (resamples, K) each


def bootstrap(evidence: Evidence, design: Design, resamples: int, seed: int) -> tuple[dict[str, Doubles], ByClass]:
    """Replicates (resamples,) of every metric but ECE, and those by class, NaN where a resample does not define it."""
    means = {name: resample_mean(values, design, resamples, seed) for name, values in evidence.means.items()}
    (margins,) = confusion_margins([evidence.rows], design, resamples, seed)
    areas = area_replicates([evidence.rows], design, resamples, seed)[0]
    return _of_margins(margins) | means | areas, _by_class(margins)


def bootstrap_difference(
    first: Evidence, second: Evidence, metric: str, design: Design, resamples: int, seed: int
) -> Doubles:
    """Replicates (resamples,) of the metric of the first less that of the second, both on the same resampled rows."""
    if metric in first.means:
        return resample_mean(first.means[metric] - second.means[metric], design, resamples, seed)
    replicate = confusion_replicates if metric in CONFUSION_METRICS else area_replicates
    both = replicate([first.rows, second.rows], design, resamples, seed)
    return np.asarray(both[0][metric] - both[1][metric])


def bootstrap_function(
    rows: Sequence[Rows], function: Callable[..., float], design: Design, resamples: int, seed: int
) -> Doubles:
    """Replicates (resamples,) of any function of labels and one or more contestants' probabilities, a call each."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(design.unit_stratum == index) for index in range(design.strata)]
    order, sizes = np.arange(design.rows), np.ones(design.rows, dtype=np.int64)
    if design.cluster is not None:
        order, sizes = device.order(design.cluster), device.tally(design.cluster, design.units)
    starts = np.cumsum(sizes) - sizes
    replicates = np.empty(resamples)
    for index in range(resamples):
        units = np.concatenate([rng.choice(units, len(units)) for units in members])
        offsets = np.arange(sizes[units].sum()) - np.repeat(np.cumsum(sizes[units]) - sizes[units], sizes[units])
        drawn = order[np.repeat(starts[units], sizes[units]) + offsets]
        replicates[index] = function(rows[0].labels[drawn], *(one.probabilities[drawn] for one in rows))
    return replicates


def confusion_replicates(rows: Sequence[Rows], design: Design, resamples: int, seed: int) -> list[dict[str, Doubles]]:
    """Replicates (resamples,) of CONFUSION_METRICS, for each contestant on the same resampled rows."""
    return [_of_margins(margins) for margins in confusion_margins(rows, design, resamples, seed)]


def confusion_margins(rows: Sequence[Rows], design: Design, resamples: int, seed: int) -> list[Doubles]:
    """Hits, rows and predictions of each class in each resample, (3, resamples, K), for each contestant."""
    classes = rows[0].classes
    table = confusion_table(rows[0].labels, [one.predicted for one in rows], classes, design)
    drawn = resample(table, resamples, seed).reshape(resamples, len(rows), 3, classes)
    return list(drawn.transpose(1, 2, 0, 3))


def _of_margins(margins: Doubles) -> dict[str, Doubles]:
    """CONFUSION_METRICS (resamples,) of margins (3, resamples, K)."""
    return {name: to_numpy(value) for name, value in confusion_metrics(*map(to_double, margins)).items()}


def _by_class(margins: Doubles) -> ByClass:
    """Precision, recall and F1 of margins (3, resamples, K)."""
    hits, support, predicted = margins
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: not defined
        return hits / predicted, hits / support, 2 * hits / np.where(support > 0, support + predicted, np.nan)


def area_replicates(rows: Sequence[Rows], design: Design, resamples: int, seed: int) -> list[dict[str, Doubles]]:
    """Replicates (resamples,) of AREAS, for each contestant on the same resampled rows, in blocks of bounded memory."""
    rng = np.random.default_rng(seed)
    multiplicity = np.ones(design.units, dtype=np.int64)
    found: list[dict[str, list[Doubles]]] = [{name: [] for name in AREAS} for _ in rows]
    for counts in draws(multiplicity, design.unit_stratum, resamples, rng, design.rows):
        weights = ops.transpose(ops.cast(ops.convert_to_tensor(counts), "float32"))  # sums are exact up to 2**24 rows
        if design.cluster is not None:
            weights = ops.take(weights, ops.convert_to_tensor(design.cluster), axis=0)
        for replicates, one in zip(found, rows, strict=True):
            for name, values in zip(AREAS, _weighted_areas(one, weights), strict=True):
                replicates[name].append(values)
    return [{name: np.concatenate(values) for name, values in replicates.items()} for replicates in found]


def _weighted_areas(rows: Rows, weights: Any) -> tuple[Doubles, Doubles]:
    """Macro ROC AUC and average precision (B,) of rows that count `weights` (N, B) times."""
    sums, defined = np.zeros((2, weights.shape[1])), np.zeros(weights.shape[1])
    for index in range(rows.classes):
        keys = order_keys(np.ascontiguousarray(rows.probabilities[:, index]))
        order = device.order(-keys, stable=False)
        positive = np.flatnonzero(rows.labels[order] == index)
        if not len(positive):
            continue
        ends = last_of_ties(keys[order])
        run = np.searchsorted(ends, positive)  # of rows that tie, for each positive row
        last = _padded(last_of_ties(run))  # what is padded gains nothing
        run, positive = run[last], _padded(positive)
        ordered = ops.take(weights, ops.convert_to_tensor(order), axis=0)
        taken = ops.pad(ops.cumsum(ordered, axis=0), [[1, 0], [0, 0]])
        hits = ops.pad(ops.cumsum(ops.take(ordered, ops.convert_to_tensor(positive), axis=0), axis=0), [[1, 0], [0, 0]])
        starts = np.concatenate([[0], ends[:-1] + 1])
        before, after = _rows(taken, starts[run]), _rows(taken, ends[run] + 1)
        hits_after = _rows(hits, last + 1)
        hits_before = ops.pad(hits_after[:-1], [[1, 0], [0, 0]])
        gained, positives = hits_after - hits_before, hits_after[-1]
        negatives = ops.cast(taken[-1], "float64") - positives
        above = (
            before - hits_before + after - hits_after
        ) / 2  # negatives above a run of ties, and half of those in it
        area = ops.sum(gained * (negatives - above), axis=0) / ops.maximum(positives * negatives, 1.0)
        precision = ops.sum(gained * hits_after / ops.maximum(after, 1.0), axis=0) / ops.maximum(positives, 1.0)
        valid = to_numpy(ops.logical_and(positives > 0, negatives > 0))
        sums += np.where(valid, np.stack([to_numpy(area), to_numpy(precision)]), 0.0)
        defined += valid
    with np.errstate(invalid="ignore"):
        means = sums / defined
    return means[0], means[1]


def _padded(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """The index with its last entry repeated up to the next power of two."""
    return np.pad(index, (0, round_up(len(index)) - len(index)), mode="edge")


def _rows(tensor: Any, index: NDArray[np.int64]) -> Any:
    """Some rows of a tensor, in double precision."""
    return ops.cast(ops.take(tensor, ops.convert_to_tensor(index), axis=0), "float64")
