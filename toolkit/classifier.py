"""What every contestant is: scikit-learn's fit and predict_proba over uint8 images. It knows no contestant."""

from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError


@runtime_checkable
class Classifier(Protocol):
    """Anything with these two methods may join the duel; a scikit-learn Pipeline does as it is."""

    def fit(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Self:
        """Learn from uint8 (N, H, W, C) and int64 (N,), forgetting what was before. Sets `classes_`, int64 (K,).

        A `fit` with a parameter `groups` (N,) is given the data's, so that what it holds back has no siblings.
        """
        ...

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """uint8 (N, H, W, C) -> probabilities (N, K), rows sum to 1 and keep their order, columns as `classes_`."""
        ...


def check_images(images: Any, expected_shape: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
    """Return images if they are uint8 (N, H, W, C), C 1 or 3, of `expected_shape` if given; else say what came."""
    dtype, shape = getattr(images, "dtype", type(images).__name__), tuple(getattr(images, "shape", ()))
    if dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3):
        raise InputError(f"Expected images as uint8 (N, H, W, C) with 1 or 3 channels. Received: {dtype} {shape}.")
    if expected_shape is not None and shape[1:] != tuple(expected_shape):
        raise InputError(f"Expected images of shape {tuple(expected_shape)} as in fit. Received: {shape[1:]}.")
    return images


def check_labels(labels: Any, rows: int) -> NDArray[np.int64]:
    """Return labels as int64 (N,) if they are `rows` integers from 0 on, of two classes or more; else say what came."""
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu" or len(array) != rows:
        raise InputError(f"Expected labels as {rows} integers, one an image. Received: {array.dtype} {array.shape}.")
    if rows and array.min() < 0:
        raise InputError(f"Expected labels from 0 to K-1. Received: {array.min()}.")
    if len(np.unique(array)) < 2:
        raise InputError(f"Expected at least two classes among the labels. Received: {len(np.unique(array))}.")
    return array.astype(np.int64)
