"""A small ConvNeXt: the convolutional network drawn like a transformer (Liu et al., CVPR 2022). It knows no data."""

from typing import Any

from toolkit.models.blocks import depth_rates, logits, stochastic_depth
from toolkit.models.options import checked
from toolkit.models.parts import pixels

ATTO = ((2, 40), (2, 80), (6, 160), (2, 320))  # blocks and channels of each stage


@checked()
def convnext_atto(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    stages: tuple[tuple[int, int], ...] = ATTO,
    dropout: float = 0.0,
    depth: float = 0.0,
) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): 3.4 million parameters and 321 a class.

    ConvNeXt (arXiv:2201.03545) in the size named atto by Woo et al. (CVPR 2023, arXiv:2301.00808). Patches of 4
    pixels from 128 pixels on, of 2 from 64 on, of 1 below; `depth` is stochastic depth at the last block.
    """
    import keras
    from keras import layers

    side = min(image_shape[:2])
    patch = 4 if side >= 128 else 2 if side >= 64 else 1
    rates = iter(depth_rates(depth, sum(blocks for blocks, _ in stages)))
    inputs, tensor = pixels(image_shape)
    for stage, (blocks, channels) in enumerate(stages, 1):
        step = patch if stage == 1 else min(2, *tensor.shape[1:3])
        if stage > 1:
            tensor = layers.LayerNormalization(epsilon=1e-6, name=f"stage{stage}_norm")(tensor)
        tensor = layers.Conv2D(channels, step, step, kernel_initializer=_normal(), name=f"stage{stage}_down")(tensor)
        if stage == 1:
            tensor = layers.LayerNormalization(epsilon=1e-6, name="stage1_norm")(tensor)
        for number in range(1, blocks + 1):
            tensor = _block(tensor, next(rates), f"stage{stage}_{number}")
    features = layers.GlobalAveragePooling2D(name="average")(tensor)
    features = layers.LayerNormalization(epsilon=1e-6, name="features")(features)
    return keras.Model(inputs, logits(features, classes, dropout), name="convnext_atto")


def _block(tensor: Any, depth: float, name: str) -> Any:
    """(x + scale * dense(gelu(dense(norm(7 x 7 depthwise(x)))))), four times as wide in the middle; shape kept."""
    from keras import initializers, layers

    channels = tensor.shape[-1]
    inner = layers.DepthwiseConv2D(7, padding="same", depthwise_initializer=_normal(), name=f"{name}_conv")(tensor)
    inner = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm")(inner)
    inner = layers.Dense(4 * channels, "gelu", kernel_initializer=_normal(), name=f"{name}_dense1")(inner)
    inner = layers.Dense(channels, kernel_initializer=_normal(), name=f"{name}_dense2")(inner)
    small = initializers.Constant(1e-6)  # the paper's layer scale: every block starts as almost nothing
    scale = layers.EinsumDense("bhwc,c->bhwc", tensor.shape[1:], kernel_initializer=small, name=f"{name}_scale")
    return layers.Add(name=f"{name}_out")([tensor, stochastic_depth(scale(inner), depth)])


def _normal() -> Any:
    """The paper's initialisation."""
    from keras import initializers

    return initializers.TruncatedNormal(stddev=0.02)
