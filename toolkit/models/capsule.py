"""Capsules with dynamic routing, and the margin loss they are trained with (Sabour et al. 2017). It knows no data."""

from typing import Any

from toolkit.models.blocks import Style
from toolkit.models.options import checked


@checked()
def capsnet(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    filters: int = 256,
    capsules: int = 32,
    rounds: int = 3,
    reconstruction: float = 0.0005,
    activation: str = "relu",
    initialiser: str = "he",
) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes), 8.2 million parameters at 28 pixels with the decoder.

    Sabour, Frosst & Hinton (NeurIPS 2017, arXiv:1710.09829): a 9 x 9 convolution of `filters`, `capsules` types of
    primary capsules of 8 numbers, one capsule of 16 for each class. The sigmoid of a logit is the length of its
    class's capsule, so `margin_loss` takes the same logits as cross-entropy would. `reconstruction` weighs the
    decoder's squared error, which reaches the training loop through `model.losses` (`keras.Model.fit` adds it by
    itself); 0 leaves the decoder out. Images of 64 pixels or more are averaged down to 32..63, or the matrices of the
    routing would grow with their area.
    """
    import keras
    from keras import layers

    from toolkit.models.layers import CapsuleLogits, Reconstruction, Routing

    style = Style(activation=activation, initialiser=initialiser)
    inputs = keras.Input(image_shape, name="images")
    images = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    shrink = min(image_shape[:2]) // 32
    if shrink > 1:
        images = layers.AveragePooling2D(shrink, name="shrink")(images)
    tensor = layers.Conv2D(filters, 9, activation=activation, kernel_initializer=style.kernel, name="conv")(images)
    tensor = layers.Conv2D(8 * capsules, 9, 2, kernel_initializer=style.kernel, name="primary")(tensor)
    tensor = layers.Reshape((-1, 8), name="capsules")(tensor)
    tensor = Routing(classes, 16, rounds, dtype="float32", name="routing")(tensor)
    if reconstruction:
        tensor = Reconstruction(reconstruction, dtype="float32", name="reconstruction")([tensor, images])
    features = layers.Flatten(dtype="float32", name="features")(tensor)
    tensor = layers.Reshape((classes, 16), dtype="float32")(features)
    return keras.Model(inputs, CapsuleLogits(dtype="float32", name="logits")(tensor), name="capsnet")


def margin_loss(labels: Any, logits: Any, *, present: float = 0.9, absent: float = 0.1, down: float = 0.5) -> Any:
    """Loss (B,) of logits (B, K): the class that is there wants a length above 0.9, each other one below 0.1.

    Equation 4 of the paper. `labels` are int (B,), or shares (B, K) that sum to 1, as smoothing and MixUp make them.
    The length is sigmoid(logit), what `capsnet` means by its logits; for another network it makes a squared hinge on
    each class's own probability.
    """
    from keras import ops

    shares = ops.one_hot(labels, logits.shape[-1]) if len(labels.shape) == 1 else ops.cast(labels, "float32")
    lengths = ops.sigmoid(ops.cast(logits, "float32"))
    missing = ops.square(ops.maximum(0.0, present - lengths))
    spare = ops.square(ops.maximum(0.0, lengths - absent))
    return ops.sum(shares * missing + down * (1 - shares) * spare, axis=-1)
