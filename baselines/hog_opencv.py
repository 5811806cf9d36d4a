"""Histograms of oriented gradients as OpenCV 4's HOGDescriptor computes them, as a batched Keras layer.

Dalal & Triggs (CVPR 2005) with all that `baselines.hog` leaves out: a Gaussian window over each block, and votes shared
between neighbouring bins and cells (trilinear). Both weights are products of one down and one across, so that a block's
histograms are two matrix products a bin. It knows no classifier.
"""

import math
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from baselines.blocks import Program
from baselines.grid import opencv_blocks, pair

CLIP = 0.2  # of L2-Hys


@keras.saving.register_keras_serializable(package="baselines")
class OpenCVHOG(keras.layers.Layer):
    """uint8 or float (B, H, W, C), 0..255 -> float32 (B, D), D = blocks across * blocks down * cells of one * bins.

    Parameters and order are those of `cv2.HOGDescriptor` (columns before rows, for blocks and for the cells of one),
    with one window, the largest that fits at the top left; sizes are (rows, columns) here. Unsigned gradients, roots of
    the levels as by `gammaCorrection`, the window's deviation an eighth of the block's height and width together.
    OpenCV's angles come from a polynomial that is off by up to 0.3 degrees; ours are exact.
    """

    def __init__(
        self,
        pixels_per_cell: tuple[int, int] = (8, 8),
        pixels_per_block: tuple[int, int] = (16, 16),
        pixels_per_step: tuple[int, int] = (8, 8),
        bins: int = 9,
        gamma_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.pixels_per_cell = pair("pixels_per_cell", pixels_per_cell)
        self.pixels_per_block = pair("pixels_per_block", pixels_per_block)
        self.pixels_per_step = pair("pixels_per_step", pixels_per_step)
        if any(block % cell for block, cell in zip(self.pixels_per_block, self.pixels_per_cell, strict=True)):
            raise ValueError(
                "Expected pixels_per_block as whole multiples of pixels_per_cell. "
                f"Received: {self.pixels_per_block} and {self.pixels_per_cell}."
            )
        if bins < 2:
            raise ValueError(f"Expected bins >= 2. Received: {bins}.")
        self.bins, self.gamma_correction = bins, gamma_correction

    def call(self, images: Any) -> Any:
        """Compute the features; the shape of an image must be known when the graph is built."""
        blocks = self._blocks(images.shape)
        pixels = ops.cast(images, "float32")
        if self.gamma_correction:
            pixels = ops.sqrt(pixels)
        length, place = _gradients(pixels, self.bins)
        down, across = (
            ops.convert_to_tensor(_weights(side, count, block, step, cell, sum(self.pixels_per_block) / 8))
            for side, count, block, step, cell in zip(
                images.shape[1:3],
                blocks,
                self.pixels_per_block,
                self.pixels_per_step,
                self.pixels_per_cell,
                strict=True,
            )
        )
        sums = []
        for bin_ in range(self.bins):
            away = ops.abs(place - (bin_ + 0.5))
            vote = length * ops.maximum(0.0, 1 - ops.minimum(away, self.bins - away))  # around the circle
            rows = ops.transpose(ops.tensordot(vote, across, 1), (0, 2, 1))  # (B, blocks and cells across, H)
            sums.append(ops.tensordot(rows, down, 1))
        cells = [block // cell for block, cell in zip(self.pixels_per_block, self.pixels_per_cell, strict=True)]
        shape = (-1, blocks[1], cells[1], blocks[0], cells[0], self.bins)
        histograms = ops.transpose(ops.reshape(ops.stack(sums, axis=-1), shape), (0, 1, 3, 2, 4, 5))
        size = math.prod(cells) * self.bins
        return ops.reshape(
            _normalised(ops.reshape(histograms, (-1, math.prod(blocks), size))), (-1, self._size(blocks))
        )

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, int]:
        """(B, H, W, C) -> (B, D)."""
        return input_shape[0], self._size(self._blocks(input_shape))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same layer again."""
        names = ("pixels_per_cell", "pixels_per_block", "pixels_per_step", "bins", "gamma_correction")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _blocks(self, shape: tuple[Any, ...]) -> tuple[int, int]:
        """Blocks (down, across) on images (B, H, W, C); a ValueError when not one fits."""
        return opencv_blocks(shape[1], shape[2], self.pixels_per_block, self.pixels_per_step)

    def _size(self, blocks: tuple[int, int]) -> int:
        cells = math.prod(self.pixels_per_block) // math.prod(self.pixels_per_cell)
        return math.prod(blocks) * cells * self.bins


def opencv_hog_features(
    images: NDArray[Any],
    pixels_per_cell: tuple[int, int] = (8, 8),
    pixels_per_block: tuple[int, int] = (16, 16),
    pixels_per_step: tuple[int, int] = (8, 8),
    bins: int = 9,
    gamma_correction: bool = True,
) -> NDArray[np.float32]:
    """uint8 or float (N, H, W, C), 0..255 -> float32 (N, D) as `OpenCVHOG` gives it, in blocks of bounded memory."""
    sizes = zip(("cell", "block", "step"), (pixels_per_cell, pixels_per_block, pixels_per_step), strict=True)
    return _program(*(pair(f"pixels_per_{name}", size) for name, size in sizes), bins, gamma_correction)(images)


@lru_cache(maxsize=32)
def _program(*settings: Any) -> Program:
    return Program(OpenCVHOG(*settings).call)


def _gradients(pixels: Any, bins: int) -> tuple[Any, Any]:
    """(B, H, W, C) -> length and direction (0 up to `bins` for half a turn) of the longest channel, (B, H, W) each."""
    padded = ops.pad(pixels, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    lengths = ops.sqrt(down * down + across * across)
    length, row, column = lengths[..., -1], down[..., -1], across[..., -1]
    for channel in reversed(range(pixels.shape[3] - 1)):  # a tie goes to blue, as in OpenCV
        longer = lengths[..., channel] > length
        row, column = ops.where(longer, down[..., channel], row), ops.where(longer, across[..., channel], column)
        length = ops.maximum(length, lengths[..., channel])
    return length, ops.arctan2(row, column) * (bins / math.pi) % bins


def _weights(side: int, blocks: int, block: int, step: int, cell: int, sigma: float) -> NDArray[np.float32]:
    """(side, blocks * cells of a block): how much a pixel at each place counts for each cell of each block, along one
    axis: the Gaussian window, whose middle OpenCV puts on pixel block / 2, times the share of the cell.
    """
    places = np.arange(block)
    window = np.exp(-((places - block / 2) ** 2) / (2 * sigma**2))
    cells = block // cell
    shares = np.maximum(0, 1 - np.abs((places[:, None] + 0.5) / cell - 0.5 - np.arange(cells)))
    weights = np.zeros((side, blocks, cells), np.float32)
    for number in range(blocks):
        weights[number * step : number * step + block, number] = window[:, None] * shares
    return weights.reshape(side, blocks * cells)


def _normalised(values: Any) -> Any:
    """(B, blocks, size) -> each block by OpenCV's L2-Hys."""
    size = values.shape[-1]
    values = values / (ops.sqrt(ops.sum(values * values, axis=-1, keepdims=True)) + 0.1 * size)
    values = ops.minimum(values, CLIP)
    return values / (ops.sqrt(ops.sum(values * values, axis=-1, keepdims=True)) + 1e-3)
