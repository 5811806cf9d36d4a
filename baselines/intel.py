"""The RBF machine solved by scikit-learn-intelex, the extra `fast`, and kept as a `PairwiseSVM` keeps its own.

So a fitted one answers, is saved, read and exported where the extra is not installed.
"""

from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from baselines.machines import Floats, PairwiseSVM


class IntelSVM(PairwiseSVM):
    """`baselines.machines.PairwiseSVM` by another solver, of all pairs at once."""

    def fit(self, features: Floats, labels: NDArray[np.integer[Any]]) -> Self:
        """(N, D) and (N,) of at least two classes."""
        self.check_installed()
        from sklearnex.svm import SVC

        features = np.asarray(features, dtype=np.float32)
        self.choose_gamma(features)
        return self.take(SVC(C=self.C, gamma=self.gamma_, cache_size=1000).fit(features, labels))

    def take(self, machine: Any) -> Self:
        """Become what a fitted scikit-learn SVC of the RBF kernel is; its `gamma` is ours already."""
        self.classes_ = np.asarray(machine.classes_)
        ends = np.cumsum(machine.n_support_)
        owners = [slice(end - count, end) for end, count in zip(ends, machine.n_support_, strict=True)]
        dual = np.asarray(machine.dual_coef_)  # (K - 1, S): of each vector against each other class, in their order
        pairs = list(combinations(range(len(self.classes_)), 2))
        coefficients = np.zeros((dual.shape[1], len(pairs)))
        for column, (first, second) in enumerate(pairs):
            coefficients[owners[first], column] = dual[second - 1, owners[first]]
            coefficients[owners[second], column] = dual[first, owners[second]]
        sign = 1 if len(pairs) == 1 else -1  # of two classes a positive value is the second's already
        self.intercept_ = sign * np.asarray(machine.intercept_, np.float64)
        return self.keep(np.asarray(machine.support_vectors_, np.float32), sign * coefficients)

    @staticmethod
    def check_installed() -> None:
        """Refuse where the extra is missing."""
        try:
            import sklearnex.svm  # noqa: F401
        except ImportError as error:
            raise ValueError(
                "Expected scikit-learn-intelex for engine='sklearnex'. Received: none installed. "
                "Install it with: pip install 'touchstone-vision[fast]'"
            ) from error
