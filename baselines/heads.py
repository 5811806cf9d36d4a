"""The same classifiers on any features, so that better features can be told from better classifiers.

`composed("hog", "forest")` is a scikit-learn Pipeline from uint8 images to probabilities: a row of `FEATURES`, or a
transformer of the caller's, then a row of `HEADS`.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_is_fitted

from baselines.features import PixelFeatures
from baselines.gridded import ColourFeatures, GaborFeatures, GLCMFeatures
from baselines.machines import Calibrated, SquaredHingeSVM
from baselines.svm import hog_part, lbp_part, svm

Floats = NDArray[np.floating[Any]]


class UnitScale(TransformerMixin, BaseEstimator):
    """Features (N, D) less their means, divided by one number: rows have length 1 in the mean of squares.

    So one C means the same on features of any kind and number, and directions of little variance, which are mostly
    noise, stay small. After `fit`: `mean_` (D,), `scale_`.
    """

    def fit(self, features: Floats, labels: Any = None) -> Self:
        """Learn means and the mean squared length."""
        self.mean_ = np.mean(features, axis=0, dtype=np.float64).astype(np.float32)
        variance = float(np.var(features, axis=0, dtype=np.float64).sum())
        self.scale_ = float(np.sqrt(variance)) or 1.0
        return self

    def transform(self, features: Floats) -> NDArray[np.float32]:
        """(N, D) -> float32 (N, D)."""
        check_is_fitted(self)
        return (np.asarray(features, np.float32) - self.mean_) / np.float32(self.scale_)


def composed(features: str | BaseEstimator, head: str, seed: int = 0, **values: Any) -> Pipeline:
    """The features, then the head, whose own arguments `values` are: C of linear and logistic, kernel, C and engine of
    svm, trees of forest, bagging and adaboost, learning_rate and rounds of boosting, depth of adaboost.
    """
    if isinstance(features, str) and features not in FEATURES:
        raise ValueError(f"Expected features as one of {', '.join(FEATURES)}. Received: {features!r}.")
    if head not in HEADS:
        raise ValueError(f"Expected head as one of {', '.join(HEADS)}. Received: {head!r}.")
    transformer = FEATURES[features]() if isinstance(features, str) else features
    return Pipeline([("features", transformer), *HEADS[head](seed, **values)])


def _linear(seed: int, C: float = 10.0) -> list[tuple[str, BaseEstimator]]:
    return [("scale", UnitScale()), ("svm", Calibrated(SquaredHingeSVM(C), seed=seed))]


def _logistic(seed: int, C: float = 100.0) -> list[tuple[str, BaseEstimator]]:
    return [("scale", UnitScale()), ("logistic", LogisticRegression(C=C, max_iter=3000))]


def _forest(seed: int, trees: int = 300) -> list[tuple[str, BaseEstimator]]:
    return [("forest", RandomForestClassifier(trees, n_jobs=-1, random_state=seed))]


def _bagging(seed: int, trees: int = 50) -> list[tuple[str, BaseEstimator]]:
    return [("bagging", BaggingClassifier(DecisionTreeClassifier(), trees, random_state=seed))]


def _adaboost(seed: int, trees: int = 100, depth: int = 3) -> list[tuple[str, BaseEstimator]]:
    """Trees see a root of the features each: as good here as seeing all, and far quicker."""
    tree = DecisionTreeClassifier(max_depth=depth, max_features="sqrt")
    return [("adaboost", Calibrated(AdaBoostClassifier(tree, n_estimators=trees, random_state=seed), seed=seed))]


def _boosting(seed: int, rounds: int = 100, learning_rate: float = 0.1) -> list[tuple[str, BaseEstimator]]:
    """Leaves of five rows, where scikit-learn wants 20: sets of images may be small."""
    boosting = HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=learning_rate,
        min_samples_leaf=5,
        max_features=0.1,
        early_stopping=False,
        random_state=seed,
    )
    return [("boosting", boosting)]


def _texture() -> Pipeline:
    """Co-occurrence over the whole image and in quarters, Gabor energies in quarters; trees need no common scale, and
    for the others each column is divided by its deviation.
    """
    parts = [("glcm", GLCMFeatures()), ("glcm_grid", GLCMFeatures(distances=(1,), grid=(2, 2)))]
    union = FeatureUnion([*parts, ("gabor", GaborFeatures(grid=(2, 2)))])
    return Pipeline([("features", union), ("unit", StandardScaler())])


def _colour() -> Pipeline:
    root = FunctionTransformer(np.sqrt, feature_names_out="one-to-one")
    grids = FeatureUnion([("whole", ColourFeatures(bins=16)), ("grid", ColourFeatures(grid=(2, 2)))])
    return Pipeline([("features", grids), ("root", root)])


def _union(*names: str) -> FeatureUnion:
    return FeatureUnion([(name, FEATURES[name]()) for name in names])


FEATURES: dict[str, Callable[[], BaseEstimator]] = {
    "pixels": lambda: PixelFeatures(longest=64),
    "colour": _colour,
    "texture": _texture,
    "lbp": lbp_part,
    "hog": hog_part,
    "hog_lbp": lambda: _union("hog", "lbp"),
    "hog_lbp_colour": lambda: _union("hog", "lbp", "colour"),
}
HEADS: dict[str, Callable[..., list[tuple[str, BaseEstimator]]]] = {
    "svm": lambda seed, **values: [("svm", svm(seed=seed, **values))],
    "linear": _linear,
    "logistic": _logistic,
    "forest": _forest,
    "bagging": _bagging,
    "adaboost": _adaboost,
    "boosting": _boosting,
}
