"""Vision transformers whose patches fit the image (Dosovitskiy et al., ICLR 2021). It knows no data."""

from typing import Any

from toolkit.errors import InputError
from toolkit.models.blocks import INITIALISERS, depth_rates, logits, stochastic_depth
from toolkit.models.options import checked
from toolkit.models.parts import pixels

PATCHES = (16, 8, 4, 2)  # pixels a side; the largest that leaves seven or more patches on the shorter side


def patch_size(image_shape: tuple[int, int, int]) -> int:
    """Pixels of a patch's side: 16 from 112 pixels on, 8 from 56, 4 from 28, 2 below."""
    return next((size for size in PATCHES if min(image_shape[:2]) >= 7 * size), PATCHES[-1])


def transformer(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    heads: int,
    name: str,
    blocks: int = 12,
    patch: int = 0,
    dropout: float = 0.0,
    depth: float = 0.0,
    activation: str = "gelu",
) -> Any:
    """A class token among the patches, `blocks` times attention and a dense layer, arXiv:2010.11929; 64 numbers a head.

    Norms come first, weights are Glorot's, as in the paper's code. `patch` 0 chooses by the image;
    a side that is no multiple of it is padded with mid-grey. `dropout` falls behind each dense layer, `depth` is
    stochastic depth at the last block. "features" is the class token after the last norm.
    """
    import keras
    from keras import layers

    patch = patch or patch_size(image_shape)
    if patch > min(image_shape[:2]):
        raise InputError(
            f"Expected a patch of at most {min(image_shape[:2])} pixels, the image's side. Received: {patch}."
        )
    inputs, tensor = pixels(image_shape)
    missing = [-side % patch for side in image_shape[:2]]
    if any(missing):
        tensor = layers.ZeroPadding2D(tuple((gap // 2, gap - gap // 2) for gap in missing), name="pad")(tensor)
    chances: dict[str, Any] = {"dropout": dropout, "depth": depth}
    tensor = encoder(tensor, heads=heads, blocks=blocks, patch=patch, **chances, activation=activation)
    token = layers.Cropping1D((0, tensor.shape[1] - 1), name="class_token")(tensor)
    features = layers.Flatten(name="features")(token)
    return keras.Model(inputs, logits(features, classes, dropout), name=name)


def encoder(
    tensor: Any,
    *,
    heads: int,
    blocks: int,
    patch: int,
    dropout: float = 0.0,
    depth: float = 0.0,
    tokens: int = 1,
    activation: str = "gelu",
) -> Any:
    """Normalised pixels (B, H, W, C), H and W multiples of `patch` -> (B, tokens + H * W / patch**2, 64 * heads)."""
    from keras import layers

    from toolkit.models.layers import Tokens

    tensor = layers.Conv2D(64 * heads, patch, patch, kernel_initializer=INITIALISERS["glorot"], name="patches")(tensor)
    tensor = Tokens(tokens, name="tokens")(layers.Reshape((-1, 64 * heads), name="sequence")(tensor))
    for number, rate in enumerate(depth_rates(depth, blocks), 1):
        tensor = _block(tensor, heads, dropout, rate, activation, f"block{number}")
    return layers.LayerNormalization(epsilon=1e-6, name="norm")(tensor)


def _block(tensor: Any, heads: int, dropout: float, depth: float, activation: str, name: str) -> Any:
    """(x + attention(norm(x))), then (x + dense(activation(dense(norm(x))))): (B, N, D) -> (B, N, D)."""
    from keras import layers

    width = tensor.shape[-1]
    normed = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(tensor)
    attention = layers.MultiHeadAttention(heads, width // heads, dropout=dropout, name=f"{name}_attention")
    tensor = layers.Add()([tensor, stochastic_depth(attention(normed, normed), depth)])
    hidden = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(tensor)
    for number, units in enumerate((4 * width, width), 1):
        hidden = layers.Dense(units, activation if number == 1 else None, name=f"{name}_dense{number}")(hidden)
        hidden = layers.Dropout(dropout)(hidden) if dropout else hidden
    return layers.Add(name=f"{name}_out")([tensor, stochastic_depth(hidden, depth)])


@checked(transformer)
def vit_tiny(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): 3 heads, 192 wide; options as `transformer`.

    The size of DeiT-Ti (Touvron et al., ICML 2021, arXiv:2012.12877, table 1), 5.7 million parameters at 224 pixels.
    """
    return transformer(image_shape, classes, heads=3, name="vit_tiny", **options)


@checked(transformer)
def vit_small(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): 6 heads, 384 wide; options as `transformer`.

    The size of DeiT-S, 22 million parameters at 224 pixels.
    """
    return transformer(image_shape, classes, heads=6, name="vit_small", **options)
