"""What the networks share: from pixels to numbers near zero, and how often to halve an image. It knows no network."""

from collections.abc import Sequence
from typing import Any


def pixels(
    image_shape: tuple[int, int, int], mean: Sequence[float] = (), deviation: Sequence[float] = ()
) -> tuple[Any, Any]:
    """The input (B, H, W, C), uint8 or float 0..255, and the same as (x - mean) / deviation, one value a channel.

    By default both are 127.5: -1..1. Rescaling and not Normalization, which the ONNX export cannot read.
    """
    import keras

    channels = image_shape[2]
    mean, deviation = list(mean) or [127.5] * channels, list(deviation) or [127.5] * channels
    scale = [1 / value for value in deviation]
    offset = [-centre / value for centre, value in zip(mean, deviation, strict=True)]
    inputs = keras.Input(image_shape, name="images")
    return inputs, keras.layers.Rescaling(scale, offset, name="rescaling")(inputs)


def halvings(image_shape: tuple[int, int, int], at_most: int) -> int:
    """How often to halve the shorter side until it is `at_most` pixels."""
    side, count = min(image_shape[:2]), 0
    while side > at_most:
        side, count = -(-side // 2), count + 1
    return count
