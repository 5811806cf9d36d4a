"""What stands between features and probabilities in a pipeline, as Keras layers. They know no estimator."""

import math
from itertools import combinations
from typing import Any

import keras
import numpy as np
from keras import layers, ops


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
class AdditiveChi2(layers.Layer):
    """Features of 0 and more -> those whose inner products are about chi-squared's: (B, D) -> (B, (2 steps - 1) D).

    As `sklearn.kernel_approximation.AdditiveChi2Sampler`: roots, then for each step a cosine and a sine of logarithms.
    """

    def __init__(self, steps: int, interval: float, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.steps, self.interval = steps, interval

    def call(self, features: Any) -> Any:
        """Nothing where a feature is 0, whose logarithm is not taken."""
        logarithms = self.interval * ops.log(ops.maximum(features, 1e-30))
        parts = [ops.sqrt(features * self.interval)]
        for step in range(1, self.steps):
            share = 2 * self.interval / math.cosh(math.pi * step * self.interval)
            length = ops.sqrt(features * share)
            parts += [length * ops.cos(step * logarithms), length * ops.sin(step * logarithms)]
        return ops.concatenate(parts, axis=-1)

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, int]:
        """(B, D) -> (B, (2 steps - 1) D)."""
        return shape[0], (2 * self.steps - 1) * shape[1]

    def get_config(self) -> dict[str, Any]:
        """What __init__ takes."""
        return {**super().get_config(), "steps": self.steps, "interval": self.interval}


@keras.saving.register_keras_serializable(package="baselines")
class Duels(layers.Layer):
    """Each pair's decision value, positive for its second -> for each class the logarithm of its chance to win all."""

    def __init__(self, classes: int, steepness: float, **kwargs: Any) -> None:
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
