"""Energies of Gabor filters on a grid as a batched Keras layer. It knows no classifier.

Manjunath & Ma, "Texture features for browsing and retrieval of image data" (PAMI 1996, doi:10.1109/34.531803): mean and
standard deviation of each filter's magnitude. The filters are those of `skimage.filters.gabor` with a round Gaussian.
Such a filter is a product of one along the rows and one along the columns, and each of these, mirrored border
included, is a matrix: the whole bank is a few matrix products, which CPUs and GPUs do best.
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
from baselines.parts import grey

FREQUENCIES = (0.05, 0.1, 0.2, 0.4)
REACH = 3  # standard deviations of the Gaussian that a filter holds, scikit-image's n_stds


@keras.saving.register_keras_serializable(package="baselines")
class Gabor(keras.layers.Layer):
    """uint8 or float (B, H, W, C), 0..255 -> float32 (B, D), on levels brought to 0..1.

    D = grid rows * grid columns * frequencies * orientations * 2: of each cell the mean magnitude of each filter, then
    its standard deviation. `frequencies` are in waves a pixel, orientations divide half a turn into equal parts,
    `bandwidth` is in octaves. Colour becomes grey as for LBP. The image is cut into `grid` (rows, columns) cells of
    equal size; pixels beyond the last whole cell are left out, but filters see them.
    """

    def __init__(
        self,
        frequencies: tuple[float, ...] = FREQUENCIES,
        orientations: int = 6,
        bandwidth: float = 1.0,
        grid: tuple[int, int] = (1, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if not frequencies or min(frequencies) <= 0 or max(frequencies) > 0.5:
            raise ValueError(f"Expected frequencies over 0 and up to 0.5 waves a pixel. Received: {frequencies}.")
        if orientations < 1 or bandwidth <= 0:
            raise ValueError(f"Expected orientations >= 1, bandwidth > 0. Received: {orientations}, {bandwidth}.")
        self.frequencies, self.orientations = tuple(map(float, frequencies)), orientations
        self.bandwidth, self.grid = float(bandwidth), pair("grid", grid)

    def call(self, images: Any) -> Any:
        """Compute the energies; the shape of an image must be known when the graph is built."""
        cell = grid_cell(images.shape[1], images.shape[2], self.grid, "Gabor")
        levels = grey(ops.cast(images, "float32")) / 255
        found = [self._energies(levels, frequency, cell) for frequency in self.frequencies]
        return ops.reshape(ops.concatenate(found, axis=3), (-1, self._size()))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, int]:
        """(B, H, W, C) -> (B, D)."""
        return input_shape[0], self._size()

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same layer again."""
        names = ("frequencies", "orientations", "bandwidth", "grid")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _size(self) -> int:
        return math.prod(self.grid) * len(self.frequencies) * self.orientations * 2

    def _energies(self, levels: Any, frequency: float, cell: tuple[int, int]) -> Any:
        """(B, H, W) -> (B, grid rows, grid columns, orientations * 2): mean and deviation of each orientation."""
        (rows, columns), (height, width) = self.grid, cell
        statistics = []
        for orientation in range(self.orientations):
            angle = math.pi * orientation / self.orientations
            magnitude = _magnitude(levels, frequency, angle, self.bandwidth)[:, : rows * height, : columns * width]
            parts = ops.reshape(magnitude, (-1, rows, height, columns, width))
            mean = ops.mean(parts, axis=(2, 4), keepdims=True)
            deviation = ops.sqrt(ops.mean((parts - mean) ** 2, axis=(2, 4)))
            statistics += [mean[:, :, 0, :, 0], deviation]
        return ops.stack(statistics, axis=3)


def gabor_features(
    images: NDArray[Any],
    frequencies: tuple[float, ...] = FREQUENCIES,
    orientations: int = 6,
    bandwidth: float = 1.0,
    grid: tuple[int, int] = (1, 1),
) -> NDArray[np.float32]:
    """uint8 or float (N, H, W, C), 0..255 -> float32 (N, D) as `Gabor` gives it, in blocks of bounded memory."""
    return _program(tuple(frequencies), orientations, bandwidth, pair("grid", grid))(images)


@lru_cache(maxsize=32)
def _program(*settings: Any) -> Program:
    return Program(Gabor(*settings).call)


def _magnitude(levels: Any, frequency: float, angle: float, bandwidth: float) -> Any:
    """|levels * filter|, (B, H, W): first along each row, then along each column, real and imaginary parts apart."""
    height, width = levels.shape[1:3]
    along = _matrices(width, frequency, angle, bandwidth, math.cos(angle))
    down = _matrices(height, frequency, angle, bandwidth, math.sin(angle))
    real, imaginary = (ops.transpose(ops.tensordot(levels, matrix, 1), (0, 2, 1)) for matrix in along)
    first = ops.tensordot(real, down[0], 1) - ops.tensordot(imaginary, down[1], 1)
    second = ops.tensordot(real, down[1], 1) + ops.tensordot(imaginary, down[0], 1)
    return ops.transpose(ops.sqrt(first * first + second * second), (0, 2, 1))


def _matrices(side: int, frequency: float, angle: float, bandwidth: float, share: float) -> list[Any]:
    """Real and imaginary part, float32 (side, side) each, of the filter's factor along lines of `side` pixels.

    A line times the matrix is the line filtered, mirrored at its ends; its wave has `share` of the frequency.
    """
    octaves = 2.0**bandwidth
    deviation = math.sqrt(math.log(2) / 2) / (math.pi * frequency) * (octaves + 1) / (octaves - 1)
    reach = math.ceil(max(REACH * deviation * abs(math.cos(angle)), REACH * deviation * abs(math.sin(angle)), 1))
    steps = np.arange(-reach, reach + 1)
    factor = np.exp(-0.5 * (steps / deviation) ** 2 + 2j * math.pi * frequency * share * steps)
    factor /= math.sqrt(2 * math.pi) * deviation
    matrix = np.zeros((side, side), complex)
    for place in range(side):
        mirrored = (place + steps) % (2 * side)
        np.add.at(matrix[:, place], np.minimum(mirrored, 2 * side - 1 - mirrored), factor)
    return [ops.convert_to_tensor(part.astype(np.float32)) for part in (matrix.real, matrix.imag)]
