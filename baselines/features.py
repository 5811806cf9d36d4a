"""HOG, LBP and raw pixels as scikit-learn transformers of uint8 images. They learn the shape, and know no classifier.

`fit` needs no Keras and looks at the shape alone, so one blank image tells early whether a size will do.
"""

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from baselines.grid import grid_cell, hog_grid, pair

IMAGES_AT_ONCE = 1024  # that PixelFeatures holds as float32


class HOGFeatures(TransformerMixin, BaseEstimator):
    """uint8 (N, H, W, C) -> float32 (N, D) by `baselines.hog.hog_features`, whose parameters these are.

    `pixels_per_cell=None` takes cells of a `cells_across`-th of the shorter side, rounded, but never under 4 pixels.
    What was taken stands in `pixels_per_cell_` after `fit`, the image shape in `image_shape_`.
    """

    def __init__(
        self,
        orientations: int = 9,
        pixels_per_cell: tuple[int, int] | None = None,
        cells_per_block: tuple[int, int] = (2, 2),
        block_norm: str = "L2-Hys",
        transform_sqrt: bool = False,
        padding: int = 0,
        cells_across: int = 8,
        levels: int = 1,
    ) -> None:
        self.orientations = orientations
        self.pixels_per_cell = pixels_per_cell
        self.cells_per_block = cells_per_block
        self.block_norm = block_norm
        self.transform_sqrt = transform_sqrt
        self.padding = padding
        self.cells_across = cells_across
        self.levels = levels

    def fit(self, images: NDArray[np.uint8], labels: Any = None) -> Self:
        """Remember the shape (H, W, C) and choose the cell; a ValueError when not one block fits."""
        height, width, _ = shape = checked_images(images).shape[1:]
        if self.pixels_per_cell is None:
            side = max(4, round((min(height, width) + 2 * self.padding) / self.cells_across))
            cell = (side, side)
        else:
            cell = pair("pixels_per_cell", self.pixels_per_cell)
        hog_grid(height, width, cell, pair("cells_per_block", self.cells_per_block), self.padding)
        self.pixels_per_cell_, self.image_shape_ = cell, shape
        return self

    def transform(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the shape seen in `fit` -> float32 (N, D)."""
        check_is_fitted(self)
        from baselines.hog import hog_features  # here, because Keras takes seconds to import

        return hog_features(
            checked_images(images, self.image_shape_),
            self.orientations,
            self.pixels_per_cell_,
            self.cells_per_block,
            self.block_norm,
            self.transform_sqrt,
            self.padding,
            self.levels,
        )


class LBPFeatures(TransformerMixin, BaseEstimator):
    """uint8 (N, H, W, C) -> float32 (N, D) by `baselines.lbp.lbp_features`, whose parameters these are."""

    def __init__(self, P: int = 8, R: float = 1.0, method: str = "uniform", grid: tuple[int, int] = (1, 1)) -> None:
        self.P = P
        self.R = R
        self.method = method
        self.grid = grid

    def fit(self, images: NDArray[np.uint8], labels: Any = None) -> Self:
        """Remember the shape (H, W, C); a ValueError when the grid is finer than the image."""
        shape = checked_images(images).shape[1:]
        grid_cell(shape[0], shape[1], pair("grid", self.grid))
        self.image_shape_ = shape
        return self

    def transform(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the shape seen in `fit` -> float32 (N, D)."""
        check_is_fitted(self)
        from baselines.lbp import lbp_features  # here, because Keras takes seconds to import

        return lbp_features(checked_images(images, self.image_shape_), self.P, self.R, self.method, self.grid)


class PixelFeatures(TransformerMixin, BaseEstimator):
    """uint8 (N, H, W, C) -> float32 (N, h * w * C), 0..`scale`: the picture itself, or the roots of its levels.

    Where a side is longer than `longest` pixels, both shrink by the same whole factor, each pixel the mean of a square
    (what is left over at the bottom and the right is left out). The factor stands in `factor_` after `fit`.
    """

    def __init__(self, scale: float = 1.0, longest: int | None = None, transform_sqrt: bool = False) -> None:
        self.scale = scale
        self.longest = longest
        self.transform_sqrt = transform_sqrt

    def fit(self, images: NDArray[np.uint8], labels: Any = None) -> Self:
        """Remember the shape (H, W, C) and choose the factor."""
        shape = checked_images(images).shape[1:]
        factor = 1 if self.longest is None else math.ceil(max(shape[:2]) / self.longest)
        self.factor_, self.image_shape_ = min(factor, *shape[:2]), shape
        return self

    def transform(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the shape seen in `fit` -> float32 (N, h * w * C)."""
        check_is_fitted(self)
        images = checked_images(images, self.image_shape_)
        rows, columns = (side // self.factor_ for side in self.image_shape_[:2])
        pictures = np.empty((len(images), rows * columns * self.image_shape_[2]), np.float32)
        for start in range(0, len(images), IMAGES_AT_ONCE):
            block = images[start : start + IMAGES_AT_ONCE, : rows * self.factor_, : columns * self.factor_]
            strips = block.reshape(len(block), rows, self.factor_, -1)
            squares = _summed(_summed(strips).reshape(len(block), rows, columns, self.factor_, -1))
            pictures[start : start + IMAGES_AT_ONCE] = squares.reshape(len(block), -1)
        pictures /= 255 * self.factor_**2
        if self.transform_sqrt:
            np.sqrt(pictures, out=pictures)
        pictures *= self.scale
        return pictures


def _summed(values: NDArray[Any]) -> NDArray[np.int32]:
    """(..., F, n) -> sums over F, (..., n): a slice at a time vectorises, which took a quarter of `sum`'s time."""
    total = values[..., 0, :].astype(np.int32)
    for place in range(1, values.shape[-2]):
        total += values[..., place, :]
    return total


def checked_images(images: Any, expected_shape: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
    """Return images if they are uint8 (N, H, W, C), C 1 or 3, and of the shape seen in fit; else say what came."""
    dtype, shape = getattr(images, "dtype", type(images).__name__), tuple(getattr(images, "shape", ()))
    if dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3):
        raise ValueError(f"Expected images as uint8 (N, H, W, C) with 1 or 3 channels. Received: {dtype} {shape}.")
    if expected_shape is not None and shape[1:] != tuple(expected_shape):
        raise ValueError(f"Expected images of shape {tuple(expected_shape)} as in fit. Received: {shape[1:]}.")
    return images
