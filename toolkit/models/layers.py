"""The few layers that Keras lacks; import it before loading a saved network that holds one. It knows no network."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("touchstone")
class Tokens(keras.layers.Layer):
    """Learned tokens in front (ViT one, DeiT two), learned positions added: (B, N, D) -> (B, N + count, D)."""

    def __init__(self, count: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.count = count

    def build(self, shape: tuple[int, ...]) -> None:
        """Tokens (1, count, D), starting at zero, and positions (1, N + count, D)."""
        _, tokens, width = shape
        self.tokens = self.add_weight(name="tokens", shape=(1, self.count, width), initializer="zeros")
        positions = keras.initializers.TruncatedNormal(stddev=0.02)
        self.positions = self.add_weight(name="positions", shape=(1, tokens + self.count, width), initializer=positions)

    def call(self, patches: Any) -> Any:
        """Join and add."""
        tokens = ops.tile(self.tokens, (ops.shape(patches)[0], 1, 1))
        return ops.concatenate([tokens, patches], axis=1) + self.positions

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, N, D) -> (B, N + count, D)."""
        batch, tokens, width = shape
        return batch, (tokens or 0) + self.count, width

    def get_config(self) -> dict[str, Any]:
        """What __init__ takes."""
        return {**super().get_config(), "count": self.count}


@keras.saving.register_keras_serializable("touchstone")
class Root(keras.layers.Layer):
    """The square root of what is positive, (B, D) -> (B, D): features whose spread no longer grows with their mean.

    Power normalisation (Perronnin, Sanchez & Mensink, ECCV 2010), for averages of ReLU outputs, which are not negative.
    """

    def call(self, features: Any) -> Any:
        """A little is added and taken away again, or the gradient at zero would be infinite."""
        return ops.sqrt(ops.relu(features) + 1e-4) - 1e-2

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The same."""
        return shape


@keras.saving.register_keras_serializable("touchstone")
class WithMirror(keras.layers.Layer):
    """Images, then their mirror images as further rows of the batch: (B, H, W, C) -> (2 B, H, W, C)."""

    def call(self, images: Any) -> Any:
        """Left and right change places."""
        return ops.concatenate([images, ops.flip(images, axis=2)], axis=0)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Twice the rows."""
        return (None if shape[0] is None else 2 * shape[0], *shape[1:])


@keras.saving.register_keras_serializable("touchstone")
class MeanOfHalves(keras.layers.Layer):
    """The mean of row b and row B + b: (2 B, D) -> (B, D). What follows `WithMirror` and everything after it."""

    def call(self, features: Any) -> Any:
        """Of the first half of the batch and the second."""
        return ops.mean(ops.reshape(features, (2, -1, features.shape[-1])), axis=0)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Half the rows."""
        return (None if shape[0] is None else shape[0] // 2, *shape[1:])


def squash(vectors: Any) -> Any:
    """Shrink to a length of n / (1 + n), n the squared length: short ones to nothing, long ones to 1 (last axis)."""
    squared = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.sqrt(squared + 1e-9) / (1 + squared)  # 1e-9: the square root has no gradient at zero


@keras.saving.register_keras_serializable("touchstone")
class Routing(keras.layers.Layer):
    """Capsules of one layer to those of the next by agreement: (B, N, d) -> (B, K, D), before `squash`.

    Sabour, Frosst & Hinton (NeurIPS 2017, arXiv:1710.09829), procedure 1. The incoming capsules are squashed first. The
    gradient passes through the last round alone: the rounds before only choose its coefficients.
    """

    def __init__(self, capsules: int, width: int, rounds: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.capsules, self.width, self.rounds = capsules, width, rounds

    def build(self, shape: tuple[int, ...]) -> None:
        """One matrix (d, D) for each pair of capsules: (N, K, d, D)."""
        _, incoming, width = shape
        normal = keras.initializers.RandomNormal(stddev=0.1)
        matrices = (incoming, self.capsules, width, self.width)
        self.matrices = self.add_weight(name="matrices", shape=matrices, initializer=normal)

    def call(self, capsules: Any) -> Any:
        """Coupling starts even; each round, capsules that agree with an outcome send it more."""
        votes = ops.einsum("bni,nkij->bnkj", squash(capsules), self.matrices)
        fixed = ops.stop_gradient(votes)
        agreement = ops.zeros_like(fixed[..., 0])  # (B, N, K)
        for _ in range(self.rounds - 1):
            outcome = squash(ops.einsum("bnk,bnkj->bkj", ops.softmax(agreement, axis=-1), fixed))
            agreement = agreement + ops.einsum("bnkj,bkj->bnk", fixed, outcome)
        return ops.einsum("bnk,bnkj->bkj", ops.softmax(agreement, axis=-1), votes)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, N, d) -> (B, K, D)."""
        return shape[0], self.capsules, self.width

    def get_config(self) -> dict[str, Any]:
        """What __init__ takes."""
        return {**super().get_config(), "capsules": self.capsules, "width": self.width, "rounds": self.rounds}


@keras.saving.register_keras_serializable("touchstone")
class CapsuleLogits(keras.layers.Layer):
    """Capsules (B, K, D) before `squash` -> float32 logits (B, K), whose sigmoid is the length after it, exactly.

    A squashed length is n / (1 + n), n the squared length before: the sigmoid of log n.
    """

    def call(self, capsules: Any) -> Any:
        """Log of the squared length."""
        return ops.log(ops.sum(ops.square(capsules), axis=-1) + 1e-7)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, K, D) -> (B, K)."""
        return shape[:2]


@keras.saving.register_keras_serializable("touchstone")
class Reconstruction(keras.layers.Layer):
    """Pass capsules (B, K, D) on and, in training, add to the loss how badly they redraw the image, 0..1.

    The decoder of Sabour et al. (2017, figure 2) and `weight` times the squared error summed over an image. It draws
    from the longest capsule, where the paper takes the true class's: a layer sees no labels, and the two agree once
    the network learns.
    """

    def __init__(self, weight: float = 0.0005, hidden: tuple[int, ...] = (512, 1024), **options: Any) -> None:
        super().__init__(**options)
        self.weight, self.hidden = weight, tuple(hidden)

    def build(self, shapes: list[tuple[int, ...]]) -> None:
        """Two hidden layers and one output for each value of the image."""
        (_, capsules, width), image = shapes
        self.pixels = image[1] * image[2] * image[3]
        decoder = [keras.layers.Dense(count, "relu", kernel_initializer="he_normal") for count in self.hidden]
        self.decoder = [*decoder, keras.layers.Dense(self.pixels, "sigmoid")]
        size = capsules * width
        for layer in self.decoder:
            layer.build((None, size))
            size = layer.units

    def call(self, inputs: list[Any], training: bool | None = None) -> Any:
        """The capsules, untouched; the loss in training only, so that predicting costs nothing."""
        capsules, images = inputs
        if training:
            vectors = squash(capsules)
            lengths = ops.sum(ops.square(vectors), axis=-1)
            longest = ops.one_hot(ops.argmax(lengths, axis=-1), capsules.shape[1], dtype=vectors.dtype)
            drawn = ops.reshape(vectors * longest[..., None], (-1, capsules.shape[1] * capsules.shape[2]))
            for layer in self.decoder:
                drawn = layer(drawn)
            error = ops.square(ops.cast(drawn - ops.reshape(images, (-1, self.pixels)), "float32"))
            self.add_loss(self.weight * ops.mean(ops.sum(error, axis=-1)))
        return capsules

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Of the capsules."""
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        """What __init__ takes."""
        return {**super().get_config(), "weight": self.weight, "hidden": self.hidden}
