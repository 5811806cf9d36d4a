"""Histograms of oriented gradients as a batched Keras layer, equal to scikit-image's. It knows no classifier.

Dalal & Triggs, "Histograms of Oriented Gradients for Human Detection" (CVPR 2005), in scikit-image's form: blocks of
`cells_per_block` that move by one cell, no Gaussian window inside a block, each pixel votes for one cell and one bin.
"""

import math
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from baselines.blocks import Program, planes
from baselines.grid import HOGGrid, hog_grids, pair

BLOCK_NORMS = ("L1", "L1-sqrt", "L2", "L2-Hys")
EPSILON = 1e-5  # scikit-image's, added to a block's norm


@keras.saving.register_keras_serializable(package="baselines")
class HOG(keras.layers.Layer):
    """uint8 or float (B, H, W, C), 0..255 -> float32 (B, D).

    D = block rows * block columns * cells in a block * orientations, summed over the levels. Parameters and answer are
    those of `skimage.feature.hog`: of several channels each pixel takes the one of the greatest gradient, and pixels
    beyond the last whole cell are left out. On uint8 images without `transform_sqrt` every gradient falls into the same
    bin as in scikit-image; otherwise one that lies on a bin's edge may fall to either side, for float32 rounds where
    float64 does not.

    Ours are `padding`, which first mirrors so many pixels at each side, and `levels`: the blocks again on cells of
    twice the side, as far as one fits, next to no work for they are sums of the cells before. A pyramid doubles so in
    Bosch, Zisserman & Munoz, "Representing shape with a spatial pyramid kernel" (CIVR 2007), without blocks.
    """

    def __init__(
        self,
        orientations: int = 9,
        pixels_per_cell: tuple[int, int] = (8, 8),
        cells_per_block: tuple[int, int] = (3, 3),
        block_norm: str = "L2-Hys",
        transform_sqrt: bool = False,
        padding: int = 0,
        levels: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if block_norm not in BLOCK_NORMS:
            raise ValueError(f"Expected block_norm as one of {', '.join(BLOCK_NORMS)}. Received: {block_norm!r}.")
        if orientations < 1 or padding < 0 or levels < 1:
            raise ValueError(
                "Expected orientations >= 1, padding >= 0 and levels >= 1. "
                f"Received: {orientations}, {padding}, {levels}."
            )
        self.orientations = orientations
        self.pixels_per_cell = pair("pixels_per_cell", pixels_per_cell)
        self.cells_per_block = pair("cells_per_block", cells_per_block)
        self.block_norm = block_norm
        self.transform_sqrt = transform_sqrt
        self.padding = padding
        self.levels = levels

    def call(self, images: Any) -> Any:
        """Compute the features; the shape of an image must be known when the graph is built."""
        return self.blocks(self.gradients(ops.transpose(images, (3, 0, 1, 2))))

    def gradients(self, channels: Any) -> Any:
        """(C, B, H, W) -> (3, B, H, W), padding included: a gradient's rows and columns, in the upper half plane, and
        its length.
        """
        self.grids(*channels.shape[2:])  # refuses small images by the size that their owner knows
        pixels = ops.cast(channels, "float32")
        if self.padding:
            sides = [self.padding, self.padding]
            pixels = ops.pad(pixels, [[0, 0], [0, 0], sides, sides], mode="symmetric")
        if self.transform_sqrt:
            pixels = ops.sqrt(pixels)
        rows, columns, squares = _dominant(pixels)
        lower = ops.logical_or(rows < 0, ops.logical_and(rows == 0, columns < 0))
        return ops.stack([ops.abs(rows), ops.where(lower, -columns, columns), ops.sqrt(squares)])

    def blocks(self, gradients: Any) -> Any:
        """(3, B, H, W) of `gradients` -> (B, D)."""
        sides = (side - 2 * self.padding for side in gradients.shape[2:])
        grids, parts = self.grids(*sides), []
        votes = _votes(gradients[0], gradients[1], gradients[2], self.orientations)
        cells = ops.stack([_cell_means(vote, grids[0].cells, self.pixels_per_cell) for vote in votes], axis=-1)
        for level, grid in enumerate(grids):
            cells = _doubled(cells, grid.cells) if level else cells
            parts.append(_normalised_blocks(cells, grid.blocks, self.cells_per_block, self.block_norm))
        return ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]

    def grids(self, height: int, width: int) -> list[HOGGrid]:
        """Cells and blocks of each level that has a block."""
        return hog_grids(height, width, self.pixels_per_cell, self.cells_per_block, self.padding, self.levels)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, int]:
        """(B, H, W, C) -> (B, D)."""
        blocks = sum(math.prod(grid.blocks) for grid in self.grids(input_shape[1], input_shape[2]))
        return input_shape[0], blocks * math.prod(self.cells_per_block) * self.orientations

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same layer again."""
        return {
            **super().get_config(),
            "orientations": self.orientations,
            "pixels_per_cell": self.pixels_per_cell,
            "cells_per_block": self.cells_per_block,
            "block_norm": self.block_norm,
            "transform_sqrt": self.transform_sqrt,
            "padding": self.padding,
            "levels": self.levels,
        }


def hog_features(
    images: NDArray[Any],
    orientations: int = 9,
    pixels_per_cell: tuple[int, int] = (8, 8),
    cells_per_block: tuple[int, int] = (3, 3),
    block_norm: str = "L2-Hys",
    transform_sqrt: bool = False,
    padding: int = 0,
    levels: int = 1,
) -> NDArray[np.float32]:
    """uint8 or float (N, H, W, C), 0..255 -> float32 (N, D) as `HOG` gives it, in blocks of bounded memory."""
    cell, block = pair("pixels_per_cell", pixels_per_cell), pair("cells_per_block", cells_per_block)
    return _program(orientations, cell, block, block_norm, transform_sqrt, padding, levels)(images)


@lru_cache(maxsize=32)
def _program(*settings: Any) -> Program:
    layer = HOG(*settings)
    # Every bin reads the gradients: 2.7 times as fast as one program. And every gradient four pixels of each channel,
    # which lie apart in memory unless the channels are parted first: 1.6 times.
    return Program(layer.gradients, layer.blocks, prepare=planes)


def _dominant(pixels: Any) -> tuple[Any, Any, Any]:
    """(C, B, H, W) -> central differences down and across, each (B, H, W), of the channel where they are longest, and
    their squared length.
    """
    rows, columns = None, None
    for channel in range(pixels.shape[0]):
        down, across = _gradients(pixels[channel])
        length = down * down + across * across  # integers below 2**24 for uint8, so ties are ties
        if rows is None:
            rows, columns, longest = down, across, length
        else:
            longer = length > longest
            rows, columns = ops.where(longer, down, rows), ops.where(longer, across, columns)
            longest = ops.maximum(length, longest)
    return rows, columns, longest


def _gradients(channel: Any) -> tuple[Any, Any]:
    """(B, H, W) -> central differences, not halved, zero at the border as in scikit-image."""
    down = ops.pad(channel[:, 2:] - channel[:, :-2], [[0, 0], [1, 1], [0, 0]])
    across = ops.pad(channel[:, :, 2:] - channel[:, :, :-2], [[0, 0], [0, 0], [1, 1]])
    return down, across


def _votes(rows: Any, columns: Any, length: Any, orientations: int) -> list[Any]:
    """One image (B, H, W) a bin: the gradient's length where its angle modulo 180 degrees lies in the bin, else 0.

    No arctangent: in the upper half plane a gradient lies beyond the edge at t degrees where rows >= columns * tan(t).
    One product and one comparison an edge leave no rounding that could blur 0, 45, 90 or 135 degrees, the only edges
    that whole-numbered gradients can lie on.
    """
    beyond = [_beyond(rows, columns, 180.0 / orientations * edge) for edge in range(1, orientations)]
    nothing = ops.zeros_like(length)
    votes = []
    for bin_ in range(orientations):
        inside = ops.ones_like(length, dtype="bool") if bin_ == 0 else beyond[bin_ - 1]
        if bin_ < orientations - 1:
            inside = ops.logical_and(inside, ops.logical_not(beyond[bin_]))
        votes.append(ops.where(inside, length, nothing))
    return votes


def _beyond(rows: Any, columns: Any, degrees: float) -> Any:
    """Whether gradients of the upper half plane point to `degrees` or beyond."""
    edge = float(np.float32(degrees))  # scikit-image holds its edges in float32
    if math.isclose(edge, 90):
        return columns <= 0
    slope = math.tan(math.radians(edge))
    return rows >= columns * slope if edge < 90 else rows <= columns * slope


def _cell_means(vote: Any, cells: tuple[int, int], pixels_per_cell: tuple[int, int]) -> Any:
    """(B, H, W) -> mean over each cell, (B, cell rows, cell columns); down first, which is what vectorises."""
    height, width = pixels_per_cell
    vote = vote[:, : cells[0] * height, : cells[1] * width]
    strips = ops.sum(ops.reshape(vote, (-1, cells[0], height, cells[1] * width)), axis=2)
    return ops.sum(ops.reshape(strips, (-1, *cells, width)), axis=3) / (height * width)


def _doubled(cells: Any, grid: tuple[int, int]) -> Any:
    """(B, cell rows, cell columns, orientations) -> means of 2 x 2 cells, (B, *grid, orientations)."""
    rows, columns = grid
    strips = ops.sum(ops.reshape(cells[:, : 2 * rows], (-1, rows, 2, cells.shape[2], cells.shape[3])), axis=2)
    strips = ops.reshape(strips[:, :, : 2 * columns], (-1, rows, columns, 2, cells.shape[3]))
    return ops.sum(strips, axis=3) / 4


def _normalised_blocks(cells: Any, blocks: tuple[int, int], cells_per_block: tuple[int, int], norm: str) -> Any:
    """(B, cell rows, cell columns, orientations) -> (B, D): blocks in reading order, each divided by its norm."""
    rows, columns = blocks
    shifted = [
        cells[:, row : row + rows, column : column + columns]
        for row in range(cells_per_block[0])
        for column in range(cells_per_block[1])
    ]
    size = len(shifted) * cells.shape[3]
    values = ops.reshape(ops.stack(shifted, axis=3), (-1, rows * columns, size))
    if norm in ("L1", "L1-sqrt"):
        values = values / (ops.sum(values, axis=-1, keepdims=True) + EPSILON)  # cells are never negative
        values = ops.sqrt(values) if norm == "L1-sqrt" else values
    else:
        values = _unit(values)
        values = _unit(ops.minimum(values, 0.2)) if norm == "L2-Hys" else values
    return ops.reshape(values, (-1, rows * columns * size))


def _unit(values: Any) -> Any:
    return values / ops.sqrt(ops.sum(values * values, axis=-1, keepdims=True) + EPSILON**2)
