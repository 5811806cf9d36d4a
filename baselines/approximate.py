"""Kernels as explicit features, so that a linear machine takes their place where rows are many. They know no images.

Nystroem (Williams & Seeger, NIPS 2000) and random Fourier features (Rahimi & Recht, NIPS 2007) for the RBF kernel, the
additive chi-squared kernel of histograms (Vedaldi & Zisserman, PAMI 2012, doi:10.1109/TPAMI.2011.153): scikit-learn's.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.kernel_approximation import AdditiveChi2Sampler, Nystroem, RBFSampler
from sklearn.utils.validation import check_is_fitted

Floats = NDArray[np.floating[Any]]

KINDS = ("nystroem", "fourier", "chi2")
ROWS = 4096  # mapped at a time


class KernelMap(TransformerMixin, BaseEstimator):
    """Features (N, D) -> float32 (N, M) whose inner products are about those of a kernel.

    `kind` nystroem: M = `components`, or N where that is less; fourier: M = `components`; chi2: M = 3 D, of features
    that are not negative. gamma is `gamma_factor` / (D variance), as in `baselines.machines.PairwiseSVM`. After `fit`:
    `gamma_` (None for chi2), `map_`.
    """

    def __init__(
        self, kind: str = "nystroem", components: int = 2000, gamma_factor: float = 1.0, seed: int = 0
    ) -> None:
        self.kind = kind
        self.components = components
        self.gamma_factor = gamma_factor
        self.seed = seed

    def fit(self, features: Floats, labels: Any = None) -> Self:
        """Choose gamma and, of the rows, Nystroem's landmarks."""
        features = np.asarray(features, np.float32)
        if self.kind == "chi2":
            if features.min(initial=0) < 0:
                raise ValueError(
                    f"Expected features of 0 and more for kernel 'chi2', which compares histograms. Received: "
                    f"{features.min():.3g}. Choose kernel 'rbf'."
                )
            self.gamma_, self.map_ = None, AdditiveChi2Sampler(sample_steps=2).fit(features[:1])
            return self
        if self.kind not in KINDS:
            raise ValueError(f"Expected kind as one of {', '.join(KINDS)}. Received: {self.kind!r}.")
        variance = float(np.var(features, dtype=np.float64))
        self.gamma_ = self.gamma_factor / (features.shape[1] * max(variance, 1e-12))
        if self.kind == "fourier":
            chosen = RBFSampler(gamma=self.gamma_, n_components=self.components, random_state=self.seed)
        else:
            landmarks = min(self.components, len(features))
            chosen = Nystroem(gamma=self.gamma_, n_components=landmarks, random_state=self.seed)
        self.map_ = chosen.fit(features)
        return self

    def transform(self, features: Floats) -> NDArray[np.float32]:
        """(N, D) -> float32 (N, M), a block of rows at a time."""
        check_is_fitted(self)
        blocks = [
            self.map_.transform(np.asarray(features[start : start + ROWS], np.float32)).astype(np.float32)
            for start in range(0, len(features), ROWS)
        ]
        return np.concatenate(blocks)
