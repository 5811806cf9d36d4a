"""A fitted pipeline of ours as one Keras graph, from uint8 pixels to probabilities. It knows no file and no format.

Every step becomes layers that compute in float32 what the step computes in NumPy, so one file can carry all of it.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from baselines.approximate import KernelMap
from baselines.colour import ColourHistogram
from baselines.decisions import AdditiveChi2, Duels, Kernel, Root
from baselines.features import HOGFeatures, LBPFeatures, PixelFeatures
from baselines.gabor import Gabor
from baselines.glcm import GLCM, QUARTERS
from baselines.gridded import ColourFeatures, GaborFeatures, GLCMFeatures, OpenCVHOGFeatures
from baselines.heads import UnitScale
from baselines.hinge import MinibatchSVM
from baselines.hog import HOG
from baselines.hog_opencv import OpenCVHOG
from baselines.lbp import LBP
from baselines.machines import STEEPNESS, Calibrated, PairwiseSVM, SquaredHingeSVM
from baselines.svm import ChosenByRows

CHI2_INTERVAL = 0.5  # scikit-learn's, of the two steps that KernelMap takes


def graph(pipeline: Any, image_shape: tuple[int, int, int]) -> keras.Model:
    """A fitted Pipeline as a model, uint8 (B, H, W, C) -> probabilities float32 (B, K), columns as its `classes_`.

    Raises:
        ValueError: naming the step that has no layers of its own (`STEPS` holds those that do).
    """
    images = keras.Input(image_shape, dtype="uint8", name="images")
    answer = applied(pipeline, images)
    return keras.Model(images, layers.Identity(name="probabilities")(answer), name="pipeline")


def applied(step: Any, tensor: Any) -> Any:
    """The tensor behind a fitted step: features of a transformer, probabilities of a classifier."""
    if isinstance(step, str):
        return tensor  # "passthrough"
    build = STEPS.get(type(step))
    if build is None:
        known = ", ".join(sorted(kind.__name__ for kind in STEPS))
        raise ValueError(f"Expected steps that can become layers: {known}. Received: {type(step).__name__}.")
    return build(step, tensor)


def _pipeline(pipeline: Pipeline, tensor: Any) -> Any:
    for _, step in pipeline.steps:
        tensor = applied(step, tensor)
    return tensor


def _union(union: FeatureUnion, tensor: Any) -> Any:
    if union.transformer_weights:
        raise ValueError("Expected a FeatureUnion without transformer_weights. Received: one that has them.")
    parts = [applied(step, tensor) for _, step in union.transformer_list if step != "drop"]
    return layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def _hog(step: HOGFeatures, tensor: Any) -> Any:
    return HOG(
        step.orientations,
        step.pixels_per_cell_,
        step.cells_per_block,
        step.block_norm,
        step.transform_sqrt,
        step.padding,
        step.levels,
    )(tensor)


def _lbp(step: LBPFeatures, tensor: Any) -> Any:
    return LBP(step.P, step.R, step.method, step.grid)(tensor)


def _colour(step: ColourFeatures, tensor: Any) -> Any:
    return ColourHistogram(step.space, step.bins, step.grid, step.joint)(tensor)


def _glcm(step: GLCMFeatures, tensor: Any) -> Any:
    return GLCM(step.distances, QUARTERS, step.levels, step.properties, step.grid)(tensor)


def _gabor(step: GaborFeatures, tensor: Any) -> Any:
    return Gabor(step.frequencies, step.orientations, step.bandwidth, step.grid)(tensor)


def _opencv(step: OpenCVHOGFeatures, tensor: Any) -> Any:
    sizes = (step.pixels_per_cell, step.pixels_per_block, step.pixels_per_step)
    return OpenCVHOG(*sizes, step.bins, step.gamma_correction)(tensor)


def _pixels(step: PixelFeatures, tensor: Any) -> Any:
    factor = step.factor_
    height, width = step.image_shape_[:2]
    tensor = layers.Rescaling((1.0 if step.transform_sqrt else step.scale) / 255)(tensor)
    if factor > 1:
        tensor = layers.Cropping2D(((0, height % factor), (0, width % factor)))(tensor)
        tensor = layers.AveragePooling2D(factor)(tensor)
    tensor = layers.Flatten()(tensor)
    return Root(step.scale)(tensor) if step.transform_sqrt else tensor


def _function(step: FunctionTransformer, tensor: Any) -> Any:
    if step.func is None:
        return tensor
    if step.func is not np.sqrt:
        raise ValueError(f"Expected a FunctionTransformer of numpy.sqrt. Received: {step.func!r}.")
    return Root()(tensor)


def _scaler(step: StandardScaler, tensor: Any) -> Any:
    scale = np.ones(step.n_features_in_) if step.scale_ is None else 1 / step.scale_
    offset = np.zeros(step.n_features_in_) if step.mean_ is None else -step.mean_ * scale
    return layers.Rescaling(scale.tolist(), offset.tolist())(tensor)


def _unit(step: UnitScale, tensor: Any) -> Any:
    return layers.Rescaling(1 / step.scale_, (-step.mean_ / step.scale_).tolist())(tensor)


def _components(step: PCA, tensor: Any) -> Any:
    columns = step.components_.T / (np.sqrt(step.explained_variance_) if step.whiten else 1.0)
    return _affine(tensor, columns, -step.mean_ @ columns)


def _machine(step: Calibrated | ChosenByRows, tensor: Any) -> Any:
    return applied(step.machine_, tensor)


def _temperature(step: CalibratedClassifierCV, tensor: Any) -> Any:
    if step.method != "temperature" or len(step.calibrated_classifiers_) != 1:
        raise ValueError(f"Expected calibration by one temperature. Received: {step.method}, ensemble={step.ensemble}.")
    calibrated = step.calibrated_classifiers_[0]
    return _chances(_decision(calibrated.estimator, tensor), float(calibrated.calibrators[0].beta_), symmetric=True)


def _logistic(step: LogisticRegression, tensor: Any) -> Any:
    return _chances(_affine(tensor, step.coef_.T, step.intercept_), 1.0, symmetric=False)


def _kernel_map(step: KernelMap, tensor: Any) -> Any:
    found = step.map_
    if isinstance(found, Nystroem):  # the kernel with the landmarks, mixed
        centre = found.components_.mean(axis=0)
        mixed = found.normalization_.T
        return _kernel(tensor, centre, found.components_ - centre, step.gamma_, mixed, np.zeros(mixed.shape[1]))
    if isinstance(found, RBFSampler):
        waves = ops.cos(_affine(tensor, found.random_weights_, found.random_offset_))
        return layers.Rescaling(math.sqrt(2 / found.n_components))(waves)
    return AdditiveChi2(found.sample_steps, CHI2_INTERVAL)(tensor)


def _kernel(
    tensor: Any, centre: NDArray[Any], vectors: NDArray[Any], gamma: Any, dual: NDArray[Any], offset: NDArray[Any]
) -> Any:
    """exp(-gamma |a - b|^2) of rows less `centre` and vectors (S, D), times dual (S, M), plus offset (M,): (B, M)."""
    kernel = Kernel(len(vectors), dual.shape[1], float(gamma))
    values = kernel(layers.Rescaling(1.0, (-centre).tolist())(tensor))
    kernel.set_weights([vectors.T, np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64), dual, offset])
    return values


def _decision(machine: Any, tensor: Any) -> Any:
    """Decision values, (B, K), or (B, 1) for two classes."""
    if isinstance(machine, Pipeline):
        for _, step in machine.steps[:-1]:
            tensor = applied(step, tensor)
        return _decision(machine.steps[-1][1], tensor)
    if isinstance(machine, SquaredHingeSVM | MinibatchSVM | LinearSVC | LogisticRegression):
        return _affine(tensor, machine.coef_.T, machine.intercept_)
    if isinstance(machine, PairwiseSVM):
        values = _kernel(
            tensor, machine.centre_, machine.support_vectors_, machine.gamma_, machine.dual_coef_, machine.intercept_
        )
        return values if len(machine.classes_) == 2 else Duels(len(machine.classes_), STEEPNESS)(values)
    raise ValueError(
        "Expected SquaredHingeSVM, MinibatchSVM, PairwiseSVM, LinearSVC or LogisticRegression as the machine. "
        f"Received: {type(machine).__name__}."
    )


def _chances(values: Any, inverse_temperature: float, *, symmetric: bool) -> Any:
    """Softmax of values (B, K); one value of two classes stands for (-x, x) or, not `symmetric`, for (0, x)."""
    if values.shape[1] == 1:
        values = layers.Concatenate()([layers.Rescaling(-1.0 if symmetric else 0.0)(values), values])
    return layers.Softmax()(layers.Rescaling(inverse_temperature)(values))


def _affine(tensor: Any, columns: NDArray[Any], offset: NDArray[Any]) -> Any:
    dense = layers.Dense(columns.shape[1], dtype="float32")
    answer = dense(tensor)
    dense.set_weights([columns, np.broadcast_to(offset, (columns.shape[1],))])
    return answer


STEPS: dict[type, Callable[[Any, Any], Any]] = {
    Pipeline: _pipeline,
    FeatureUnion: _union,
    HOGFeatures: _hog,
    LBPFeatures: _lbp,
    PixelFeatures: _pixels,
    ColourFeatures: _colour,
    GLCMFeatures: _glcm,
    GaborFeatures: _gabor,
    OpenCVHOGFeatures: _opencv,
    UnitScale: _unit,
    FunctionTransformer: _function,
    StandardScaler: _scaler,
    PCA: _components,
    KernelMap: _kernel_map,
    Calibrated: _machine,
    ChosenByRows: _machine,
    CalibratedClassifierCV: _temperature,
    LogisticRegression: _logistic,
}
