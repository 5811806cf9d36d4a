"""What all explanations share: which class is explained, and the form of a map. It explains nothing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError

Images = NDArray[np.uint8]  # (N, H, W, C)
Maps = NDArray[np.float32]  # (N, H, W) in 0..1


def columns_of(columns: Sequence[int] | None, answers: NDArray[Any]) -> NDArray[np.int64]:
    """The explained class of each image, (N,): as given, checked, or the one with the largest answer."""
    if columns is None:
        return answers.argmax(axis=1)
    wanted = np.asarray(columns)
    rows, classes = answers.shape
    if (
        wanted.shape != (rows,)
        or wanted.dtype.kind not in "iu"
        or (rows and not 0 <= wanted.min() <= wanted.max() < classes)
    ):
        raise InputError(f"Expected {rows} columns from 0 to {classes - 1}, one an image. Received: {columns}.")
    return wanted.astype(np.int64)


def enlarged(maps: NDArray[Any], images: Images) -> NDArray[np.float32]:
    """(N, h, w) -> (N, H, W), linearly."""
    import cv2

    height, width = images.shape[1:3]
    return np.stack([cv2.resize(np.float32(one), (width, height), interpolation=cv2.INTER_LINEAR) for one in maps])


def scaled(maps: NDArray[Any]) -> Maps:
    """Each map divided by its largest value; a map of zeros stays."""
    largest = maps.max(axis=(1, 2), keepdims=True)
    return (maps / np.where(largest > 0, largest, 1)).astype(np.float32)
