"""A small convolutional network, the plain one to beat. It knows no data."""

from typing import Any

from toolkit.models.attention import ATTENTION
from toolkit.models.blocks import Style, normalise
from toolkit.models.options import checked
from toolkit.models.parts import halvings, pixels


@checked()
def cnn(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    width: int = 32,
    widest: int = 256,
    convolutions: int = 2,
    dropout: float = 0.2,
    attention: str = "",
    **style: str,
) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): 0.28 M parameters at 28 pixels, 1.2 M at 96.

    One 3 x 3 convolution at full size (with stride 2 from 64 pixels on, where it would cost the most), then stages of
    `convolutions`, each on half the side and twice the channels of the one before, until the side is 8 or less:
    VGG's pattern (Simonyan & Zisserman, ICLR 2015) with BatchNorm, and a global average in place of the dense layers.
    `attention` ("se" or "cbam") ends each stage; `style` is activation, normalisation, initialiser.
    """
    import keras
    from keras import layers

    parts = Style(**style)
    bias = parts.normalisation == "none"

    def convolution(tensor: Any, filters: int, stride: int = 1) -> Any:
        tensor = layers.Conv2D(filters, 3, stride, padding="same", use_bias=bias, kernel_initializer=parts.kernel)(
            tensor
        )
        return layers.Activation(parts.activation)(normalise(tensor, parts, epsilon=1e-3))

    inputs, tensor = pixels(image_shape)
    large = min(image_shape[:2]) >= 64
    tensor = convolution(tensor, width, stride=2 if large else 1)
    for stage in range(1, max(1, halvings(image_shape, at_most=8) - large) + 1):
        tensor = layers.MaxPooling2D()(tensor)
        for _ in range(convolutions):
            tensor = convolution(tensor, min(widest, width * 2**stage))
        if attention:
            tensor = ATTENTION[attention](tensor, style=parts, name=f"stage{stage}_attention")
    tensor = layers.Dropout(dropout)(layers.GlobalAveragePooling2D(name="features")(tensor))
    return keras.Model(inputs, layers.Dense(classes, dtype="float32", name="logits")(tensor), name="cnn")
