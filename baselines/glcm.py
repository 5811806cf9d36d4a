"""Properties of grey-level co-occurrence matrices on a grid as a batched Keras layer. It knows no classifier.

Haralick, Shanmugam & Dinstein, "Textural features for image classification" (1973, doi:10.1109/TSMC.1973.4309314).
Properties are those of `skimage.feature.graycoprops` over symmetric, normed matrices. What is a mean over pairs of
pixels is computed as one; only ASM, energy and entropy need a matrix to be counted.
"""

import math
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from baselines.blocks import Program
from baselines.grid import glcm_cell, pair
from baselines.parts import grey, scattered_counts

QUARTERS = (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4)
DEFAULT = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")


@keras.saving.register_keras_serializable(package="baselines")
class GLCM(keras.layers.Layer):
    """uint8 or float (B, H, W, C), 0..255 -> float32 (B, D).

    D = grid rows * grid columns * properties * distances * angles. Colour becomes grey as for LBP, and the 256 levels
    `levels` equal steps. The image is cut into `grid` (rows, columns) cells of equal size (pixels beyond the last whole
    one are left out), pairs of pixels lie inside one cell. A pair is `distances` pixels apart at `angles` radians,
    rounded to whole pixels as in scikit-image.
    """

    def __init__(
        self,
        distances: tuple[int, ...] = (1, 2),
        angles: tuple[float, ...] = QUARTERS,
        levels: int = 16,
        properties: tuple[str, ...] = DEFAULT,
        grid: tuple[int, int] = (1, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if not 2 <= levels <= 256:
            raise ValueError(f"Expected 2 <= levels <= 256. Received: {levels}.")
        for name in properties:
            if name not in PROPERTIES:
                raise ValueError(f"Expected properties among {', '.join(PROPERTIES)}. Received: {name!r}.")
        if not distances or not angles or not properties or min(distances) < 1:
            raise ValueError(
                "Expected one distance of at least 1, one angle and one property or more. "
                f"Received: {tuple(distances)}, {tuple(angles)}, {tuple(properties)}."
            )
        self.distances, self.angles, self.levels = tuple(distances), tuple(map(float, angles)), levels
        self.properties, self.grid = tuple(properties), pair("grid", grid)

    def call(self, images: Any) -> Any:
        """Compute the properties; the shape of an image must be known when the graph is built."""
        cell = glcm_cell(images.shape[1], images.shape[2], self.grid, max(self.distances))
        quantised = ops.floor(grey(ops.cast(images, "float32")) * self.levels / 256)
        cells = _cells(ops.clip(quantised, 0, self.levels - 1), self.grid, cell)
        pairs = [_Pairs(cells, offset, self.levels) for offset in offsets(self.distances, self.angles)]
        values = ops.stack([PROPERTIES[name](one) for name in self.properties for one in pairs], axis=-1)
        return ops.reshape(values, (-1, math.prod(self.grid) * len(self.properties) * len(pairs)))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, int]:
        """(B, H, W, C) -> (B, D)."""
        pairs = len(self.distances) * len(self.angles)
        return input_shape[0], math.prod(self.grid) * len(self.properties) * pairs

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same layer again."""
        names = ("distances", "angles", "levels", "properties", "grid")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def glcm_features(
    images: NDArray[Any],
    distances: tuple[int, ...] = (1, 2),
    angles: tuple[float, ...] = QUARTERS,
    levels: int = 16,
    properties: tuple[str, ...] = DEFAULT,
    grid: tuple[int, int] = (1, 1),
) -> NDArray[np.float32]:
    """uint8 or float (N, H, W, C), 0..255 -> float32 (N, D) as `GLCM` gives it, in blocks of bounded memory."""
    return _program(tuple(distances), tuple(angles), levels, tuple(properties), pair("grid", grid))(images)


@lru_cache(maxsize=32)
def _program(*settings: Any) -> Program:
    return Program(GLCM(*settings).call)


def offsets(distances: tuple[int, ...], angles: tuple[float, ...]) -> list[tuple[int, int]]:
    """How many (rows, columns) the second pixel of a pair lies from the first; distances outside, angles inside."""
    return [
        (round(math.sin(angle) * distance), round(math.cos(angle) * distance))
        for distance in distances
        for angle in angles
    ]


def _cells(image: Any, grid: tuple[int, int], cell: tuple[int, int]) -> Any:
    """(B, H, W) -> (B * rows * columns, height, width), cells in reading order."""
    (rows, columns), (height, width) = grid, cell
    image = image[:, : rows * height, : columns * width]
    image = ops.transpose(ops.reshape(image, (-1, rows, height, columns, width)), (0, 1, 3, 2, 4))
    return ops.reshape(image, (-1, height, width))


class _Pairs:
    """Levels of all pairs at one offset in each of M cells, and what properties ask of them, (M,) each."""

    def __init__(self, cells: Any, offset: tuple[int, int], levels: int) -> None:
        (down, right), (height, width) = offset, cells.shape[1:3]
        rows, columns = slice(max(0, -down), height - max(0, down)), slice(max(0, -right), width - max(0, right))
        self.first = cells[:, rows, columns]
        self.second = cells[:, rows.start + down : rows.stop + down, columns.start + right : columns.stop + right]
        self.levels = levels
        self.apart = ops.abs(self.first - self.second)

    def mean(self, values: Any) -> Any:
        return ops.mean(values, axis=(1, 2))

    def level(self) -> Any:
        """The mean level; a symmetric matrix counts each pair both ways, so it is that of both ends together."""
        return (self.mean(self.first) + self.mean(self.second)) / 2

    def variance(self) -> Any:
        """Of the levels, around their mean and not by squares' difference: float32 would cancel."""
        middle = self.level()[:, None, None]
        return (self.mean((self.first - middle) ** 2) + self.mean((self.second - middle) ** 2)) / 2

    def correlation(self) -> Any:
        """1 where all levels are equal, as in scikit-image."""
        middle, variance = self.level()[:, None, None], self.variance()
        covariance = self.mean((self.first - middle) * (self.second - middle))
        flat = variance < 1e-6  # scikit-image asks for a standard deviation under 1e-15; these are small whole numbers
        return ops.where(flat, 1.0, covariance / ops.where(flat, 1.0, variance))

    @cached_property
    def shares(self) -> Any:
        """The symmetric matrix, normed and flat: float32 (M, levels**2)."""
        size = self.levels**2
        codes = ops.cast(self.first * self.levels + self.second, "int32")
        height, width = codes.shape[1:3]
        counts = ops.reshape(scattered_counts(codes, size, (1, 1), (height, width)), (-1, self.levels, self.levels))
        counts = counts + ops.transpose(counts, (0, 2, 1))
        return ops.reshape(counts, (-1, size)) / (2 * height * width)


def _entropy(pairs: _Pairs) -> Any:
    shares = pairs.shares
    return -ops.sum(shares * ops.log(ops.maximum(shares, 1e-12)), axis=1)


PROPERTIES: dict[str, Callable[[_Pairs], Any]] = {
    "contrast": lambda pairs: pairs.mean(pairs.apart**2),
    "dissimilarity": lambda pairs: pairs.mean(pairs.apart),
    "homogeneity": lambda pairs: pairs.mean(1 / (1 + pairs.apart**2)),
    "ASM": lambda pairs: ops.sum(pairs.shares**2, axis=1),
    "energy": lambda pairs: ops.sqrt(ops.sum(pairs.shares**2, axis=1)),
    "correlation": _Pairs.correlation,
    "mean": _Pairs.level,
    "variance": _Pairs.variance,
    "std": lambda pairs: ops.sqrt(pairs.variance()),
    "entropy": _entropy,
}
