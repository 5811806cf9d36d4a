"""Plain stacks of 3 x 3 convolutions with 11 or 16 layers (Simonyan & Zisserman, ICLR 2015). It knows no data."""

from pathlib import Path
from typing import Any

from toolkit.models.attention import ATTENTION
from toolkit.models.blocks import Style, convolution, head, logits
from toolkit.models.options import checked
from toolkit.models.parts import pixels
from toolkit.models.transfer import transfer

Stages = tuple[tuple[int, int], ...]  # (convolutions, filters) of each stage; a 2 x 2 maximum ends it
VGG11: Stages = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))
VGG16: Stages = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def plain_network(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    stages: Stages,
    activation: str = "relu",
    normalisation: str = "batch",
    initialiser: str = "he",
    attention: str = "",
    dropout: float = 0.5,
) -> Any:
    """Stages of 3 x 3 convolutions, arXiv:1409.1556; a stage whose map is one pixel wide is not halved again.

    From 224 pixels on the head is the paper's: two dense layers of 4,096. Below, where they would hold nine tenths of
    the weights, it is the global average. With `normalisation="none"` this is the paper's network; the default adds
    BatchNorm, without which 16 layers hardly train from scratch. `attention` ("se" or "cbam") ends each stage.
    """
    import keras
    from keras import layers

    style = Style(activation, normalisation, initialiser)
    inputs, tensor = pixels(image_shape)
    for stage, (convolutions, filters) in enumerate(stages, 1):
        for number in range(1, convolutions + 1):
            tensor = convolution(tensor, filters, style=style, name=f"stage{stage}_{number}")
        if attention:
            tensor = ATTENTION[attention](tensor, style=style, name=f"stage{stage}_attention")
        if min(tensor.shape[1:3]) > 1:
            tensor = layers.MaxPooling2D(name=f"stage{stage}_pool")(tensor)
    if min(tensor.shape[1:3]) < 7:
        outputs = head(tensor, classes, dropout)
    else:
        tensor = layers.Flatten()(tensor)
        for number, name in enumerate(("dense1", "features")):
            tensor = layers.Dropout(dropout)(tensor) if number else tensor
            tensor = layers.Dense(4096, activation, kernel_initializer=style.kernel, name=name)(tensor)
        outputs = logits(tensor, classes, dropout)
    return keras.Model(inputs, outputs, name=f"vgg{sum(count for count, _ in stages) + 3}")


@checked(plain_network)
def vgg11(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): column A of the paper; options as `plain_network`."""
    return plain_network(image_shape, classes, stages=VGG11, **options)


@checked(plain_network)
def vgg16(image_shape: tuple[int, int, int], classes: int, *, weights: str | Path | None = None, **options: Any) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): column D of the paper; options as `plain_network`.

    With `weights` it is the backbone of that name, which they are of, and the options are those of `transfer`.
    """
    if weights is not None:
        return transfer("vgg16", image_shape, classes, weights=weights, **options)
    return plain_network(image_shape, classes, stages=VGG16, **options)
