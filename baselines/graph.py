"""A fitted pipeline of ours as one Keras graph, from uint8 pixels to probabilities. It knows no file and no format.

Every step becomes layers that compute in float32 what the step computes in NumPy, so one file can carry all of it.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from baselines.features import HOGFeatures, LBPFeatures, PixelFeatures
from baselines.hog import HOG
from baselines.lbp import LBP
from baselines.machines import STEEPNESS, Calibrated, PairwiseSVM, SquaredHingeSVM


@keras.saving.register_keras_serializable(package="baselines")
class Root(layers.Layer):
    """Square roots, times `scale`: float32 (B, ...) -> (B, ...)."""

    def __init__(self, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.scale = scale

    def call(self, values: Any) -> Any:
        """Roots."""
        return ops.sqrt(values) * self.scale

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """As it came."""
        return shape

    def get_config(self) -> dict[str, Any]:
        """What __init__ takes."""
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable(package="baselines")
class Kernel(layers.Layer):
    """Decision values of RBF machines that share their support vectors: float32 (B, D) -> (B, machines)."""

    def __init__(self, vectors: int, machines: int, gamma: float, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.vectors, self.machines, self.gamma = vectors, machines, gamma

    def build(self, shape: tuple[Any, ...]) -> None:
        """Support vectors as columns (D, S), their squared lengths (S,), coefficients (S, machines), intercepts."""
        self.columns = self.add_weight(name="vectors", shape=(shape[1], self.vectors), trainable=False)
        self.squares = self.add_weight(name="squares", shape=(self.vectors,), trainable=False)
        self.dual = self.add_weight(name="dual", shape=(self.vectors, self.machines), trainable=False)
        self.intercept = self.add_weight(name="intercept", shape=(self.machines,), trainable=False)

    def call(self, features: Any) -> Any:
        """exp(-gamma |a - b|^2), weighed and summed; rounding below a distance of 0 is cut off."""
        lengths = ops.sum(features * features, axis=1, keepdims=True)
        distances = ops.maximum(lengths + self.squares - 2.0 * ops.matmul(features, self.columns), 0.0)
        return ops.matmul(ops.exp(-self.gamma * distances), self.dual) + self.intercept

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, int]:
        """(B, D) -> (B, machines)."""
        return shape[0], self.machines

    def get_config(self) -> dict[str, Any]:
        """What __init__ takes."""
        return {**super().get_config(), "vectors": self.vectors, "machines": self.machines, "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="baselines")
class Duels(layers.Layer):
    """Each pair's decision value, positive for its second -> for each class the logarithm of its chance to win all."""

    def __init__(self, classes: int, steepness: float = STEEPNESS, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.classes, self.steepness = classes, steepness

    def call(self, values: Any) -> Any:
        """float32 (B, K (K - 1) / 2) -> (B, K), as `PairwiseSVM.decision_function`."""
        pairs = np.array(list(combinations(range(self.classes), 2)))
        first, second = np.eye(self.classes, dtype=np.float32)[pairs].transpose(1, 0, 2)  # each (pairs, K)
        lost = ops.matmul(ops.softplus(self.steepness * values), ops.convert_to_tensor(first))
        return -lost - ops.matmul(ops.softplus(-self.steepness * values), ops.convert_to_tensor(second))

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, int]:
        """(B, pairs) -> (B, K)."""
        return shape[0], self.classes

    def get_config(self) -> dict[str, Any]:
        """What __init__ takes."""
        return {**super().get_config(), "classes": self.classes, "steepness": self.steepness}


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
    )(tensor)


def _lbp(step: LBPFeatures, tensor: Any) -> Any:
    return LBP(step.P, step.R, step.method, step.grid)(tensor)


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


def _components(step: PCA, tensor: Any) -> Any:
    columns = step.components_.T / (np.sqrt(step.explained_variance_) if step.whiten else 1.0)
    return _affine(tensor, columns, -step.mean_ @ columns)


def _calibrated(step: Calibrated, tensor: Any) -> Any:
    return applied(step.machine_, tensor)


def _temperature(step: CalibratedClassifierCV, tensor: Any) -> Any:
    if step.method != "temperature" or len(step.calibrated_classifiers_) != 1:
        raise ValueError(f"Expected calibration by one temperature. Received: {step.method}, ensemble={step.ensemble}.")
    calibrated = step.calibrated_classifiers_[0]
    return _chances(_decision(calibrated.estimator, tensor), float(calibrated.calibrators[0].beta_), symmetric=True)


def _logistic(step: LogisticRegression, tensor: Any) -> Any:
    return _chances(_affine(tensor, step.coef_.T, step.intercept_), 1.0, symmetric=False)


def _decision(machine: Any, tensor: Any) -> Any:
    """Decision values, (B, K), or (B, 1) for two classes."""
    if isinstance(machine, SquaredHingeSVM | LinearSVC | LogisticRegression):
        return _affine(tensor, machine.coef_.T, machine.intercept_)
    if isinstance(machine, PairwiseSVM):
        vectors = machine.support_vectors_
        kernel = Kernel(len(vectors), machine.dual_coef_.shape[1], float(machine.gamma_))
        values = kernel(tensor)
        squares = np.sum(vectors.astype(np.float64) ** 2, axis=1)
        kernel.set_weights([vectors.T, squares, machine.dual_coef_, machine.intercept_])
        return values if len(machine.classes_) == 2 else Duels(len(machine.classes_))(values)
    raise ValueError(
        "Expected SquaredHingeSVM, PairwiseSVM, LinearSVC or LogisticRegression as the machine. "
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
    FunctionTransformer: _function,
    StandardScaler: _scaler,
    PCA: _components,
    Calibrated: _calibrated,
    CalibratedClassifierCV: _temperature,
    LogisticRegression: _logistic,
}
