"""Softmax regression solved to its optimum, for a linear head on features that do not change. It knows no network."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from toolkit.pipeline import balanced_weights

Floats = NDArray[np.float32]
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # tried one after the other while the next is better
FOLDS, FEW = 5, 5_000  # that choose the strength; of more images than `FEW`, one fold says enough
STEPS = 200  # of L-BFGS at most, for each strength
SMALL = 2**24  # values of features; below, threads waited for one another through nine tenths of the time
TOLERANCE = 1e-6  # of the objective divided by the rows: far below what a prediction could show
ROUGH = 1e-4  # the same where strengths are compared, which are a factor of three apart


@dataclass(frozen=True)
class Rows:
    """What a head learns from, or is judged on."""

    features: Floats  # (N, D)
    targets: Floats  # (N, K), rows sum to 1
    weights: Floats  # (N,), how much each row counts
    images: int  # as many different ones; each is N / images rows, that far apart

    @classmethod
    def of(cls, features: Floats, targets: Floats, smoothing: float = 0.0, balanced: bool = False) -> Self:
        """Features (P, N, D) and targets (P, N, K), seen in P passes that count as one: P x N rows.

        `smoothing` is the share of each target that goes to all classes alike; `balanced` lets all classes count the
        same.
        """
        passes, count, classes = targets.shape
        weights = np.full(passes * count, 1 / passes, np.float32)
        flat = targets.reshape(-1, classes)
        if balanced:
            weights = weights * balanced_weights(flat.argmax(axis=1))[flat.argmax(axis=1)]
        flat = (1 - smoothing) * flat + smoothing / classes
        return cls(features.reshape(passes * count, -1), flat.astype(np.float32), weights.astype(np.float32), count)

    def take(self, which: NDArray[np.bool_]) -> Self:
        """Some of the rows, to learn from or to judge by."""
        weights = self.weights[which]
        return dataclasses.replace(self, features=self.features[which], targets=self.targets[which], weights=weights)


@dataclass(frozen=True)
class Head:
    """Logits are features @ kernel + bias."""

    kernel: Floats  # (D, K)
    bias: Floats  # (K,)

    def logits(self, rows: Rows) -> Floats:
        """(N, K)."""
        return rows.features @ self.kernel + self.bias

    def loss(self, rows: Rows) -> float:
        """Weighted mean cross-entropy."""
        return float(
            -(rows.weights @ (rows.targets * _log_softmax(self.logits(rows))).sum(axis=1)) / rows.weights.sum()
        )

    def accuracy(self, rows: Rows) -> float:
        """Share of rows whose likeliest class is that of the target."""
        return float((self.logits(rows).argmax(axis=1) == rows.targets.argmax(axis=1)).mean())


def solved(rows: Rows, strength: float, begin: Head | None = None, tolerance: float = TOLERANCE) -> Head:
    """The head of least weighted cross-entropy, summed over rows, plus |kernel|^2 / (2 strength).

    Features are centred and divided by the root of their summed variance first, so that a strength means the same for
    any backbone; that is folded back into kernel and bias. The bias is free. L-BFGS (Liu & Nocedal, Mathematical
    Programming 1989) from `begin`, or from zero; the problem is convex, so both end in the same place.
    """
    centre = rows.features.mean(axis=0, dtype=np.float64).astype(np.float32)
    features = rows.features - centre
    (count, width), classes = features.shape, rows.targets.shape[1]
    scale = float(np.linalg.norm(features)) / count**0.5 or 1.0  # where all rows are alike there is nothing to scale
    features /= scale
    start = np.zeros((width + 1, classes))
    if begin is not None:
        start = np.vstack([begin.kernel * scale, begin.bias + centre @ begin.kernel])

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        values = flat.reshape(width + 1, classes)
        kernel = values[:-1].astype(np.float32)
        chances = _log_softmax(features @ kernel + values[-1].astype(np.float32))
        loss = -float(rows.weights @ (rows.targets * chances).sum(axis=1, dtype=np.float64))
        errors = rows.weights[:, None] * (np.exp(chances) - rows.targets)
        gradient = np.vstack([features.T @ errors + kernel / strength, errors.sum(axis=0)])
        penalty = float((values[:-1] ** 2).sum()) / (2 * strength)
        return (loss + penalty) / count, gradient.astype(np.float64).ravel() / count

    options = {"maxiter": STEPS, "ftol": tolerance, "gtol": 0.0}
    with threadpool_limits(1 if features.size < SMALL else None, "blas"):
        values = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options).x
    values = values.reshape(width + 1, classes)
    kernel = values[:-1] / scale
    return Head(kernel.astype(np.float32), (values[-1] - centre @ kernel).astype(np.float32))


class Choice(NamedTuple):
    """A strength, and what its heads reached on rows that they had not seen (NaN where there were too few to see)."""

    strength: float
    loss: float = math.nan
    accuracy: float = math.nan
    heads: tuple[Head, ...] = ()  # of the strength, one for each fold that was judged
    fold: NDArray[np.int64] = np.zeros(0, np.int64)  # (images,), whose head has not seen the image

    def unseen(self, features: Floats, images: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
        """Features (M, D) of some `images` (M,) -> those of them that a head has not seen, and its logits (R, K)."""
        fold = self.fold[images]
        answered = np.flatnonzero(fold < len(self.heads))
        found = np.empty((len(answered), len(self.heads[0].bias)), np.float32)
        for number, head in enumerate(self.heads):
            found[fold[answered] == number] = features[fold == number] @ head.kernel + head.bias
        return images[answered], found


def chosen(rows: Rows, seed: int = 0, groups: NDArray[Any] | None = None) -> Choice:
    """The strength whose heads lose least on rows that they have not seen.

    They are five folds, or one of them where images are many; of fewer than five images it is the smallest strength.
    Images of one of `groups` (one an image) go together.
    """
    if rows.images < FOLDS:
        return Choice(STRENGTHS[0])
    names, place = np.unique(np.arange(rows.images) if groups is None else groups, return_inverse=True)
    if len(names) < FOLDS:
        return Choice(STRENGTHS[0])
    group = (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[place]
    fold = np.tile(group, len(rows.targets) // rows.images)  # an image's passes go together
    numbers = range(FOLDS if rows.images <= FEW else 1)
    folds = [(rows.take(fold != number), rows.take(fold == number)) for number in numbers]
    heads: list[Head | None] = [None] * len(folds)
    best = Choice(STRENGTHS[0], np.inf)
    for strength in STRENGTHS:
        heads = [solved(learned, strength, head, ROUGH) for (learned, _), head in zip(folds, heads, strict=True)]
        pairs = [(head, other) for head, (_, other) in zip(heads, folds, strict=True) if head]
        judged = [(head.loss(other), head.accuracy(other)) for head, other in pairs]
        loss, accuracy = np.mean(judged, axis=0).tolist()
        if loss >= best.loss:
            break
        best = Choice(strength, loss, accuracy, tuple(head for head in heads if head), group)
    return best


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
