"""Local binary patterns as a batched Keras layer, codes equal to scikit-image's. It knows no classifier.

Ojala, Pietikainen & Maenpaa, "Multiresolution gray-scale and rotation invariant texture classification with local
binary patterns" (PAMI 2002, doi:10.1109/TPAMI.2002.1017623). A sample exactly as bright as the centre counts as
brighter; interpolation weighs whole differences, so flat regions are ties and do not flicker with rounding.
"""

import math
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from baselines.blocks import apply_in_blocks
from baselines.grid import lbp_cell, pair

METHODS = ("default", "ror", "uniform", "nri_uniform", "var")
VARIANCE_BINS = 16  # below 1/2, then one a doubling, the last from 2**13 on: 255 grey levels reach 127.5**2
LEAST_VARIANCE = (
    1e-6  # grey levels squared; less is float32's rounding on a flat ring: not a number, as in scikit-image
)


class _Patterns(keras.layers.Layer):
    """uint8 or float (B, H, W, C), 0..255 -> the code of each pixel (B, H, W): int32, or float32 for `var`."""

    def __init__(self, P: int, R: float, method: str) -> None:
        super().__init__(name="patterns", dtype="float32")
        self.arguments = (P, R, method)

    def call(self, images: Any) -> Any:
        return _codes(images, *self.arguments)


@keras.saving.register_keras_serializable(package="baselines")
class LBP(keras.layers.Layer):
    """uint8 or float (B, H, W, C), 0..255 -> float32 (B, D), D = grid rows * grid columns * bins: shares that sum to 1 a cell.

    `P`, `R` and `method` are those of `skimage.feature.local_binary_pattern`; bins is P + 2 for `uniform`, P(P-1) + 3
    for `nri_uniform`, 2**P for `default`, the number of different rotations for `ror` (36 for P = 8) and 16 for `var`
    (`VARIANCE_BINS`). The image is cut into `grid` (rows, columns) cells of equal size; pixels beyond the last whole
    cell are left out. Three channels become grey as Pillow's `convert("L")` does it: 0.299 R + 0.587 G + 0.114 B, whole.
    """

    def __init__(
        self, P: int = 8, R: float = 1.0, method: str = "uniform", grid: tuple[int, int] = (1, 1), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_pattern(P, R, method)
        if method in ("default", "ror") and P > 16:
            raise ValueError(f"Expected P <= 16 for histograms of method {method!r}. Received: {P}. Choose 'uniform'.")
        self.P, self.R, self.method, self.grid = P, float(R), method, pair("grid", grid)

    def call(self, images: Any) -> Any:
        """Compute the histograms; the shape of an image must be known when the graph is built."""
        cell = lbp_cell(*images.shape[1:3], self.grid)
        codes = _codes(images, self.P, self.R, self.method)
        if self.method == "var":
            codes = _variance_bins(codes)
        elif self.method == "ror":
            codes = ops.take(ops.convert_to_tensor(_rank_of_rotation(self.P)), codes)
        bins = histogram_bins(self.P, self.method)
        counts = _counts(codes, bins, self.grid, cell)
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
    return apply_in_blocks(_layer(P, float(R), method, pair("grid", grid)), images)


def lbp_codes(images: NDArray[Any], P: int = 8, R: float = 1.0, method: str = "uniform") -> NDArray[Any]:
    """uint8 or float (N, H, W, C), 0..255 -> scikit-image's codes, int32 (N, H, W); float32 for `var`, NaN where flat."""
    return apply_in_blocks(_patterns(P, float(R), method), images)


@lru_cache(maxsize=32)
def _layer(*settings: Any) -> LBP:
    return LBP(*settings, dtype="float32")


@lru_cache(maxsize=32)
def _patterns(P: int, R: float, method: str) -> _Patterns:
    check_pattern(P, R, method)
    return _Patterns(P, R, method)


def check_pattern(P: int, R: float, method: str) -> None:
    """Raise a ValueError unless P, R and method make a pattern."""
    if method not in METHODS:
        raise ValueError(f"Expected method as one of {', '.join(METHODS)}. Received: {method!r}.")
    if not 2 <= P <= 30 or R <= 0:
        raise ValueError(f"Expected 2 <= P <= 30 sampling points and a radius R > 0. Received: P={P}, R={R}.")


def histogram_bins(P: int, method: str) -> int:
    """Bins of one cell's histogram."""
    if method == "ror":
        return int(_rank_of_rotation(P).max()) + 1
    return {"default": 2**P, "uniform": P + 2, "nri_uniform": P * (P - 1) + 3, "var": VARIANCE_BINS}[method]


def _codes(images: Any, P: int, R: float, method: str) -> Any:
    grey = _grey(ops.cast(images, "float32"))
    contrasts = _contrasts(grey, P, R)
    if method == "var":
        mean = sum(contrasts) / P
        variance = sum((contrast - mean) ** 2 for contrast in contrasts) / P
        return ops.where(variance < LEAST_VARIANCE, float("nan"), variance)
    bits = [ops.cast(contrast >= 0, "int32") for contrast in contrasts]
    if method in ("default", "ror"):
        code = sum(bit * 2**place for place, bit in enumerate(bits))
        return code if method == "default" else _least_rotation(code, P)
    ones = sum(bits)
    changes = sum(ops.cast(ops.not_equal(bit, after), "int32") for bit, after in zip(bits, bits[1:], strict=False))
    if method == "uniform":
        return ops.where(changes <= 2, ones, P + 1)
    # of a uniform pattern the only 1 after a 0 says how far it is turned
    start = sum(
        place * bit * (1 - before) for place, (before, bit) in enumerate(zip(bits[-1:] + bits, bits, strict=False))
    )
    turned = 1 + (ones - 1) * P + ops.where(start > 0, P - start, 0)
    pattern = ops.where(ones == 0, 0, ops.where(ones == P, P * (P - 1) + 1, turned))
    return ops.where(changes <= 2, pattern, P * (P - 1) + 2)


def _grey(pixels: Any) -> Any:
    """(B, H, W, C) -> (B, H, W); the whole-numbered weights keep every step exact in float32."""
    if pixels.shape[3] == 1:
        return pixels[..., 0]
    if pixels.shape[3] != 3:
        raise ValueError(f"Expected images with 1 or 3 channels. Received: {pixels.shape[3]}.")
    weighted = pixels[..., 0] * 19595.0 + pixels[..., 1] * 38470.0 + pixels[..., 2] * 7471.0
    return ops.floor((weighted + 32768.0) / 65536.0)


def _contrasts(grey: Any, P: int, R: float) -> list[Any]:
    """(B, H, W) -> for each sampling point its interpolated value minus the centre's, 0 outside the image as in scikit-image."""
    height, width = grey.shape[1:3]
    rings = _sampling_points(P, R)
    margin = max(max(abs(row), abs(column)) for ring in rings for corners in ring.values() for row, column in corners)
    padded = ops.pad(grey, [[0, 0], [margin, margin], [margin, margin]])

    def moved(row: int, column: int) -> Any:
        return padded[:, margin + row : margin + row + height, margin + column : margin + column + width]

    return [
        sum(
            weight * (sum(moved(*corner) for corner in corners) - len(corners) * grey)
            for weight, corners in ring.items()
        )
        for ring in rings
    ]


@lru_cache(maxsize=32)
def _sampling_points(P: int, R: float) -> list[dict[float, list[tuple[int, int]]]]:
    """For each point on the circle the pixels of its bilinear interpolation, (row, column) from the centre, by weight.

    Pixels of equal weight are summed before they are weighed, so opposite differences cancel exactly.
    """
    angles = 2 * np.pi * np.arange(P) / P
    points = []
    for row, column in zip(np.round(-R * np.sin(angles), 5), np.round(R * np.cos(angles), 5), strict=True):
        top, left = math.floor(row), math.floor(column)
        down, right = row - top, column - left
        ring: dict[float, list[tuple[int, int]]] = {}
        for corner_row, row_weight in ((top, 1 - down), (top + 1, down)):
            for corner_column, column_weight in ((left, 1 - right), (left + 1, right)):
                weight = round(row_weight * column_weight, 10)  # products of numbers of five decimals
                if weight > 0:
                    ring.setdefault(weight, []).append((corner_row, corner_column))
        points.append(ring)
    return points


def _least_rotation(code: Any, P: int) -> Any:
    least = code
    for shift in range(1, P):
        turned = ops.bitwise_or(
            ops.right_shift(code, shift), ops.left_shift(ops.bitwise_and(code, 2**shift - 1), P - shift)
        )
        least = ops.minimum(least, turned)
    return least


@lru_cache(maxsize=8)
def _rank_of_rotation(P: int) -> NDArray[np.int32]:
    """int32 (2**P,): the place of each code's least rotation among all least rotations."""
    codes = np.arange(2**P)
    least = np.min([(codes >> shift) | ((codes & (2**shift - 1)) << (P - shift)) for shift in range(P)], axis=0)
    return np.unique(least, return_inverse=True)[1].astype(np.int32)


def _variance_bins(variance: Any) -> Any:
    """float32, NaN where flat -> int32 0..15 on a scale of doublings."""
    doublings = ops.floor(ops.log2(ops.maximum(ops.nan_to_num(variance), 2.0**-2))) + 2
    return ops.cast(ops.clip(doublings, 0, VARIANCE_BINS - 1), "int32")


def _counts(codes: Any, bins: int, grid: tuple[int, int], cell: tuple[int, int]) -> Any:
    """int32 (B, H, W) -> float32 (B, grid rows, grid columns, bins)."""
    rows, columns = grid
    height, width = cell
    codes = codes[:, : rows * height, : columns * width]
    if bins > 64:
        flat = ops.transpose(ops.reshape(codes, (-1, rows, height, columns, width)), (0, 1, 3, 2, 4))
        flat = ops.reshape(flat, (-1, height * width))
        owner = ops.expand_dims(ops.arange(ops.shape(flat)[0], dtype="int32"), 1) * bins
        index = ops.reshape(flat + owner, (-1,))
        counted = ops.segment_sum(ops.ones_like(index, dtype="float32"), index, num_segments=ops.shape(flat)[0] * bins)
        return ops.reshape(counted, (-1, rows, columns, bins))
    counts = []
    for bin_ in range(bins):
        hits = ops.cast(ops.equal(codes, bin_), "float32")
        strips = ops.sum(ops.reshape(hits, (-1, rows, height, columns * width)), axis=2)
        counts.append(ops.sum(ops.reshape(strips, (-1, rows, columns, width)), axis=3))
    return ops.stack(counts, axis=-1)
