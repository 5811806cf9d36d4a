"""Support vector machines on classical features: scikit-learn Pipelines from uint8 images to calibrated probabilities."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.validation import check_is_fitted

from baselines.features import HOGFeatures, LBPFeatures, PixelFeatures

KERNELS = ("linear", "rbf")


class CalibratedSVM(ClassifierMixin, BaseEstimator):
    """An SVM whose decision values become probabilities by one temperature, learned on out-of-fold training rows.

    After `fit`: `classes_`, and `folds_`, which is `folds` unless the smallest class has fewer rows. `gamma_factor`
    multiplies gamma "scale", 1 / (D * variance of the features), and so means the same for features of any size.
    """

    def __init__(
        self,
        kernel: str = "linear",
        C: float = 1.0,
        gamma: float | str = "scale",
        folds: int = 3,
        seed: int = 0,
        gamma_factor: float = 1.0,
    ):
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.folds = folds
        self.seed = seed
        self.gamma_factor = gamma_factor

    def fit(self, features: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> Self:
        """(N, D) and (N,): at least two classes and two rows of each, or a ValueError."""
        classes, counts = np.unique(labels, return_counts=True)
        if len(classes) < 2 or counts.min() < 2:
            rarest = f"{counts.min()} of class {classes[counts.argmin()]}" if len(classes) else "no rows"
            raise ValueError(
                f"Expected at least two classes and two images of each. Received: {len(classes)} classes, {rarest}."
            )
        self.folds_ = int(min(self.folds, counts.min()))
        splitter = StratifiedKFold(self.folds_, shuffle=True, random_state=self.seed)
        machine = CalibratedClassifierCV(self._machine(features), method="temperature", cv=splitter, ensemble=False)
        self.machine_ = machine.fit(features, labels)
        self.classes_ = machine.classes_
        return self

    def predict_proba(self, features: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """(N, D) -> (N, K), rows sum to 1."""
        check_is_fitted(self)
        return self.machine_.predict_proba(features)

    def predict(self, features: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """(N, D) -> the label of the greatest probability, (N,)."""
        return self.classes_[self.predict_proba(features).argmax(axis=1)]

    def _machine(self, features: NDArray[np.floating[Any]]) -> BaseEstimator:
        if self.kernel == "linear":
            return LinearSVC(C=self.C, dual="auto", random_state=self.seed, max_iter=10_000)
        if self.kernel == "rbf":
            gamma = self.gamma
            if gamma == "scale" and self.gamma_factor != 1:
                gamma = self.gamma_factor / (features.shape[1] * (float(features.var()) or 1.0))
            return SVC(C=self.C, gamma=gamma, cache_size=1000)
        raise ValueError(f"Expected kernel as one of {', '.join(KERNELS)}. Received: {self.kernel!r}.")


def hog_svm(kernel: str = "rbf", C: float = 10.0, seed: int = 0) -> Pipeline:
    """HOG in two cell sizes + SVM."""
    union = FeatureUnion([("fine", HOGFeatures(cells_across=8)), ("coarse", HOGFeatures(cells_across=4))])
    return _pipeline(union, kernel, C, seed)


def lbp_svm(kernel: str = "rbf", C: float = 10.0, seed: int = 0) -> Pipeline:
    """LBP histograms on a grid + SVM."""
    union = FeatureUnion([
        ("fine", LBPFeatures(8, 1.0, "nri_uniform", (2, 2))),
        ("coarse", LBPFeatures(16, 2.0, "uniform", (2, 2))),
    ])  # fmt: skip
    return _pipeline(union, kernel, C, seed)


def hog_lbp_svm(kernel: str = "rbf", C: float = 10.0, seed: int = 0) -> Pipeline:
    """HOG and LBP side by side + SVM."""
    union = FeatureUnion([("hog", HOGFeatures()), ("lbp", LBPFeatures(8, 1.0, "uniform", (4, 4)))])
    return _pipeline(union, kernel, C, seed)


def pixels_svm(kernel: str = "rbf", C: float = 10.0, seed: int = 0) -> Pipeline:
    """Raw pixels + SVM: what the features must beat."""
    return _pipeline(PixelFeatures(), kernel, C, seed)


def _pipeline(features: BaseEstimator, kernel: str, C: float, seed: int) -> Pipeline:
    return Pipeline([("features", features), ("scale", StandardScaler()), ("svm", CalibratedSVM(kernel, C, seed=seed))])
