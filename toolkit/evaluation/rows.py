"""One pass over the rows: all that the metrics need of each, in blocks of bounded memory. It averages nothing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.evaluation.checks import (
    Labels,
    Probabilities,
    check_arrays,
    check_sums,
    smallest_probability,
    sum_tolerance,
)
from toolkit.evaluation.precision import blocks, order_keys, to_numpy

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """What each of N rows shows; `classes` is K."""

    classes: int
    labels: Labels  # int64 (N,), 0..K-1
    probabilities: Probabilities  # (N, K)
    predicted: Labels  # int64 (N,), the first of the largest
    confidence: Doubles  # (N,), the largest probability
    log_loss: Doubles  # (N,), nats, the true class's probability clipped to [eps, 1 - eps]
    brier: Doubles  # (N,), 0..2, the sum over classes of the squared error
    rank: Labels  # int64 (N,), how many classes stand above the true one; of equals the later class stands above

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the prediction is the label, (N,)."""
        return self.predicted == self.labels


def read_rows(labels: Any, probabilities: Any) -> Rows:
    """Check labels (N,) and probabilities (N, K) and go once over them. Raises InputError."""
    epsilon, tolerance = smallest_probability(probabilities), sum_tolerance(probabilities)
    labels, probabilities = check_arrays(labels, probabilities)
    rows, classes = probabilities.shape
    parts = [_read_block(labels[block], probabilities[block]) for block in blocks(rows, classes)]
    predicted, largest, true, squares, rank, sums, smallest = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    check_sums(float(smallest.min()), sums, tolerance)
    true = true.astype(np.float64)
    return Rows(
        classes=classes,
        labels=labels,
        probabilities=probabilities,
        predicted=predicted.astype(np.int64),
        confidence=largest.astype(np.float64),
        log_loss=-np.log(np.clip(true, epsilon, 1 - epsilon)),
        brier=np.maximum(squares.astype(np.float64) - 2 * true + 1, 0),
        rank=rank.astype(np.int64),
    )


def read_probabilities(probabilities: Any) -> Probabilities:
    """Check probabilities (N, K) that come without labels, and return them."""
    return read_rows(np.zeros(np.shape(probabilities)[:1], dtype=np.int64), probabilities).probabilities


def _read_block(labels: Labels, probabilities: Probabilities) -> list[NDArray[Any]]:
    """Of one block: prediction, largest, true class's probability, squares' sum, rank, sum, smallest (one value)."""
    tensor = ops.convert_to_tensor(probabilities)
    columns = ops.convert_to_tensor(labels.astype(np.int32))[:, None]
    true = ops.take_along_axis(tensor, columns, axis=1)
    keys = ops.convert_to_tensor(order_keys(probabilities))
    true_key = ops.take_along_axis(keys, columns, axis=1)
    later = ops.arange(tensor.shape[1], dtype="int32")[None] > columns
    above = ops.logical_or(keys > true_key, ops.logical_and(keys == true_key, later))
    results = (
        ops.argmax(tensor, axis=1),
        ops.max(tensor, axis=1),
        true[:, 0],
        ops.sum(tensor * tensor, axis=1),
        ops.sum(ops.cast(above, "int32"), axis=1),
        ops.sum(tensor, axis=1),
        ops.reshape(ops.min(tensor), (1,)),
    )
    return [to_numpy(result) for result in results]
