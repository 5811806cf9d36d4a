"""Support vector machines on classical features: scikit-learn Pipelines from uint8 images to calibrated probabilities.

Each ends in `baselines.machines.Calibrated`. `kernel="linear"` is one against the rest, `kernel="rbf"` one against one.
"nystroem", "fourier" (both approximate "rbf") and "chi2" (additive, for features that are not negative) are linear
machines on explicit features, for many rows; "auto" takes what `CHOICES` says of the number of rows, tells it in
`kernel_`, and in a warning where that is not the exact kernel. `engine="sklearnex"` gives "rbf" to
scikit-learn-intelex, the extra `fast`; "linear" is ours by L-BFGS, or with `engine="liblinear"` LIBLINEAR's, or with
`engine="keras"` learned in mini-batches on Keras' device.
"""

import math
import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from baselines.approximate import KINDS, KernelMap
from baselines.features import HOGFeatures, LBPFeatures, PixelFeatures
from baselines.intel import IntelSVM
from baselines.machines import EXACT_ROWS, Calibrated, PairwiseSVM, SquaredHingeSVM

KERNELS = ("linear", "rbf", *KINDS, "auto")
ENGINES = ("sklearn", "liblinear", "sklearnex", "keras")
# Fashion-MNIST, 60,000 rows: exact RBF 325 s of the processor and 0.920 right, Nystroem 311 s and 0.914. Beyond, pairs
# no longer fit into memory and time grows with the square; 250,000 is a guess (docs/results.md).
CHOICES = (("rbf", EXACT_ROWS), ("nystroem", 250_000), ("linear", math.inf))  # "auto": the first up to whose rows
ENGINE_KERNELS = {"liblinear": "linear", "sklearnex": "rbf", "keras": "linear"}


def hog_svm(kernel: str = "rbf", C: float | None = None, engine: str = "sklearn", seed: int = 0) -> Pipeline:
    """HOG of root levels with eight cells along the shorter side and with four, beside the picture at 28 pixels."""
    features = FeatureUnion([("hog", hog_part(levels=2)), ("pixels", _picture(28))])
    return _pipeline([("features", features)], kernel, C, engine, seed)


def hog_svm_best(engine: str = "sklearn", seed: int = 0) -> Pipeline:
    """What was found best for Fashion-MNIST, on rows 50,000 to 59,999 of its training part.

    HOG in cells of 4 of its 28 pixels, and what HOG forgets: the levels, and which side of an edge is the brighter,
    as roots of LBP's counts in cells of 4 pixels, and of 5.6 at twice the radius.
    """
    near, far = LBPFeatures(8, 1.0, "nri_uniform", (7, 7)), LBPFeatures(8, 2.0, "nri_uniform", (5, 5))
    patterns = Pipeline([("features", FeatureUnion([("near", near), ("far", far)])), ("root", _root())])
    features = FeatureUnion([("hog", hog_part()), ("patterns", patterns), ("pixels", _picture(28))])
    return _pipeline([("features", features)], "rbf", 10.0, engine, seed)


def lbp_svm(kernel: str = "rbf", C: float | None = None, engine: str = "sklearn", seed: int = 0) -> Pipeline:
    """Histograms of LBP codes at three radii, on a grid and over the whole image, as roots of the shares."""
    steps = [("features", _patterns()), ("root", _root())]
    return _pipeline(steps[:1] if kernel == "chi2" else steps, kernel, C, engine, seed)  # chi2 weighs shares itself


def hog_lbp_svm(kernel: str = "rbf", C: float | None = None, engine: str = "sklearn", seed: int = 0) -> Pipeline:
    """HOG with eight cells along the shorter side as in `hog_svm`, and LBP as in `lbp_svm`, side by side."""
    return _pipeline([("features", FeatureUnion([("hog", hog_part()), ("lbp", lbp_part())]))], kernel, C, engine, seed)


def pixels_svm(kernel: str = "rbf", C: float | None = None, engine: str = "sklearn", seed: int = 0) -> Pipeline:
    """The picture itself at no more than 64 pixels: what the features must beat."""
    return _pipeline([("features", PixelFeatures(longest=64))], kernel, C, engine, seed)


def lbp_part() -> Pipeline:
    """LBP as `lbp_svm` has it."""
    return Pipeline([("features", _patterns()), ("root", _root())])


def hog_part(levels: int = 1) -> HOGFeatures:
    """Roots and a border of two mirrored pixels each gave some four more right of a thousand on Fashion-MNIST."""
    return HOGFeatures(transform_sqrt=True, padding=2, levels=levels)


def _picture(longest: int) -> PixelFeatures:
    """Levels beside the gradients, that forget them; weighed so that HOG's blocks, of length 1 each, still lead."""
    return PixelFeatures(scale=0.4, longest=longest, transform_sqrt=True)


def _patterns() -> FeatureUnion:
    return FeatureUnion(
        [
            ("near", LBPFeatures(8, 1.0, "nri_uniform", (4, 4))),
            ("middle", LBPFeatures(16, 2.0, "uniform", (2, 2))),
            ("far", LBPFeatures(24, 3.0, "uniform", (1, 1))),
        ]
    )


def _root() -> FunctionTransformer:
    """Roots of shares are compared by Hellinger's distance, in which the largest bins do not drown the others."""
    return FunctionTransformer(np.sqrt, feature_names_out="one-to-one")


def _pipeline(steps: list[tuple[str, BaseEstimator]], kernel: str, C: float | None, engine: str, seed: int) -> Pipeline:
    """The steps that make features, then the machine."""
    return Pipeline([*steps, ("svm", svm(kernel, C, engine, seed))])


def svm(kernel: str = "rbf", C: float | None = None, engine: str = "sklearn", seed: int = 0) -> BaseEstimator:
    """The machine alone, of features (N, D); C=None is 1 for the kernels linear and chi2, 10 for the others."""
    if kernel not in KERNELS:
        raise ValueError(f"Expected kernel as one of {', '.join(KERNELS)}. Received: {kernel!r}.")
    if engine not in ENGINES:
        raise ValueError(f"Expected engine as one of {', '.join(ENGINES)}. Received: {engine!r}.")
    if engine != "sklearn" and kernel != ENGINE_KERNELS[engine]:
        raise ValueError(
            f"Expected kernel={ENGINE_KERNELS[engine]!r} with engine={engine!r}, made for no other. "
            f"Received: {kernel!r}."
        )
    if C is None:
        C = 1.0 if kernel in ("linear", "chi2") else 10.0
    if kernel == "auto":
        return ChosenByRows(C, seed)
    return Calibrated(_machine(kernel, C, engine, seed), seed=seed)


class ChosenByRows(ClassifierMixin, BaseEstimator):
    """The kernel that `CHOICES` names for the number of rows. After `fit`: `kernel_`, `machine_`, `classes_`."""

    def __init__(self, C: float = 10.0, seed: int = 0) -> None:
        self.C = C
        self.seed = seed

    def fit(self, features: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> Self:
        """(N, D) and (N,)."""
        self.kernel_ = next(kernel for kernel, most in CHOICES if len(features) <= most)
        if self.kernel_ != CHOICES[0][0]:
            warnings.warn(
                f"kernel='auto' takes '{self.kernel_}' for {len(features):,} rows: 'rbf' is exact, and slow beyond "
                f"{CHOICES[0][1]:,}. Name a kernel to choose it yourself.",
                stacklevel=2,
            )
        self.machine_ = svm(self.kernel_, None if self.kernel_ == "linear" else self.C, seed=self.seed)
        self.machine_.fit(features, labels)
        self.classes_ = self.machine_.classes_
        return self

    def predict_proba(self, features: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """(N, D) -> probabilities (N, K)."""
        check_is_fitted(self)
        return self.machine_.predict_proba(features)

    def predict(self, features: NDArray[np.floating[Any]]) -> NDArray[np.integer[Any]]:
        """(N, D) -> the most probable label, (N,)."""
        check_is_fitted(self)
        return self.machine_.predict(features)


def _machine(kernel: str, C: float, engine: str, seed: int) -> BaseEstimator:
    if engine == "keras":
        from baselines.hinge import MinibatchSVM  # here, because Keras takes seconds to import

        return MinibatchSVM(C, seed=seed)
    if kernel in KINDS:
        return Pipeline([("map", KernelMap(kernel, seed=seed)), ("machine", SquaredHingeSVM(C))])
    if engine == "liblinear":
        return LinearSVC(C=C, dual=False, random_state=seed)  # its dual often ends before it is solved
    if engine == "sklearnex":
        IntelSVM.check_installed()
        return IntelSVM(C)
    return PairwiseSVM(C) if kernel == "rbf" else SquaredHingeSVM(C)
