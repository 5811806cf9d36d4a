"""Colour histograms, co-occurrence, Gabor energies and OpenCV's HOG as scikit-learn transformers of uint8 images.

As in `baselines.features`, `fit` needs no Keras and looks at the shape alone.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from baselines.features import checked_images
from baselines.grid import glcm_cell, grid_cell, opencv_blocks, pair

Pair = tuple[int, int]


class ColourFeatures(TransformerMixin, BaseEstimator):
    """uint8 (N, H, W, C) -> float32 (N, D) by `baselines.colour.colour_histograms`, whose parameters these are."""

    def __init__(self, space: str = "hsv", bins: int = 8, grid: Pair = (1, 1), joint: bool = False) -> None:
        self.space = space
        self.bins = bins
        self.grid = grid
        self.joint = joint

    def fit(self, images: NDArray[np.uint8], labels: Any = None) -> Self:
        """Remember the shape (H, W, C); a ValueError when the grid is finer than the image."""
        height, width, _ = self.image_shape_ = checked_images(images).shape[1:]
        grid_cell(height, width, pair("grid", self.grid), "colour")
        return self

    def transform(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the shape seen in `fit` -> float32 (N, D)."""
        check_is_fitted(self)
        from baselines.colour import colour_histograms  # here, because Keras takes seconds to import

        return colour_histograms(
            checked_images(images, self.image_shape_), self.space, self.bins, self.grid, self.joint
        )


class GLCMFeatures(TransformerMixin, BaseEstimator):
    """uint8 (N, H, W, C) -> float32 (N, D) by `baselines.glcm.glcm_features`, whose parameters these are.

    Angles are those of scikit-image's examples, quarters of half a turn.
    """

    def __init__(
        self,
        distances: tuple[int, ...] = (1, 2),
        levels: int = 16,
        properties: tuple[str, ...] = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation"),
        grid: Pair = (1, 1),
    ) -> None:
        self.distances = distances
        self.levels = levels
        self.properties = properties
        self.grid = grid

    def fit(self, images: NDArray[np.uint8], labels: Any = None) -> Self:
        """Remember the shape (H, W, C); a ValueError when a cell holds no pair of pixels so far apart."""
        height, width, _ = self.image_shape_ = checked_images(images).shape[1:]
        glcm_cell(height, width, pair("grid", self.grid), max(self.distances))
        return self

    def transform(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the shape seen in `fit` -> float32 (N, D)."""
        check_is_fitted(self)
        from baselines.glcm import QUARTERS, glcm_features  # here, because Keras takes seconds to import

        images = checked_images(images, self.image_shape_)
        return glcm_features(images, self.distances, QUARTERS, self.levels, self.properties, self.grid)


class GaborFeatures(TransformerMixin, BaseEstimator):
    """uint8 (N, H, W, C) -> float32 (N, D) by `baselines.gabor.gabor_features`, whose parameters these are."""

    def __init__(
        self,
        frequencies: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4),
        orientations: int = 6,
        bandwidth: float = 1.0,
        grid: Pair = (1, 1),
    ) -> None:
        self.frequencies = frequencies
        self.orientations = orientations
        self.bandwidth = bandwidth
        self.grid = grid

    def fit(self, images: NDArray[np.uint8], labels: Any = None) -> Self:
        """Remember the shape (H, W, C); a ValueError when the grid is finer than the image."""
        height, width, _ = self.image_shape_ = checked_images(images).shape[1:]
        grid_cell(height, width, pair("grid", self.grid), "Gabor")
        return self

    def transform(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the shape seen in `fit` -> float32 (N, D)."""
        check_is_fitted(self)
        from baselines.gabor import gabor_features  # here, because Keras takes seconds to import

        images = checked_images(images, self.image_shape_)
        return gabor_features(images, self.frequencies, self.orientations, self.bandwidth, self.grid)


class OpenCVHOGFeatures(TransformerMixin, BaseEstimator):
    """uint8 (N, H, W, C) -> float32 (N, D) by `baselines.hog_opencv.opencv_hog_features`: these are its parameters."""

    def __init__(
        self,
        pixels_per_cell: Pair = (8, 8),
        pixels_per_block: Pair = (16, 16),
        pixels_per_step: Pair = (8, 8),
        bins: int = 9,
        gamma_correction: bool = True,
    ) -> None:
        self.pixels_per_cell = pixels_per_cell
        self.pixels_per_block = pixels_per_block
        self.pixels_per_step = pixels_per_step
        self.bins = bins
        self.gamma_correction = gamma_correction

    def fit(self, images: NDArray[np.uint8], labels: Any = None) -> Self:
        """Remember the shape (H, W, C); a ValueError when not one block fits."""
        height, width, _ = self.image_shape_ = checked_images(images).shape[1:]
        block, step = pair("pixels_per_block", self.pixels_per_block), pair("pixels_per_step", self.pixels_per_step)
        opencv_blocks(height, width, block, step)
        return self

    def transform(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the shape seen in `fit` -> float32 (N, D)."""
        check_is_fitted(self)
        from baselines.hog_opencv import opencv_hog_features  # here, because Keras takes seconds to import

        images = checked_images(images, self.image_shape_)
        sizes = (self.pixels_per_cell, self.pixels_per_block, self.pixels_per_step)
        return opencv_hog_features(images, *sizes, self.bins, self.gamma_correction)
