"""Attention over channels and places, put behind a convolution (SE and CBAM). It knows no network."""

from typing import Any

from toolkit.models.blocks import Style


def squeeze_excitation(tensor: Any, *, style: Style, ratio: int = 16, name: str) -> Any:
    """Weigh each channel by what all of them hold on average: (B, H, W, C) -> (B, H, W, C).

    Hu, Shen & Sun (CVPR 2018, arXiv:1709.01507). At least four channels in the middle, or 16 channels would pass
    through one.
    """
    from keras import layers

    channels = tensor.shape[-1]
    weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(tensor)
    weights = _middle(channels, ratio, style, name)(weights)
    weights = layers.Dense(channels, "sigmoid", name=f"{name}_excite")(weights)
    return layers.Multiply(name=f"{name}_out")([tensor, weights])


def cbam(tensor: Any, *, style: Style, ratio: int = 16, size: int = 7, name: str) -> Any:
    """Weigh channels, then places: (B, H, W, C) -> (B, H, W, C).

    Woo, Park, Lee & Kweon (ECCV 2018, arXiv:1807.06521): channels by average and maximum through one shared
    bottleneck (four channels or more), places by a size x size convolution over the average and the maximum of all
    channels.
    """
    from keras import layers, ops

    channels = tensor.shape[-1]
    middle, excite = _middle(channels, ratio, style, name), layers.Dense(channels, name=f"{name}_excite")
    pools = (layers.GlobalAveragePooling2D(keepdims=True), layers.GlobalMaxPooling2D(keepdims=True))
    weights = layers.Add()([excite(middle(pool(tensor))) for pool in pools])
    tensor = layers.Multiply(name=f"{name}_channels")([tensor, layers.Activation("sigmoid")(weights)])
    both = [ops.mean(tensor, axis=-1, keepdims=True), ops.max(tensor, axis=-1, keepdims=True)]
    places = layers.Concatenate()(both)
    places = layers.Conv2D(1, size, padding="same", use_bias=False, activation="sigmoid", name=f"{name}_places")(places)
    return layers.Multiply(name=f"{name}_out")([tensor, places])


ATTENTION = {"se": squeeze_excitation, "cbam": cbam}


def _middle(channels: int, ratio: int, style: Style, name: str) -> Any:
    """The narrow dense layer between squeezing and exciting."""
    from keras import layers

    narrow = max(4, channels // ratio)
    return layers.Dense(narrow, style.activation, kernel_initializer=style.kernel, name=f"{name}_middle")
