"""Every network by name: pure functions of (image_shape, classes, **options). It knows neither data nor training.

Keras is imported when a network is built, not here: reading the names, or refusing an image, costs no TensorFlow.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from toolkit.errors import InputError, unknown
from toolkit.models.backbones import BACKBONES
from toolkit.models.capsule import capsnet
from toolkit.models.cnn import cnn
from toolkit.models.convnext import convnext_atto
from toolkit.models.inception import googlenet, inception
from toolkit.models.resnet import (
    resnet18,
    resnet20,
    resnet20_cbam,
    resnet20_se,
    resnet32,
    resnet34,
    resnet56,
    wide_resnet_16_4,
    wide_resnet_28_10,
)
from toolkit.models.transfer import check_backbone, feature_extractor, transfer, without_weights
from toolkit.models.vgg import vgg11, vgg16
from toolkit.models.vit import vit_small, vit_tiny

__all__ = ["MODELS", "check_image_shape", "feature_extractor", "transfer", "without_weights"]

MODELS: dict[str, Callable[..., Any]] = {
    **{name: partial(transfer, name) for name in BACKBONES},  # resnet50, mobilenet_v2, deit_tiny: see backbones.py
    "cnn": cnn,
    "vgg11": vgg11,
    "vgg16": vgg16,  # with weights=... the backbone
    "resnet20": resnet20,
    "resnet32": resnet32,
    "resnet56": resnet56,
    "resnet20_se": resnet20_se,
    "resnet20_cbam": resnet20_cbam,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "wide_resnet_16_4": wide_resnet_16_4,
    "wide_resnet_28_10": wide_resnet_28_10,
    "googlenet": googlenet,
    "inception": inception,
    "convnext_atto": convnext_atto,
    "vit_tiny": vit_tiny,
    "vit_small": vit_small,
    "capsnet": capsnet,
}

SMALLEST: dict[str, int] = {  # pixels on the shorter side: what the network can still halve as often as it must
    "cnn": 8,
    "vgg11": 16,
    "vgg16": 16,
    "resnet20": 8,
    "resnet32": 8,
    "resnet56": 8,
    "resnet20_se": 8,
    "resnet20_cbam": 8,
    "resnet18": 16,
    "resnet34": 16,
    "wide_resnet_16_4": 8,
    "wide_resnet_28_10": 8,
    "googlenet": 16,
    "inception": 16,
    "convnext_atto": 16,
    "vit_tiny": 8,
    "vit_small": 8,
    "capsnet": 17,  # two convolutions of 9 x 9 without padding
}


def check_image_shape(name: str, image_shape: tuple[int, ...], options: Mapping[str, Any] | None = None) -> None:
    """Refuse an unknown network, or images (H, W, C) that are smaller than it can take; builds nothing.

    `options` are the network's own: a backbone with weights, or with a size, enlarges the images.

    Raises:
        InputError: with the nearest known name, or with the size that came and the size it takes.
    """
    if name not in MODELS:
        raise unknown("network", name, MODELS)
    if len(image_shape) != 3 or image_shape[2] not in (1, 3):
        raise InputError(f"Expected an image shape (H, W, C) with 1 or 3 channels. Received: {tuple(image_shape)}.")
    options = options or {}
    if name not in SMALLEST or options.get("weights") is not None:
        check_backbone(name, image_shape, options.get("weights"), options.get("size"))
        return
    height, width, _ = image_shape
    if min(height, width) < SMALLEST[name]:
        smallest = SMALLEST[name]
        raise InputError(
            f"Expected images of {smallest} x {smallest} pixels or more for '{name}'. Received: {height} x {width}. "
            f"Load them with image_size={smallest} or more (--image-size {smallest})."
        )
