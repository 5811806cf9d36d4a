"""Networks of inception modules: GoogLeNet, and a small one for small images. It knows no data."""

from typing import Any

from toolkit.models.blocks import Style, convolution, head
from toolkit.models.options import checked
from toolkit.models.parts import pixels

# Filters of each module: 1x1, reduction and 3x3, reduction and 5x5, projection of the pooled; None halves the map.
GOOGLENET: tuple[tuple[int, int, int, int, int, int] | None, ...] = (  # table 1 of the paper
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
# Filters of each module: 1x1 and 3x3; one number alone is the stride-2 convolution of a halving module.
SMALL: tuple[tuple[int, ...], ...] = (
    (32, 32),
    (32, 48),
    (80,),
    (112, 48),
    (96, 64),
    (80, 80),
    (48, 96),
    (96,),
    (176, 160),
    (176, 160),
)


@checked()
def googlenet(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    activation: str = "relu",
    normalisation: str = "batch",
    initialiser: str = "he",
    dropout: float = 0.4,
) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): 22 layers, 6.0 million parameters and 1,025 a class.

    Szegedy et al. (CVPR 2015, arXiv:1409.4842). BatchNorm in place of local response normalisation and of the two
    auxiliary classifiers, which Ioffe & Szegedy (2015) found needless with it; `normalisation="none"` gives the
    paper's weights. The stem halves the image three times from 128 pixels on as in the paper, once from 64 on, and
    never below.
    """
    import keras
    from keras import layers

    style = Style(activation, normalisation, initialiser)
    side = min(image_shape[:2])
    inputs, tensor = pixels(image_shape)
    tensor = convolution(tensor, 64, 7 if side >= 64 else 3, 2 if side >= 64 else 1, style=style, name="stem1")
    tensor = _halve(tensor) if side >= 128 else tensor
    tensor = convolution(tensor, 64, 1, style=style, name="stem2")
    tensor = convolution(tensor, 192, 3, style=style, name="stem3")
    tensor = _halve(tensor) if side >= 128 else tensor
    for number, filters in enumerate(GOOGLENET, 1):
        if filters is None:
            tensor = _halve(tensor)
            continue
        ones, reduce3, threes, reduce5, fives, pooled = filters
        name = f"module{number}"
        three = convolution(tensor, reduce3, 1, style=style, name=f"{name}_3x3_reduce")
        five = convolution(tensor, reduce5, 1, style=style, name=f"{name}_5x5_reduce")
        pool = layers.MaxPooling2D(3, 1, padding="same")(tensor)
        branches = [
            convolution(tensor, ones, 1, style=style, name=f"{name}_1x1"),
            convolution(three, threes, 3, style=style, name=f"{name}_3x3"),
            convolution(five, fives, 5, style=style, name=f"{name}_5x5"),
            convolution(pool, pooled, 1, style=style, name=f"{name}_pool"),
        ]
        tensor = layers.Concatenate(name=name)(branches)
    return keras.Model(inputs, head(tensor, classes, dropout), name="googlenet")


@checked()
def inception(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    activation: str = "relu",
    normalisation: str = "batch",
    initialiser: str = "he",
    dropout: float = 0.0,
) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): 1.65 million parameters, for small images.

    Zhang, Bengio, Hardt, Recht & Vinyals (ICLR 2017, arXiv:1611.03530), figure 3. From 64 pixels on the first
    convolution has stride 2, from 128 on a pooling follows.
    """
    import keras
    from keras import layers

    style = Style(activation, normalisation, initialiser)
    side = min(image_shape[:2])
    inputs, tensor = pixels(image_shape)
    tensor = convolution(tensor, 96, 3, 2 if side >= 64 else 1, style=style, name="stem")
    tensor = _halve(tensor) if side >= 128 else tensor
    for number, filters in enumerate(SMALL, 1):
        name = f"module{number}"
        if len(filters) == 1:
            branches = [_halve(tensor), convolution(tensor, filters[0], 3, 2, style=style, name=f"{name}_3x3")]
        else:
            branches = [
                convolution(tensor, count, size, style=style, name=f"{name}_{size}x{size}")
                for count, size in zip(filters, (1, 3), strict=True)
            ]
        tensor = layers.Concatenate(name=name)(branches)
    return keras.Model(inputs, head(tensor, classes, dropout), name="inception")


def _halve(tensor: Any) -> Any:
    """The largest of 3 x 3, every second pixel; half the side, rounded up."""
    from keras import layers

    return layers.MaxPooling2D(3, 2, padding="same")(tensor)
