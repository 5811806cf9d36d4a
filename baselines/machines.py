"""Support vector machines that use every core, linear and RBF, and the temperature that makes them probabilities.

They know features, labels and nothing of images. All are scikit-learn estimators.
"""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from threadpoolctl import threadpool_limits

from baselines.newton import products, squared_hinge

Floats = NDArray[np.floating[Any]]

ROWS = 2048  # whose kernel with all support vectors is held at a time
SMALL = 2**24  # values of features; below, threads of a matrix product wait for one another longer than they work
FEW = 4_000  # rows, and no fewer features: up to there Newton's method is the quicker for a linear machine
PAIR_ROWS = 20_000  # of two classes, whose kernel of 3.2 GB still fits
OWN_BYTES = 3 * 2**28  # for the kernels inside single classes, each of which all its pairs use
CACHE_MEGABYTES = 100  # of LIBSVM
EXACT_ROWS = 60_000  # up to which `kernel="auto"` takes the exact RBF kernel: see baselines.svm.CHOICES
HELD_ROWS = 10_000  # of a large set, on which the temperature is learned
STEEPNESS = 3.0  # of a duel's chance; 2 and 5 gave slightly worse probabilities and accuracy


class SquaredHingeSVM(ClassifierMixin, BaseEstimator):
    """Linear SVM, one class against the rest: minimises |w|^2 / 2 + C sum max(0, 1 - y f)^2 for all at once.

    The objective is that of `sklearn.svm.LinearSVC` but for the intercept, which is not penalised here. L-BFGS over
    matrix products takes seconds where LIBLINEAR's coordinate descent takes minutes; of few rows of many features
    Newton's method over the rows is quicker and nearer to the optimum. After `fit`: `coef_` (K, D), `intercept_` (K,),
    K = 1 for two classes, `classes_`, `n_iter_`.
    """

    def __init__(self, C: float = 1.0, max_iter: int = 1000, tolerance: float = 1e-6) -> None:
        self.C = C
        self.max_iter = max_iter
        self.tolerance = tolerance  # of the objective from one step to the next, relative

    def fit(self, features: Floats, labels: NDArray[np.integer[Any]]) -> Self:
        """(N, D) and (N,) of at least two classes."""
        features = np.asarray(features, dtype=np.float32)
        self.classes_ = np.unique(labels)
        positive = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        signs = np.where(np.asarray(labels)[:, None] == positive, np.float32(1), np.float32(-1))
        if len(features) <= min(FEW, features.shape[1]):
            return self._by_rows(features, signs)
        shape = (features.shape[1] + 1, len(positive))

        def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weights = flat.reshape(shape)
            scores = features @ weights[:-1].astype(np.float32) + weights[-1].astype(np.float32)
            slack = np.maximum(0, 1 - signs * scores)
            pull = signs * slack
            gradient = np.vstack([features.T @ pull, pull.sum(axis=0)]) * (-2.0 * self.C)
            gradient[:-1] += weights[:-1]
            value = np.sum(weights[:-1] ** 2) / 2 + self.C * np.sum(slack**2, dtype=np.float64)
            return float(value), gradient.ravel()

        options = {"maxiter": self.max_iter, "ftol": self.tolerance, "gtol": 0.0}
        with threadpool_limits(1 if features.size < SMALL else None, "blas"):
            solution = minimize(objective, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options)
        weights = solution.x.reshape(shape)
        self.coef_, self.intercept_, self.n_iter_ = weights[:-1].T.copy(), weights[-1].copy(), int(solution.nit)
        return self

    def _by_rows(self, features: Floats, signs: Floats) -> Self:
        """Features (N, D) and signs (N, K), where N is small."""
        kernel = products(features)

        def solve(side: Floats) -> tuple[Floats, float, int]:
            return squared_hinge(kernel, side, self.C, self.tolerance, self.max_iter)

        with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:  # a class is a core's work
            solved = list(pool.map(solve, signs.T))
        self.coef_ = np.stack([weights for weights, _, _ in solved]) @ features
        self.intercept_ = np.array([bias for _, bias, _ in solved])
        self.n_iter_ = max(steps for _, _, steps in solved)
        return self

    def decision_function(self, features: Floats) -> Floats:
        """(N, D) -> distances (N, K), or (N,) for two classes, positive for the second."""
        check_is_fitted(self)
        scores = features @ self.coef_.T + self.intercept_
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, features: Floats) -> NDArray[np.integer[Any]]:
        """(N, D) -> labels (N,)."""
        return _choose(self.classes_, self.decision_function(features))


class PairwiseSVM(ClassifierMixin, BaseEstimator):
    """The RBF kernel's SVM, one class against one: the machines of `sklearn.svm.SVC` in a fraction of the time.

    LIBSVM solves each pair of classes; its kernel comes from matrix products, pairs run on all cores. A pair of more
    than `PAIR_ROWS` rows would not fit into memory: there LIBSVM computes the kernel by itself. gamma=None takes
    `gamma_factor` / (D variance), with 1 what `SVC(gamma="scale")` takes. After `fit`: `classes_`, `gamma_`,
    `centre_` (D,), `support_vectors_` (S, D) less that, their mean, `lengths_` (S,), the squares of theirs,
    `dual_coef_` (S, pairs), `intercept_` (pairs,).
    """

    def __init__(self, C: float = 1.0, gamma: float | None = None, gamma_factor: float = 1.0) -> None:
        self.C = C
        self.gamma = gamma
        self.gamma_factor = gamma_factor

    def fit(self, features: Floats, labels: NDArray[np.integer[Any]]) -> Self:
        """(N, D) and (N,) of at least two classes."""
        features = np.asarray(features, dtype=np.float32)
        self.classes_ = np.unique(labels)
        self.choose_gamma(features)
        rows = [np.flatnonzero(labels == label) for label in self.classes_]
        pairs = list(combinations(range(len(rows)), 2))
        coefficients = np.zeros((len(features), len(pairs)))
        self.intercept_ = np.zeros(len(pairs))

        @lru_cache(maxsize=max(2, OWN_BYTES // (4 * max(map(len, rows)) ** 2)))
        def own_kernel(place: int) -> Floats:
            return _rbf(features[rows[place]], features[rows[place]], self.gamma_)

        def kernel(first: int, second: int) -> NDArray[np.float64]:
            n, m = len(rows[first]), len(rows[second])
            found = np.empty((n + m, n + m))  # LIBSVM reads float64 alone
            found[:n, :n], found[n:, n:] = own_kernel(first), own_kernel(second)
            found[:n, n:] = _rbf(features[rows[first]], features[rows[second]], self.gamma_)
            found[n:, :n] = found[:n, n:].T
            return found

        def solve(column: int) -> None:
            first, second = pairs[column]
            both = np.concatenate([rows[first], rows[second]])
            sides = np.repeat([0, 1], [len(rows[first]), len(rows[second])])
            if len(both) > PAIR_ROWS:
                machine = SVC(C=self.C, gamma=self.gamma_, cache_size=CACHE_MEGABYTES).fit(features[both], sides)
            else:
                machine = SVC(C=self.C, kernel="precomputed", cache_size=CACHE_MEGABYTES)
                machine.fit(kernel(first, second), sides)
            coefficients[both[machine.support_], column] = machine.dual_coef_[0]
            self.intercept_[column] = machine.intercept_[0]

        # To and fro, so that a class's kernel is met again before it is forgotten: 0-1, 0-2, 0-3, 1-3, 1-2, 2-3
        order = sorted(
            range(len(pairs)), key=lambda column: (pairs[column][0], pairs[column][1] * (-1) ** pairs[column][0])
        )
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:  # a pair is a core's work
            for _ in pool.map(solve, order):
                pass
        support = np.flatnonzero(coefficients.any(axis=1))
        return self.keep(features[support], coefficients[support])

    def choose_gamma(self, features: Floats) -> None:
        """From features (N, D), where it is not given."""
        variance = float(np.var(features, dtype=np.float64))
        scale = 1 / (features.shape[1] * max(variance, 1e-12))
        self.gamma_ = self.gamma if self.gamma is not None else self.gamma_factor * scale

    def keep(self, vectors: Floats, coefficients: Floats) -> Self:
        """Support vectors (S, D) and their coefficients (S, pairs), positive for the second of a pair."""
        self.dual_coef_ = coefficients
        self.centre_ = vectors.mean(axis=0)
        self.support_vectors_ = vectors - self.centre_
        self.lengths_ = _squared_lengths(self.support_vectors_)
        return self

    def decision_function(self, features: Floats) -> Floats:
        """(N, D) -> (N, K), for each class the logarithm of its chance to win all its duels; (N,) for two classes.

        The chance in one duel is the logistic function of `STEEPNESS` times its decision value. Ordering classes so was
        as accurate as counting duels won, and its probabilities are far better.

        Products of rows and vectors are float32, all else float64. About the vectors' mean lengths are small, and with
        them what rounds: probabilities were within 3e-6 of those in float64, at half the cost.
        """
        check_is_fitted(self)
        values = np.empty((len(features), len(self.intercept_)))
        for start in range(0, len(features), ROWS):
            rows = np.asarray(features[start : start + ROWS], np.float32) - self.centre_
            kernel = (rows @ self.support_vectors_.T).astype(np.float64)
            kernel *= 2
            kernel -= _squared_lengths(rows)[:, None]
            kernel -= self.lengths_
            np.minimum(kernel, 0, out=kernel)
            kernel *= self.gamma_
            values[start : start + ROWS] = np.exp(kernel, out=kernel) @ self.dual_coef_ + self.intercept_
        return values[:, 0] if len(self.classes_) == 2 else _log_chances(values, len(self.classes_))

    def predict(self, features: Floats) -> NDArray[np.integer[Any]]:
        """(N, D) -> labels (N,)."""
        return _choose(self.classes_, self.decision_function(features))


def _rbf(rows: Floats, vectors: Floats, gamma: float) -> Floats:
    """exp(-gamma |a - b|^2), (N, D) and (S, D) -> (N, S), in their precision."""
    kernel = rows @ vectors.T
    kernel *= 2
    kernel -= np.sum(rows**2, axis=1)[:, None]
    kernel -= np.sum(vectors**2, axis=1)
    np.minimum(kernel, 0, out=kernel)
    kernel *= gamma
    return np.exp(kernel, out=kernel)


def _squared_lengths(rows: Floats) -> NDArray[np.float64]:
    """(N, D) -> (N,)."""
    return np.einsum("nd,nd->n", rows, rows, dtype=np.float64)


def _log_chances(values: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Decision values (N, pairs), positive for the second of the pair -> (N, K)."""
    scores = np.zeros((len(values), classes))
    for pair, (first, second) in enumerate(combinations(range(classes), 2)):
        scores[:, first] -= np.logaddexp(0, STEEPNESS * values[:, pair])
        scores[:, second] -= np.logaddexp(0, -STEEPNESS * values[:, pair])
    return scores


def _choose(classes: NDArray[Any], scores: Floats) -> NDArray[Any]:
    return classes[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]


class Calibrated(ClassifierMixin, BaseEstimator):
    """A machine with a decision function whose values become probabilities by one temperature (Guo et al., ICML 2017).

    The temperature is learned on out-of-fold values of the training rows, then the machine is fitted to all of them.
    Of more than 3 x `HELD_ROWS` rows, so many are held back once instead, if no class is rare: one number needs no
    more. Always so where the machine's `fit` takes numbers of `rows`, for then features may be larger than memory.

    After `fit`: `classes_`, `folds_` (which is `folds` unless the smallest class has fewer rows; 1: held back once),
    `machine_`.
    """

    def __init__(self, machine: Any, folds: int = 3, seed: int = 0) -> None:
        self.machine = machine
        self.folds = folds
        self.seed = seed

    def fit(self, features: Floats, labels: NDArray[np.integer[Any]]) -> Self:
        """(N, D) and (N,): at least two classes with two rows each, or a ValueError."""
        # scikit-learn's temperature takes labels for numbers of columns, whatever classes there are
        classes, labels, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if len(classes) < 2:
            raise ValueError(f"Expected labels of at least two classes. Received: {len(classes)}.")
        if counts.min() < 2:
            raise ValueError(
                f"Expected two images or more of each class. Received: one of class {classes[counts.argmin()]}."
            )
        if isinstance(self.machine, PairwiseSVM) and len(labels) > EXACT_ROWS:
            warnings.warn(
                f"kernel='rbf' is exact, and slow beyond {EXACT_ROWS:,} rows. Received: {len(labels):,}. kernel='auto' "
                "takes what the rows allow.",
                stacklevel=2,
            )
        streams = has_fit_parameter(self.machine, "rows")  # folds of what is larger than memory would be copied
        if len(labels) > 3 * HELD_ROWS and (streams or counts.min() * HELD_ROWS >= 5 * len(labels)):  # five of each
            self.folds_, self.machine_ = 1, self._held_back(features, labels)
        else:
            self.folds_ = int(min(self.folds, counts.min()))
            folds = StratifiedKFold(self.folds_, shuffle=True, random_state=self.seed)
            machine = CalibratedClassifierCV(clone(self.machine), method="temperature", cv=folds, ensemble=False)
            self.machine_ = machine.fit(features, labels)
        self.classes_ = classes
        return self

    def _held_back(self, features: Floats, labels: NDArray[np.integer[Any]]) -> CalibratedClassifierCV:
        """The machine fitted to all rows, with the temperature of one that did not see `HELD_ROWS` of them."""
        split = StratifiedShuffleSplit(1, test_size=HELD_ROWS, random_state=self.seed)
        rest, held = next(split.split(labels, labels))
        for label in np.setdiff1d(labels, labels[held]):  # one row of each class, however rare
            held = np.append(held, rest[labels[rest] == label][0])
        rest, held = np.setdiff1d(rest, held), np.sort(held)
        if has_fit_parameter(self.machine, "rows"):
            partial = FrozenEstimator(clone(self.machine).fit(features, labels, rows=rest))
        else:
            partial = FrozenEstimator(clone(self.machine).fit(features[rest], labels[rest]))
        every = np.arange(len(held))  # in one part, for nothing is fitted to the rest of them, and classes may be rare
        calibrated = CalibratedClassifierCV(partial, method="temperature", cv=[(every, every)])
        calibrated.fit(features[held], labels[held]).set_params(cv=None)
        calibrated.estimator = clone(self.machine)
        calibrated.calibrated_classifiers_[0].estimator = None
        del partial  # its vectors would lie beside those of the next
        calibrated.calibrated_classifiers_[0].estimator = clone(self.machine).fit(features, labels)
        return calibrated

    def predict_proba(self, features: Floats) -> Floats:
        """(N, D) -> probabilities (N, K)."""
        check_is_fitted(self)
        return self.machine_.predict_proba(features)

    def predict(self, features: Floats) -> NDArray[np.integer[Any]]:
        """(N, D) -> the most probable label, (N,)."""
        return self.classes_[self.predict_proba(features).argmax(axis=1)]
