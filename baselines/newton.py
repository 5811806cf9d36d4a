"""Linear machines of few rows, solved to their optimum by Newton's method over the rows. It knows no estimator."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

Vector = NDArray[np.float64]
COLUMNS = 4096  # of features, that are float64 at a time
SHORTEST = 1e-6  # share of a step


def products(features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(N, D) -> the rows' products with one another (N, N). Raises ValueError."""
    found = np.zeros((len(features), len(features)))
    for start in range(0, features.shape[1], COLUMNS):
        part = features[:, start : start + COLUMNS].astype(np.float64)
        found += part @ part.T
    if not np.isfinite(found.trace()):
        raise ValueError("Expected finite features. Received: some that are NaN or infinite.")
    return found


def squared_hinge(
    kernel: NDArray[np.float64], signs: NDArray[np.floating[Any]], C: float, tolerance: float, steps: int
) -> tuple[Vector, float, int]:
    """Minimise a K a / 2 + C sum max(0, 1 - y (K a + b))^2, for signs y (N,) of -1 and 1 and a kernel K (N, N).

    Chapelle, Training a support vector machine in the primal (Neural Computation 2007), with a step that is halved
    until it lowers the objective. Between two sets of rows that miss their margin the objective is a quadratic, so that
    some ten steps end at the optimum itself, however ill-conditioned; a step costs the cube of the rows in the set.

    Returns:
        a (N,), b, and the number of steps.
    """
    sides = signs.astype(np.float64)
    point, count = _Point(np.zeros(len(sides)), 0.0, np.zeros(len(sides))), 0
    lowest = point.objective(sides, C)
    while count < steps:
        count += 1
        missed = np.flatnonzero(sides * (point.values + point.bias) < 1)
        weights, bias = _quadratic(kernel, sides, C, missed)
        goal, share = _Point(weights, bias, kernel[:, missed] @ weights[missed]), 1.0
        while (found := (there := point.towards(goal, share)).objective(sides, C)) > lowest and share > SHORTEST:
            share /= 2
        if found > lowest:  # by rounding
            break
        point, gain, lowest = there, lowest - found, found
        if gain <= tolerance * found:
            break
    return point.weights, point.bias, count


class _Point(NamedTuple):
    """A machine, and what it makes of the rows."""

    weights: Vector  # a (N,)
    bias: float
    values: Vector  # K a (N,)

    def towards(self, goal: "_Point", share: float) -> "_Point":
        """So much of the way."""
        stay = 1 - share
        weights = stay * self.weights + share * goal.weights
        return _Point(weights, stay * self.bias + share * goal.bias, stay * self.values + share * goal.values)

    def objective(self, signs: Vector, C: float) -> float:
        """What is to be least."""
        slack = np.maximum(0, 1 - signs * (self.values + self.bias))
        return float(self.weights @ self.values / 2 + C * slack @ slack)


def _quadratic(kernel: NDArray[np.float64], signs: Vector, C: float, missed: NDArray[np.intp]) -> tuple[Vector, float]:
    """The optimum if exactly the rows `missed` missed their margin: a (N,), zero for all others, and b."""
    weights = np.zeros(len(signs))
    if not len(missed):
        return weights, 0.0
    system = kernel[np.ix_(missed, missed)]
    system.flat[:: len(missed) + 1] += 1 / (2 * C)
    try:
        factor = cho_factor(system, overwrite_a=True, check_finite=False)
    except LinAlgError:
        raise ValueError(f"Expected C small enough to tell rows apart. Received: {C:g}.") from None
    both = cho_solve(factor, np.stack([signs[missed], np.ones(len(missed))], axis=1), check_finite=False)
    bias = float(both[:, 0].sum() / both[:, 1].sum())
    weights[missed] = both[:, 0] - bias * both[:, 1]
    return weights, bias
