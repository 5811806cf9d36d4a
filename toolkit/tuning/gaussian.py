"""Where a Gaussian process expects the most improvement. Points and scores in, points out; it knows no classifier."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

Doubles = NDArray[np.float64]
Features = Callable[[Doubles], Doubles]  # points (N, M) -> features (N, F)
EVERYWHERE, NEARBY, ROUNDS = 1500, 300, 5  # candidates over the cube, around a good point, times of looking closer
RESTARTED = 60  # points up to which the kernel's parameters are sought from a second start, which takes as long again
LEARNED, BEST = (
    100,
    50,
)  # points that they are sought on, and how many of them are the best ones; all are conditioned on


def propose(points: Doubles, scores: Doubles, features: Features, seed: list[int]) -> Doubles:
    """Tried points (N, M) with scores (N,), lower is better -> untried points (NEARBY, M), the most promising first.

    Expected improvement (Jones, Schonlau & Welch 1998) over candidates drawn over the whole cube and around the best
    points; gradients would stop at the steps between choices, and take seconds in many dimensions.
    """
    with threadpool_limits(1, "blas"):  # products this small are slower in threads, and far slower beside workers
        return _promising(points, scores, features, seed)


def _promising(points: Doubles, scores: Doubles, features: Features, seed: list[int]) -> Doubles:
    random = np.random.default_rng(seed)
    known = features(points)
    process = _fitted(known, scores, seed=int(random.integers(2**31)))
    floor = float(process.predict(known).min())  # of the model, not of the noise

    def gain(candidates: Doubles) -> Doubles:
        mean, deviation = process.predict(features(candidates), return_std=True)
        deviation = np.maximum(deviation, 1e-9)
        ahead = (floor - mean) / deviation
        return deviation * (ahead * norm.cdf(ahead) + norm.pdf(ahead))

    best = points[np.argsort(scores, kind="stable")[:3]]
    found = np.concatenate([
        random.random((EVERYWHERE, points.shape[1])),
        *(_around(point, 0.1, random) for point in best),
    ])  # fmt: skip
    gains = gain(found)
    for turn in range(ROUNDS):
        closer = _around(found[gains.argmax()], 0.1 / 2**turn, random)
        found, gains = np.concatenate([found, closer]), np.concatenate([gains, gain(closer)])
    return found[np.argsort(-gains, kind="stable")[:NEARBY]]


def _around(point: Doubles, scale: float, random: np.random.Generator) -> Doubles:
    """Points (NEARBY, M) near a point: some coordinates moved a little, a few drawn anew."""
    size = (NEARBY, len(point))
    moved = np.where(random.random(size) < max(0.5, 1 / len(point)), random.normal(0, scale, size), 0.0)
    anew = random.random(size) < 0.5 / len(point)
    return np.clip(np.where(anew, random.random(size), point + moved), 0, 1)


def _fitted(features: Doubles, scores: Doubles, seed: int) -> GaussianProcessRegressor:
    """A process on features (N, F) and scores (N,).

    Scores far worse than the middle count as no worse than a limit: a run that diverged says "not here", and its size
    would flatten everything else.
    """
    middle, best = float(np.median(scores)), float(scores.min())
    scores = np.minimum(scores, middle + 2 * max(middle - best, 1e-12))
    scores = (scores - scores.mean()) / (scores.std() or 1.0)
    scales = np.full(features.shape[1], 0.5)
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(scales, (0.05, 5.0), nu=2.5) + WhiteKernel(1e-3, (1e-6, 0.3))
    restarts = 1 if len(scores) <= RESTARTED else 0
    process = GaussianProcessRegressor(kernel, n_restarts_optimizer=restarts, random_state=seed)
    learned = _learned_on(scores, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound is an answer
        process.fit(features[learned], scores[learned])
    if len(learned) == len(scores):
        return process
    return GaussianProcessRegressor(process.kernel_, optimizer=None).fit(features, scores)


def _learned_on(scores: Doubles, seed: int) -> NDArray[np.int64]:
    """Rows that the kernel's parameters are sought on: all, or of many the best, where they matter, and some others.

    A step of that search costs the cube of the points; what they show of the scales is known long before 200.
    """
    if len(scores) <= LEARNED:
        return np.arange(len(scores))
    order = np.argsort(scores, kind="stable")
    others = np.random.default_rng(seed).permutation(order[BEST:])[: LEARNED - BEST]
    return np.sort(np.concatenate([order[:BEST], others]))
