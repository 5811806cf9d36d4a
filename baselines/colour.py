"""Histograms of colours on a grid as a batched Keras layer. It knows no classifier.

Swain & Ballard, "Color indexing" (IJCV 1991, doi:10.1007/BF00130487). Opponent colours as in van de Sande, Gevers &
Snoek, "Evaluating color descriptors" (PAMI 2010, doi:10.1109/TPAMI.2009.154), brought to 0..1.
"""

import math
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from baselines.blocks import Program
from baselines.grid import grid_cell, pair
from baselines.parts import cell_counts

SPACES = ("rgb", "hsv", "opponent")
MOST_BINS = 65_536  # of one cell


@keras.saving.register_keras_serializable(package="baselines")
class ColourHistogram(keras.layers.Layer):
    """uint8 or float (B, H, W, C), 0..255 -> float32 (B, D), shares that sum to 1 in each histogram.

    The image is cut into `grid` (rows, columns) cells of equal size; pixels beyond the last whole cell are left out.
    Each cell gives one histogram of `bins` equal steps for each channel, D = rows * columns * C * bins, or with
    `joint` a single one of all channels together, D = rows * columns * bins**C. The channels are those of `space`;
    grey images, C = 1, have their levels in any space. Hue is 0 where a pixel is grey, as in scikit-image. Steps are
    decided on whole numbers, so that uint8 images meet no rounding.
    """

    def __init__(
        self, space: str = "hsv", bins: int = 8, grid: tuple[int, int] = (1, 1), joint: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if space not in SPACES:
            raise ValueError(f"Expected space as one of {', '.join(SPACES)}. Received: {space!r}.")
        if not 2 <= bins <= 256:
            raise ValueError(f"Expected 2 <= bins <= 256. Received: {bins}.")
        self.space, self.bins, self.grid, self.joint = space, bins, pair("grid", grid), joint

    def call(self, images: Any) -> Any:
        """Compute the histograms; the shape of an image must be known when the graph is built."""
        height, width, channels = images.shape[1:]
        size = histogram_size(channels, self.bins, self.joint)
        cell = grid_cell(height, width, self.grid, "colour")
        steps = [
            ops.clip(ops.cast(step, "int32"), 0, self.bins - 1)
            for step in _steps(ops.cast(images, "float32"), self.space, self.bins)
        ]
        if self.joint:
            code = sum(step * self.bins**place for place, step in enumerate(reversed(steps)))
            counts = cell_counts(code, size, self.grid, cell)
        else:
            counts = ops.concatenate([cell_counts(step, self.bins, self.grid, cell) for step in steps], axis=-1)
        return ops.reshape(counts, (-1, math.prod(self.grid) * size)) / math.prod(cell)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, int]:
        """(B, H, W, C) -> (B, D)."""
        return input_shape[0], math.prod(self.grid) * histogram_size(input_shape[3], self.bins, self.joint)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same layer again."""
        return {**super().get_config(), "space": self.space, "bins": self.bins, "grid": self.grid, "joint": self.joint}


def colour_histograms(
    images: NDArray[Any], space: str = "hsv", bins: int = 8, grid: tuple[int, int] = (1, 1), joint: bool = False
) -> NDArray[np.float32]:
    """uint8 or float (N, H, W, C), 0..255 -> float32 (N, D) as `ColourHistogram` gives it, in blocks of images."""
    return _program(space, bins, pair("grid", grid), joint)(images)


@lru_cache(maxsize=32)
def _program(*settings: Any) -> Program:
    return Program(ColourHistogram(*settings).call)


def histogram_size(channels: int, bins: int, joint: bool) -> int:
    """Numbers that describe one cell; a ValueError where a joint histogram would have more than `MOST_BINS`."""
    if channels not in (1, 3):
        raise ValueError(f"Expected images with 1 or 3 channels. Received: {channels}.")
    size = bins**channels if joint else bins * channels
    if size > MOST_BINS:
        raise ValueError(f"Expected bins**{channels} <= {MOST_BINS:,} with joint=True. Received: bins={bins}.")
    return size


def _steps(pixels: Any, space: str, bins: int) -> list[Any]:
    """(B, H, W, C), 0..255 -> for each channel of the space its step 0..bins, whole but as float32; bins is the last's.

    Each is one division of whole numbers, whose quotient float32 cannot round up to the next whole one.
    """
    channels = [pixels[..., channel] for channel in range(pixels.shape[3])]
    if len(channels) == 1 or space == "rgb":
        return [ops.floor(channel * bins / 256) for channel in channels]
    red, green, blue = channels
    if space == "opponent":
        sums = ((red - green + 255, 511), (red + green - 2 * blue + 510, 1021), (red + green + blue, 766))
        return [ops.floor(total * bins / levels) for total, levels in sums]
    value = ops.maximum(ops.maximum(red, green), blue)
    chroma = value - ops.minimum(ops.minimum(red, green), blue)
    some = ops.maximum(chroma, 1e-6)
    sixths = ops.where(  # hue in sixths of the circle, times chroma
        red == value,
        green - blue,
        ops.where(green == value, 2 * chroma + blue - red, 4 * chroma + red - green),
    )
    sixths = ops.where(chroma == 0, 0.0, ops.where(sixths < 0, sixths + 6 * chroma, sixths))
    hue = ops.floor(sixths * bins / (6 * some))
    saturation = ops.floor(chroma * bins / ops.maximum(value, 1e-6))
    return [hue, saturation, ops.floor(value * bins / 256)]
