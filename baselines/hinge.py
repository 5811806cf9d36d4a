"""A linear SVM learned in mini-batches on whatever device Keras has, from features that may be larger than memory.

Squared hinge, one class against the rest, as in `baselines.machines.SquaredHingeSVM`; the steps are Adam's (Kingma
& Ba, ICLR 2015). It knows features and labels, nothing of images.
"""

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Self

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

Floats = NDArray[np.floating[Any]]

HELD_BYTES = 2**28  # of features at a time
CHUNK = 256  # neighbouring rows that are read together; a buffer holds chunks from all over the file
LEAST_STEPS = 2000  # where epochs=None and few rows would give fewer
REACH = 1.0  # by which the first steps may move a typical score
DECAYS = (0.9, 0.999)


class MinibatchSVM(ClassifierMixin, BaseEstimator):
    """Minimises |w|^2 / 2 + C sum max(0, 1 - y f)^2 for all classes at once; the intercept is not penalised.

    `fit` and `decision_function` take a memory map, of which they hold `HELD_BYTES` at a time. The rate falls along a
    cosine to zero, from what a typical row's absolute sum allows, so that features of any scale are learned alike.
    epochs=None: five, or as many as make `LEAST_STEPS` steps. After `fit`: `coef_` (K, D), `intercept_` (K,), K = 1 for
    two classes, `classes_`, `epochs_`.
    """

    def __init__(self, C: float = 1.0, epochs: int | None = None, batch_size: int = 1024, seed: int = 0) -> None:
        self.C = C
        self.epochs = epochs
        self.batch_size = batch_size
        self.seed = seed

    def fit(
        self, features: Floats, labels: NDArray[np.integer[Any]], rows: NDArray[np.integer[Any]] | None = None
    ) -> Self:
        """(N, D), possibly a memory map, and (N,), of whose `rows` (None: of all) at least two classes are learned."""
        labels = np.asarray(labels)
        if len(features) != len(labels):
            raise ValueError(f"Expected a label for each row. Received: {len(features)} rows, {len(labels)} labels.")
        chosen = np.arange(len(labels)) if rows is None else np.sort(rows)
        classes = np.unique(labels[chosen])
        if len(classes) < 2:
            raise ValueError(f"Expected labels of at least two classes. Received: {len(classes)}.")
        positive = classes[1:] if len(classes) == 2 else classes
        size = min(self.batch_size, len(chosen))
        steps = len(chosen) // size
        self.epochs_ = self.epochs or max(5, math.ceil(LEAST_STEPS / steps))
        state, step = None, _step()
        for number, (batch, places) in enumerate(_batches(features, size, self.epochs_, self.seed, chosen)):
            if state is None:
                centre = batch.mean(axis=0)  # of one batch: any point near the middle lets weights move apart
                typical = float(np.abs(batch - centre).sum(axis=1).mean()) or 1.0
                share = typical / math.sqrt(batch.shape[1])  # the constant column that carries the intercept
                state = [np.zeros((batch.shape[1] + 1, len(positive)), np.float32)] * 4
            rate = REACH / typical * 0.5 * (1 + math.cos(math.pi * min(1.0, number / (self.epochs_ * steps))))
            signs = np.where(labels[places][:, None] == positive, np.float32(1), np.float32(-1))
            batch = np.concatenate([batch - centre, np.full((size, 1), share, np.float32)], axis=1)
            told = np.array([rate, number + 1, 1 / (self.C * len(chosen)), _averaging(number, steps)], np.float32)
            state = step(*state, batch, signs, told)
        weights = ops.convert_to_numpy(state[3])  # type: ignore[index]
        self.coef_, self.intercept_ = weights[:-1].T.copy(), weights[-1] * share - centre @ weights[:-1]
        self.classes_ = classes
        return self

    def decision_function(self, features: Floats) -> Floats:
        """(N, D) -> distances (N, K), or (N,) for two classes, positive for the second."""
        check_is_fitted(self)
        rows = max(1, HELD_BYTES // (4 * features.shape[1]))
        scores = np.concatenate(
            [
                np.asarray(features[start : start + rows], np.float32) @ self.coef_.T + self.intercept_
                for start in range(0, max(len(features), 1), rows)
            ]
        )
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, features: Floats) -> NDArray[np.integer[Any]]:
        """(N, D) -> labels (N,)."""
        scores = self.decision_function(features)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]


def _batches(
    features: Floats, size: int, epochs: int, seed: int, chosen: NDArray[np.integer[Any]]
) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
    """Of the `chosen` rows, ascending, float32 (size, D) and their places, each epoch in another order; what does not
    fill a batch waits for the next epoch. Files are often sorted by class, hence chunks from all over in each buffer.
    """
    random = np.random.default_rng(seed)
    chunk = min(CHUNK, max(1, len(chosen) // 64))
    starts = np.arange(0, len(chosen), chunk)
    together = max(1, HELD_BYTES // (4 * features.shape[1] * chunk), -(-size // chunk))
    rows = np.empty((0, features.shape[1]), np.float32)
    places = np.empty(0, np.int64)
    for _ in range(epochs):
        random.shuffle(starts)
        for first in range(0, len(starts), together):
            # the disk likes to be read forwards
            numbers = [chosen[start : start + chunk] for start in np.sort(starts[first : first + together])]
            read = [_read(features, part) for part in numbers]
            rows, places = np.concatenate([rows, *read]), np.concatenate([places, *numbers])
            order, whole = random.permutation(len(rows)), len(rows) // size * size
            for begin in range(0, whole, size):
                taken = order[begin : begin + size]
                yield rows[taken], places[taken]
            rows, places = rows[order[whole:]], places[order[whole:]]


def _read(features: Floats, places: NDArray[np.integer[Any]]) -> Floats:
    """The rows at ascending places, float32 (n, D): those between them are passed over in the map, not copied."""
    span = features[places[0] : places[-1] + 1]
    return np.asarray(span if len(span) == len(places) else span[places - places[0]], np.float32)


def _averaging(number: int, steps: int) -> float:
    """The weight of the newest point in the running average of points: the last epoch's count the most."""
    return 1.0 if number < steps else max(1 / steps, 2 / (number - steps + 2))


@cache
def _step() -> Callable[..., Any]:
    """(weights, mean gradient, mean square, average, rows (B, D), signs (B, K), told) -> the first four, a step later.

    `told` holds the rate, the step's number from 1 on, the penalty 1 / (C N) and the weight in the average.
    """

    def step(weights: Any, mean: Any, square: Any, average: Any, rows: Any, signs: Any, told: Any) -> Any:
        slack = ops.maximum(1 - signs * ops.matmul(rows, weights), 0.0)
        penalty = ops.concatenate([weights[:-1], ops.zeros_like(weights[-1:])], axis=0) * told[2]
        count = ops.cast(ops.shape(rows)[0], "float32")
        gradient = ops.matmul(ops.transpose(rows), signs * slack) * (-2 / count) + penalty
        mean = DECAYS[0] * mean + (1 - DECAYS[0]) * gradient
        square = DECAYS[1] * square + (1 - DECAYS[1]) * gradient * gradient
        unbiased = mean / (1 - DECAYS[0] ** told[1]), square / (1 - DECAYS[1] ** told[1])
        weights = weights - told[0] * unbiased[0] / (ops.sqrt(unbiased[1]) + 1e-8)
        return weights, mean, square, average + told[3] * (weights - average)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(step, jit_compile=True, autograph=False, reduce_retracing=False)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(step)
    return step
