"""A picture of what a policy does to images. It draws with NumPy alone, so that no plotting library is needed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.pipeline.augment import augment
from toolkit.pipeline.batches import Images
from toolkit.pipeline.plan import draw
from toolkit.pipeline.policy import Policy, policy_of

GAP = 2  # white pixels between images


def show_augmented(
    images: Images,
    policy: str | Policy | Mapping[str, Any] = "standard",
    *,
    rows: int = 4,
    columns: int = 8,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """One uint8 picture (H', W', C): each of the first `rows` images, then `columns` - 1 ways it may look in training.

    Show it with `PIL.Image.fromarray(grid)` or `matplotlib.pyplot.imshow(grid)`; a grey one needs `grid[..., 0]`.
    """
    if rows < 1 or columns < 2:
        raise InputError(f"Expected 1 row or more and 2 columns or more. Received: {rows} and {columns}.")
    chosen, image_shape = (
        images[np.arange(min(rows, images.shape[0]))],
        (images.shape[1], images.shape[2], images.shape[3]),
    )
    generator = np.random.default_rng(seed)
    drawn = [draw(policy_of(policy), len(chosen), image_shape, generator) for _ in range(columns - 1)]
    cells = np.stack([np.asarray(chosen), *(augment(chosen, plan) for plan in drawn)], axis=1)  # rows, columns, H, W, C
    padded = np.pad(cells, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    height, width = padded.shape[0] * padded.shape[2], padded.shape[1] * padded.shape[3]
    return padded.swapaxes(1, 2).reshape(height, width, image_shape[2])[:-GAP, :-GAP]
