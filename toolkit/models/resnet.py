"""Residual networks: the CIFAR form, 18 and 34 layers, wide ones, and those with attention. They know no data."""

from dataclasses import dataclass, replace
from typing import Any

from toolkit.models.attention import ATTENTION
from toolkit.models.blocks import Style, convolution, depth_rates, head, normalise, stochastic_depth
from toolkit.models.options import checked
from toolkit.models.parts import pixels


@dataclass(frozen=True)
class Form:
    """What a paper fixes of a residual network."""

    name: str
    stages: tuple[tuple[int, int], ...]  # blocks and filters; each stage but the first halves the side
    shortcut: str = "pad"  # where the shape changes: every second pixel and zeros ("pad", option A), or a convolution
    preactivated: bool = False  # norm and activation before each convolution, as in wide networks
    stem: tuple[int, int] = (3, 3)  # size of the first convolution below 64 pixels, and from there on
    attention: str = ""  # a row of `ATTENTION`, before the sum


def _thirds(depth: int, width: int = 16) -> tuple[tuple[int, int], ...]:
    """Three stages of equal numbers of blocks: 6 n + 2 layers with weights, or 6 n + 4 with preactivation."""
    return tuple(((depth - 2) // 6, width * 2**stage) for stage in range(3))


RESNET20 = Form("resnet20", _thirds(20))
RESNET18 = Form("resnet18", ((2, 64), (2, 128), (2, 256), (2, 512)), "project", stem=(3, 7))
RESNET34 = Form("resnet34", ((3, 64), (4, 128), (6, 256), (3, 512)), "project", stem=(3, 7))
WIDE_16_4 = Form("wide_resnet_16_4", _thirds(16, 64), "project", preactivated=True)
WIDE_28_10 = Form("wide_resnet_28_10", _thirds(28, 160), "project", preactivated=True)


def residual_network(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    form: Form,
    width: int = 0,
    blocks: int = 0,
    dropout: float = 0.0,
    depth: float = 0.0,
    attention: str = "",
    mean: tuple[float, ...] = (),
    deviation: tuple[float, ...] = (),
    **style: str,
) -> Any:
    """Stages of blocks of two 3 x 3 convolutions whose result is added to what came in; then the global average.

    From 64 pixels on the first convolution has stride 2, and from 128 on a max pooling follows, as in the paper's
    ImageNet form. `width` replaces the filters of the first stage and scales the others with it, `blocks` replaces the
    blocks of every stage; `depth` is stochastic depth at the last block; `attention` ("se" or "cbam") comes before each
    sum; `mean` and `deviation` (one value a channel) replace 127.5; `style` is activation, normalisation, initialiser.
    """
    import keras
    from keras import layers

    parts, side = Style(**style), min(image_shape[:2])
    form = replace(form, attention=attention or form.attention)
    scale = width / form.stages[0][1] if width else 1
    filters = 16 if form.preactivated else round(form.stages[0][1] * scale)
    inputs, tensor = pixels(image_shape, mean, deviation)
    size, stride = form.stem[side >= 64], 2 if side >= 64 else 1
    if form.preactivated:
        plain = replace(parts, normalisation="none")
        tensor = convolution(tensor, filters, size, stride, style=plain, bias=False, activate=False, name="stem")
    else:
        tensor = convolution(tensor, filters, size, stride, style=parts, name="stem")
    if side >= 128:
        tensor = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(tensor)
    stages = [(blocks or own, count) for own, count in form.stages]
    rates = iter(depth_rates(depth, sum(own for own, _ in stages)))
    block = _preactivated_block if form.preactivated else _block
    for stage, (own, count) in enumerate(stages, 1):
        for number in range(1, own + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            drop = (dropout if form.preactivated else 0.0, next(rates))
            tensor = block(tensor, round(count * scale), stride, form, parts, drop, f"stage{stage}_{number}")
    if form.preactivated:
        tensor = layers.Activation(parts.activation, name="last_out")(normalise(tensor, parts, "last_norm"))
    return keras.Model(inputs, head(tensor, classes, dropout), name=form.name)


def _block(
    tensor: Any, filters: int, stride: int, form: Form, style: Style, drop: tuple[float, float], name: str
) -> Any:
    """The activation of F(x) + shortcut(x), F two convolutions with norms, one activation and attention."""
    from keras import layers

    residual = convolution(tensor, filters, 3, stride, style=style, name=f"{name}a")
    residual = convolution(residual, filters, style=style, activate=False, name=f"{name}b")
    if form.attention:
        residual = ATTENTION[form.attention](residual, style=style, name=f"{name}_attention")
    if form.shortcut == "pad":
        tensor = _padded(tensor, filters, stride)
    elif stride > 1 or tensor.shape[-1] != filters:
        tensor = convolution(tensor, filters, 1, stride, style=style, activate=False, name=f"{name}_shortcut")
    tensor = layers.Add(name=f"{name}_sum")([stochastic_depth(residual, drop[1]), tensor])
    return layers.Activation(style.activation, name=f"{name}_out")(tensor)


def _preactivated_block(
    tensor: Any, filters: int, stride: int, form: Form, style: Style, drop: tuple[float, float], name: str
) -> Any:
    """F(x) + shortcut(x), F twice norm, activation and convolution (He et al., ECCV 2016), dropout between."""
    from keras import layers

    active = layers.Activation(style.activation, name=f"{name}a_out")(normalise(tensor, style, f"{name}a_norm"))
    residual = convolution(active, filters, 3, stride, style=style, name=f"{name}b")
    residual = layers.Dropout(drop[0])(residual) if drop[0] else residual
    plain = replace(style, normalisation="none")
    residual = convolution(residual, filters, style=plain, bias=False, activate=False, name=f"{name}c")
    if form.attention:
        residual = ATTENTION[form.attention](residual, style=style, name=f"{name}_attention")
    if stride > 1 or tensor.shape[-1] != filters:
        tensor = convolution(
            active, filters, 1, stride, style=plain, bias=False, activate=False, name=f"{name}_shortcut"
        )
    return layers.Add(name=f"{name}_sum")([stochastic_depth(residual, drop[1]), tensor])


def _padded(tensor: Any, filters: int, stride: int) -> Any:
    """Every second pixel where `stride` is 2, and channels of zeros on both sides up to `filters`; nothing to learn."""
    from keras import layers, ops

    tensor = layers.MaxPooling2D(1, stride)(tensor) if stride > 1 else tensor  # a pool of one pixel
    missing = filters - tensor.shape[-1]
    return ops.pad(tensor, ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2))) if missing else tensor


@checked(residual_network)
def resnet20(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes), 0.27 million parameters; options: `residual_network`.

    He, Zhang, Ren & Sun (CVPR 2016, arXiv:1512.03385), section 4.2: identity shortcuts, option A.
    """
    return residual_network(image_shape, classes, form=RESNET20, **options)


@checked(residual_network)
def resnet32(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """As `resnet20`, with five blocks a stage: 0.46 million parameters."""
    return residual_network(image_shape, classes, form=Form("resnet32", _thirds(32)), **options)


@checked(residual_network)
def resnet56(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """As `resnet20`, with nine blocks a stage: 0.85 million parameters."""
    return residual_network(image_shape, classes, form=Form("resnet56", _thirds(56)), **options)


@checked(residual_network)
def resnet20_se(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """As `resnet20`, with squeeze-and-excitation before each sum (Hu et al., CVPR 2018)."""
    form = replace(RESNET20, name="resnet20_se", attention="se")
    return residual_network(image_shape, classes, form=form, **options)


@checked(residual_network)
def resnet20_cbam(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """As `resnet20`, with attention over channels and places before each sum (Woo et al., ECCV 2018)."""
    form = replace(RESNET20, name="resnet20_cbam", attention="cbam")
    return residual_network(image_shape, classes, form=form, **options)


@checked(residual_network)
def resnet18(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): 11 million parameters; options as `residual_network`.

    He et al. (2016), table 1; shortcuts by projection where the shape changes (option B).
    """
    return residual_network(image_shape, classes, form=RESNET18, **options)


@checked(residual_network)
def resnet34(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """As `resnet18`, with 34 layers: 21 million parameters."""
    return residual_network(image_shape, classes, form=RESNET34, **options)


@checked(residual_network)
def wide_resnet_16_4(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes), 2.7 million parameters; options: `residual_network`.

    Zagoruyko & Komodakis (BMVC 2016, arXiv:1605.07146): 16 layers, four times as wide, preactivated; `dropout` falls
    between the two convolutions of a block too.
    """
    return residual_network(image_shape, classes, form=WIDE_16_4, **options)


@checked(residual_network)
def wide_resnet_28_10(image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """As `wide_resnet_16_4`, with 28 layers and ten times as wide: 36.5 million parameters."""
    return residual_network(image_shape, classes, form=WIDE_28_10, **options)
