"""Local binary patterns as a batched Keras layer, codes equal to scikit-image's. It knows no classifier.

Ojala, Pietikainen & Maenpaa, "Multiresolution gray-scale and rotation invariant texture classification with local
binary patterns" (PAMI 2002, doi:10.1109/TPAMI.2002.1017623). A sample exactly as bright as the centre counts as
brighter. That is decided on whole differences, so that flat regions do not flicker with rounding; scikit-image rounds
interpolated values first and may see such a tie as darker.
"""

import math
from functools import lru_cache
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from baselines.blocks import Program
from baselines.grid import grid_cell, pair
from baselines.parts import cell_counts, grey

METHODS = ("default", "ror", "uniform", "nri_uniform", "var")
VARIANCE_BINS = 16  # below 1/2, then one a doubling, the last from 2**13 on: 255 grey levels reach 127.5**2
LEAST_VARIANCE = 1e-6  # in grey levels squared; less is float32's rounding where all samples are equal


@keras.saving.register_keras_serializable(package="baselines")
class LBP(keras.layers.Layer):
    """uint8 or float (B, H, W, C), 0..255 -> float32 (B, D), D = grid rows * grid columns * bins.

    `P`, `R` and `method` are those of `skimage.feature.local_binary_pattern`. The image is cut into `grid` (rows,
    columns) cells of equal size, pixels beyond the last whole cell are left out, and each cell gives a histogram of its
    codes that sums to 1: P + 2 bins for `uniform`, P(P-1) + 3 for `nri_uniform`, 2**P for `default`, one for each
    pattern that no rotation brings to another for `ror` (36 for P = 8), `VARIANCE_BINS` for `var`. Three channels
    become grey as by Pillow's `convert("L")`: 0.299 R + 0.587 G + 0.114 B, rounded to whole levels.
    """

    def __init__(
        self, P: int = 8, R: float = 1.0, method: str = "uniform", grid: tuple[int, int] = (1, 1), **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if method not in METHODS:
            raise ValueError(f"Expected method as one of {', '.join(METHODS)}. Received: {method!r}.")
        if not 2 <= P <= 30 or R <= 0:
            raise ValueError(f"Expected 2 <= P <= 30 sampling points and a radius R > 0. Received: P={P}, R={R}.")
        self.P, self.R, self.method, self.grid = P, float(R), method, pair("grid", grid)

    def call(self, images: Any) -> Any:
        """Compute the histograms; the shape of an image must be known when the graph is built."""
        return self.histograms(self.codes(images))

    def codes(self, images: Any) -> Any:
        """Each pixel's code as in scikit-image, int32 (B, H, W); `var`: float32, NaN where all samples are equal."""
        contrasts = _contrasts(grey(ops.cast(images, "float32")), self.P, self.R)
        if self.method == "var":
            return _variance(contrasts)
        bits = [ops.cast(contrast >= 0, "int32") for contrast in contrasts]
        if self.method == "default":
            return _binary(bits)
        if self.method == "ror":
            return _least_rotation(_binary(bits), self.P)
        return _uniform(bits) if self.method == "uniform" else _turned_uniform(bits)

    def histograms(self, codes: Any) -> Any:
        """Codes (B, H, W) -> float32 (B, D), the share of each bin among the pixels of each cell."""
        cell = grid_cell(codes.shape[1], codes.shape[2], self.grid)
        bins = histogram_bins(self.P, self.method)
        if self.method == "var":
            codes = _variance_bins(codes)
        elif self.method == "ror":
            codes = ops.take(ops.convert_to_tensor(_rank_of_rotation(self.P)), codes)
        counts = cell_counts(codes, bins, self.grid, cell)
        return ops.reshape(counts, (-1, math.prod(self.grid) * bins)) / math.prod(cell)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, int]:
        """(B, H, W, C) -> (B, D)."""
        return input_shape[0], math.prod(self.grid) * histogram_bins(self.P, self.method)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same layer again."""
        return {**super().get_config(), "P": self.P, "R": self.R, "method": self.method, "grid": self.grid}


def lbp_features(
    images: NDArray[Any], P: int = 8, R: float = 1.0, method: str = "uniform", grid: tuple[int, int] = (1, 1)
) -> NDArray[np.float32]:
    """uint8 or float (N, H, W, C), 0..255 -> float32 (N, D) as `LBP` gives it, in blocks of bounded memory."""
    return _programs(P, float(R), method, pair("grid", grid))[1](images)


def lbp_codes(images: NDArray[Any], P: int = 8, R: float = 1.0, method: str = "uniform") -> NDArray[Any]:
    """uint8 or float (N, H, W, C), 0..255 -> codes (N, H, W) as `LBP.codes` gives them, in blocks of bounded memory."""
    return _programs(P, float(R), method, (1, 1))[0](images)


@lru_cache(maxsize=32)
def _programs(P: int, R: float, method: str, grid: tuple[int, int]) -> tuple[Program, Program]:
    """Codes alone, and codes then histograms."""
    layer = LBP(P, R, method, grid)
    return Program(layer.codes), Program(layer.codes, layer.histograms)


def histogram_bins(P: int, method: str) -> int:
    """Bins of one cell's histogram; a ValueError where they would be more than 65,536."""
    if method in ("default", "ror") and P > 16:
        raise ValueError(f"Expected P <= 16 for histograms by {method!r}. Received: {P}. Choose method 'uniform'.")
    if method == "ror":
        return int(_rank_of_rotation(P).max()) + 1
    return {"default": 2**P, "uniform": P + 2, "nri_uniform": P * (P - 1) + 3, "var": VARIANCE_BINS}[method]


def _contrasts(grey: Any, P: int, R: float) -> list[Any]:
    """(B, H, W) -> each sampling point's interpolated value minus the centre's; beyond the image all is 0."""
    height, width = grey.shape[1:3]
    points = _sampling_points(P, R)
    margin = max(max(abs(row), abs(column)) for point in points for pixels in point.values() for row, column in pixels)
    padded = ops.pad(grey, [[0, 0], [margin, margin], [margin, margin]])

    def moved(row: int, column: int) -> Any:
        return padded[:, margin + row : margin + row + height, margin + column : margin + column + width]

    def contrast(point: dict[float, list[tuple[int, int]]]) -> Any:
        return sum(
            weight * (sum(moved(row, column) for row, column in pixels) - len(pixels) * grey)
            for weight, pixels in point.items()
        )

    return [contrast(point) for point in points]


@lru_cache(maxsize=32)
def _sampling_points(P: int, R: float) -> list[dict[float, list[tuple[int, int]]]]:
    """For each point on the circle the pixels (row, column), seen from the centre, that it interpolates, by weight.

    Pixels of equal weight are to be summed before they are weighed: then opposite differences cancel exactly.
    """
    angles = 2 * np.pi * np.arange(P) / P
    points = []
    for row, column in zip(np.round(-R * np.sin(angles), 5), np.round(R * np.cos(angles), 5), strict=True):
        top, left = math.floor(row), math.floor(column)
        down, right = row - top, column - left
        point: dict[float, list[tuple[int, int]]] = {}
        for corner_row, row_weight in ((top, 1 - down), (top + 1, down)):
            for corner_column, column_weight in ((left, 1 - right), (left + 1, right)):
                weight = round(row_weight * column_weight, 10)  # products of numbers of five decimals
                if weight > 0:
                    point.setdefault(weight, []).append((corner_row, corner_column))
        points.append(point)
    return points


def _variance(contrasts: list[Any]) -> Any:
    mean = sum(contrasts) / len(contrasts)
    variance = sum((contrast - mean) ** 2 for contrast in contrasts) / len(contrasts)
    return ops.where(variance < LEAST_VARIANCE, float("nan"), variance)


def _binary(bits: list[Any]) -> Any:
    return sum(bit * 2**place for place, bit in enumerate(bits))


def _least_rotation(code: Any, P: int) -> Any:
    least = code
    for places in range(1, P):
        low = ops.bitwise_and(code, 2**places - 1)
        turned = ops.bitwise_or(ops.right_shift(code, places), ops.left_shift(low, P - places))
        least = ops.minimum(least, turned)
    return least


@lru_cache(maxsize=8)
def _rank_of_rotation(P: int) -> NDArray[np.int32]:
    """int32 (2**P,): the place of each code's least rotation among all least rotations."""
    codes = np.arange(2**P)
    least = np.min([(codes >> shift) | ((codes & (2**shift - 1)) << (P - shift)) for shift in range(P)], axis=0)
    return np.unique(least, return_inverse=True)[1].astype(np.int32)


def _uniform(bits: list[Any]) -> Any:
    """The number of ones where at most two neighbours differ, else P + 1."""
    return ops.where(_changes(bits) <= 2, sum(bits), len(bits) + 1)


def _turned_uniform(bits: list[Any]) -> Any:
    """1 + P (ones - 1) + how far they are turned; 0 for none, P(P-1) + 1 for all ones, P(P-1) + 2 if not uniform."""
    P, ones = len(bits), sum(bits)
    # a uniform pattern has a single 1 that follows a 0 around the circle
    first = sum(place * bits[place] * (1 - bits[place - 1]) for place in range(P))
    turned = 1 + (ones - 1) * P + ops.where(first > 0, P - first, 0)
    pattern = ops.where(ones == 0, 0, ops.where(ones == P, P * (P - 1) + 1, turned))
    return ops.where(_changes(bits) <= 2, pattern, P * (P - 1) + 2)


def _changes(bits: list[Any]) -> Any:
    """Neighbours that differ, last and first not compared: they never decide whether there are more than two."""
    return sum(ops.abs(bit - following) for bit, following in pairwise(bits))


def _variance_bins(variance: Any) -> Any:
    """float32, NaN where all samples are equal -> int32 0..15 on a scale of doublings."""
    doublings = ops.floor(ops.log2(ops.maximum(ops.nan_to_num(variance), 2.0**-2))) + 2
    return ops.cast(ops.clip(doublings, 0, VARIANCE_BINS - 1), "int32")
