"""Every network by name: pure functions of (image_shape, classes, **options). It knows neither data nor training.

Keras is imported when a network is built, not here: reading the names, or refusing an image, costs no TensorFlow.
"""

from collections.abc import Callable
from typing import Any

from toolkit.errors import InputError, unknown
from toolkit.models.cnn import cnn
from toolkit.models.resnet import resnet20

MODELS: dict[str, Callable[..., Any]] = {
    "cnn": cnn,
    "resnet20": resnet20,
}

SMALLEST: dict[str, int] = {  # pixels on the shorter side: what the network can still halve as often as it must
    "cnn": 8,
    "resnet20": 8,
}


def check_image_shape(name: str, image_shape: tuple[int, ...]) -> None:
    """Refuse an unknown network, or images (H, W, C) that are smaller than it can take; builds nothing.

    Raises:
        InputError: with the nearest known name, or with the size that came and the size it takes.
    """
    if name not in MODELS:
        raise unknown("network", name, MODELS)
    if len(image_shape) != 3 or image_shape[2] not in (1, 3):
        raise InputError(f"Expected an image shape (H, W, C) with 1 or 3 channels. Received: {tuple(image_shape)}.")
    height, width, _ = image_shape
    if min(height, width) < SMALLEST[name]:
        smallest = SMALLEST[name]
        raise InputError(
            f"Expected images of {smallest} x {smallest} pixels or more for '{name}'. Received: {height} x {width}. "
            f"Load them with image_size={smallest} or more."
        )
