"""Residual networks for small images (He et al., CVPR 2016, section 4.2). It knows no data."""

from typing import Any

from toolkit.models.parts import pixels


def resnet20(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    width: int = 16,
    mean: tuple[float, ...] = (),
    deviation: tuple[float, ...] = (),
) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): 0.27 M parameters, stages of 16, 32 and 64 filters.

    He, Zhang, Ren & Sun (CVPR 2016, arXiv:1512.03385), the CIFAR-10 form with identity shortcuts (option A). For
    images of 64 pixels or more the first convolution has stride 2, and from 128 on a max pooling follows, as in the
    paper's ImageNet form.
    """
    return residual_network(
        image_shape, classes, blocks=3, width=width, mean=mean, deviation=deviation, name="resnet20"
    )


def residual_network(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    blocks: int,
    width: int,
    mean: tuple[float, ...],
    deviation: tuple[float, ...],
    name: str,
) -> Any:
    """The CIFAR form with `blocks` blocks in each of three stages: 6 * blocks + 2 layers with weights."""
    import keras
    from keras import layers

    side = min(image_shape[:2])
    inputs, tensor = pixels(image_shape, mean, deviation)
    tensor = layers.ReLU()(_convolution(tensor, width, stride=2 if side >= 64 else 1))
    if side >= 128:
        tensor = layers.MaxPooling2D(3, 2, padding="same")(tensor)
    for stage in range(3):
        for block in range(blocks):
            tensor = _block(tensor, width * 2**stage, stride=2 if stage and not block else 1)
    tensor = layers.GlobalAveragePooling2D()(tensor)
    logits = layers.Dense(classes, kernel_initializer="he_normal", dtype="float32", name="logits")(tensor)
    return keras.Model(inputs, logits, name=name)


def _convolution(tensor: Any, filters: int, stride: int = 1) -> Any:
    """3 x 3 convolution and BatchNorm, padded by one on every side; with stride 2, "same" pads only two."""
    from keras import layers

    tensor = layers.ZeroPadding2D(1)(tensor) if stride > 1 else tensor
    padding = "valid" if stride > 1 else "same"
    tensor = layers.Conv2D(filters, 3, stride, padding, use_bias=False, kernel_initializer="he_normal")(tensor)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(tensor)


def _block(tensor: Any, filters: int, stride: int) -> Any:
    """relu(F(x) + shortcut(x)); the shortcut of a halving block takes every second pixel and adds channels of zeros."""
    from keras import layers, ops

    residual = layers.ReLU()(_convolution(tensor, filters, stride))
    residual = _convolution(residual, filters)
    if stride > 1:
        tensor = layers.MaxPooling2D(1, stride)(tensor)  # a pool of one pixel: every second one, and nothing to learn
        missing = filters - tensor.shape[-1]
        tensor = ops.pad(tensor, ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)))
    return layers.ReLU()(layers.Add()([residual, tensor]))
