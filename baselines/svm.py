"""Support vector machines on classical features: scikit-learn Pipelines from uint8 images to calibrated probabilities.

Each ends in `baselines.machines.Calibrated`. `kernel="linear"` is one against the rest, `kernel="rbf"` one against one;
`engine="sklearnex"` gives the latter to scikit-learn-intelex, the extra `fast`.
"""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer

from baselines.features import HOGFeatures, LBPFeatures, PixelFeatures
from baselines.machines import Calibrated, PairwiseSVM, SquaredHingeSVM

KERNELS = ("linear", "rbf")
ENGINES = ("sklearn", "sklearnex")


def hog_svm(kernel: str = "rbf", C: float | None = None, engine: str = "sklearn", seed: int = 0) -> Pipeline:
    """HOG of root levels with eight cells along the shorter side and with four, beside the picture at 28 pixels."""
    features = FeatureUnion([("fine", _hog(8)), ("coarse", _hog(4)), ("pixels", _picture(28))])
    return _pipeline([("features", features)], kernel, C, engine, seed)


def hog_svm_best(engine: str = "sklearn", seed: int = 0) -> Pipeline:
    """What was found best for Fashion-MNIST, on rows 50,000 to 59,999 of its training part: cells of 4 pixels."""
    features = FeatureUnion([("fine", _hog(8)), ("pixels", _picture(28))])
    return _pipeline([("features", features)], "rbf", 10.0, engine, seed)


def lbp_svm(kernel: str = "rbf", C: float | None = None, engine: str = "sklearn", seed: int = 0) -> Pipeline:
    """Histograms of LBP codes at three radii, on a grid and over the whole image, as roots of the shares."""
    return _pipeline([("features", _patterns()), ("root", _root())], kernel, C, engine, seed)


def hog_lbp_svm(kernel: str = "rbf", C: float | None = None, engine: str = "sklearn", seed: int = 0) -> Pipeline:
    """HOG with eight cells along the shorter side as in `hog_svm`, and LBP as in `lbp_svm`, side by side."""
    patterns = Pipeline([("features", _patterns()), ("root", _root())])
    return _pipeline([("features", FeatureUnion([("hog", _hog(8)), ("lbp", patterns)]))], kernel, C, engine, seed)


def pixels_svm(kernel: str = "rbf", C: float | None = None, engine: str = "sklearn", seed: int = 0) -> Pipeline:
    """The picture itself at no more than 64 pixels: what the features must beat."""
    return _pipeline([("features", PixelFeatures(longest=64))], kernel, C, engine, seed)


def _hog(cells_across: int) -> HOGFeatures:
    """Roots and a border of two mirrored pixels each gave some four more right of a thousand on Fashion-MNIST."""
    return HOGFeatures(transform_sqrt=True, padding=2, cells_across=cells_across)


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
    """The steps that make features, then the machine; C=None is 10 for the RBF kernel and 1 for the linear one."""
    if C is None:
        C = 10.0 if kernel == "rbf" else 1.0
    return Pipeline([*steps, ("svm", Calibrated(_machine(kernel, C, engine), seed=seed))])


def _machine(kernel: str, C: float, engine: str) -> BaseEstimator:
    if kernel not in KERNELS:
        raise ValueError(f"Expected kernel as one of {', '.join(KERNELS)}. Received: {kernel!r}.")
    if engine not in ENGINES:
        raise ValueError(f"Expected engine as one of {', '.join(ENGINES)}. Received: {engine!r}.")
    if engine == "sklearn":
        return PairwiseSVM(C) if kernel == "rbf" else SquaredHingeSVM(C)
    if kernel != "rbf":
        raise ValueError(f"Expected kernel='rbf' with engine='sklearnex', made for no other. Received: {kernel!r}.")
    try:
        from sklearnex.svm import SVC
    except ImportError as error:
        raise ValueError(
            "Expected scikit-learn-intelex for engine='sklearnex'. Received: none installed. "
            "Install it with: pip install 'touchstone-vision[fast]'"
        ) from error
    return SVC(C=C, cache_size=1000)
