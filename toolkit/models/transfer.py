"""Backbones that others have trained, with a head of ours, in one flat graph. It knows no data."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, unknown
from toolkit.models.backbones import BACKBONES, Backbone
from toolkit.models.options import checked
from toolkit.models.vit import encoder

MARGIN = 8 / 7  # of a side, cut off rather than shrunk, as ImageNet's 256 pixels are to 224: blur would cost more
LARGEST_ENLARGEMENT = 16  # times; beyond, one pixel would be more than a patch of the network
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet's RGB 0..255
PIXELS = {  # what a family was trained on: value = (pixel - mean) / deviation, channels RGB unless said
    "symmetric": ((127.5,) * 3, (127.5,) * 3),
    "imagenet": (MEAN, DEVIATION),
    "v2": ((128.0,) * 3, (128.0,) * 3),
    "caffe": ((103.939, 116.779, 123.68), (1.0,) * 3),  # BGR, not scaled
}


@checked()
def transfer(
    backbone: str,
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    weights: str | Path | None = None,
    size: int | None = None,
    pooling: str | None = None,
    mirror: bool = False,
    hidden: int = 0,
    dropout: float = 0.2,
) -> Any:
    """Network (B, H, W, C) 0..255 -> float32 logits (B, classes): the backbone's layers under their names in one graph.

    Grey is repeated to three channels, the image brought to `size` x `size` (bilinear, averaged where it shrinks; a
    side ratio other than 1 is squashed; where both sides are at most an eighth longer, the middle is cut out of it),
    and normalised as the backbone's family was. Then the backbone, `pooling` ("average"; "root", the average's square
    root, for networks that end in ReLU; "maximum"; or "token" for transformers; None is the family's own), with
    `mirror` the mean over the image and its mirror image, which is the layer "features", a hidden layer of `hidden`
    units if not 0, dropout, and the logits.

    Args:
        backbone: a name in `BACKBONES`.
        image_shape: (H, W, C), C 1 or 3.
        classes: K.
        weights: "imagenet" (fetched once by Keras or KerasHub), a path (.h5, .weights.h5, .keras, a preset folder of
            KerasHub), or None for random ones.
        size: pixels a side that the backbone sees. None: what its published weights were trained at; where the
            architecture leaves the choice, the images' own without weights, and if square and at most an eighth larger.
        pooling: see above.
        mirror: whether the features are the mean of an image's and its mirror image's, at twice the price of a pass.
        hidden: units of a hidden layer with ReLU, 0 for none.
        dropout: share, before the logits.

    Raises:
        InputError: for an unknown name, images or a size too small, weights that do not fit or cannot be had, and
            for a missing extra.
    """
    import keras

    from toolkit.models.layers import MeanOfHalves, WithMirror

    row = check_backbone(backbone, image_shape, weights, size)
    native = size is None and weights is None and not row.fixed
    shape = image_shape[:2] if native else (size or _size(row, image_shape),) * 2
    inputs, tensor = _pixels(image_shape, shape, row.pixels)
    seen = WithMirror(name="with_mirror")(tensor) if mirror else tensor
    answer = _network(backbone, row, inputs, seen, weights)
    tensor = _pool(answer, pooling or row.pooling, "both" if mirror else "features")
    if mirror:
        tensor = MeanOfHalves(name="features")(tensor)
    if hidden:
        tensor = keras.layers.Dense(hidden, "relu", kernel_initializer="he_normal", name="hidden")(tensor)
    tensor = keras.layers.Dropout(dropout, name="dropout")(tensor)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(tensor)
    model = keras.Model(inputs, logits, name=backbone)
    return _detached(model) if row.first else model


def check_backbone(
    backbone: str, image_shape: tuple[int, ...], weights: str | Path | None = None, size: int | None = None
) -> Backbone:
    """The row of `backbone`; refuses, building nothing, an unknown name and images or a size that it cannot take."""
    if backbone not in BACKBONES:
        raise unknown("backbone", backbone, BACKBONES)
    row = BACKBONES[backbone]
    side, seen = min(image_shape[:2]), size or (min(image_shape[:2]) if weights is None and not row.fixed else row.size)
    if seen < row.smallest:
        raise InputError(
            f"Expected {row.smallest} x {row.smallest} pixels or more for '{backbone}'. Received: {seen} x {seen}. "
            f"Give size={row.smallest} or more (--option size={row.smallest}) to have images enlarged "
            f"({row.size} is what it was published with)."
        )
    if seen % row.multiple:
        raise InputError(f"Expected a size that is a multiple of {row.multiple} for '{backbone}'. Received: {seen}.")
    if seen > side * LARGEST_ENLARGEMENT:
        least = -(-seen // LARGEST_ENLARGEMENT)
        raise InputError(
            f"Expected images of at least {least} x {least} pixels for '{backbone}' at size {seen}, or they are "
            f"enlarged more than {LARGEST_ENLARGEMENT} times. Received: {image_shape[0]} x {image_shape[1]}."
        )
    return row


def without_weights(backbone: str, options: Mapping[str, Any], image_shape: tuple[int, int, int]) -> dict[str, Any]:
    """Options of `transfer` that build the same architecture at the same size, and read no weights."""
    size = options.get("size") or _size(BACKBONES[backbone], image_shape)
    return {**options, "weights": None, "size": size}


def _size(row: Backbone, image_shape: tuple[int, ...]) -> int:
    """Pixels a side that a pretrained backbone sees if it is not told: see `transfer`."""
    height, width = image_shape[:2]
    own = not row.fixed and height == width and row.size <= height <= MARGIN * row.size
    return height if own else row.size


def feature_extractor(model: Any) -> Any:
    """The part of a built network that ends at its "features" layer: (B, H, W, C) -> (B, D). Shares its weights."""
    import keras

    return keras.Model(model.input, model.get_layer("features").output, name=f"{model.name}_features")


def _pixels(image_shape: tuple[int, int, int], shape: tuple[int, int], pixels: str) -> tuple[Any, Any]:
    """The input, and the same at `shape` in three channels as the family `pixels` wants them."""
    import keras
    from keras import layers, ops

    inputs = tensor = keras.Input(image_shape, name="images")
    over = [side - wanted for side, wanted in zip(image_shape[:2], shape, strict=True)]
    if any(over) and all(0 <= rest <= (MARGIN - 1) * wanted for rest, wanted in zip(over, shape, strict=True)):
        cut = tuple((rest // 2, rest - rest // 2) for rest in over)
        tensor = layers.Cropping2D(cut, name="middle")(tensor)
    elif any(over):
        shrinks = max(image_shape[0] / shape[0], image_shape[1] / shape[1]) > 1
        tensor = layers.Resizing(*shape, antialias=shrinks, name="resizing")(tensor)
    if image_shape[2] == 1:
        tensor = layers.Concatenate(name="grey_to_colour")([tensor] * 3)
    tensor = ops.flip(tensor, axis=-1) if pixels == "caffe" else tensor
    mean, deviation = PIXELS[pixels]
    offset = [-centre / spread for centre, spread in zip(mean, deviation, strict=True)]
    return inputs, layers.Rescaling([1 / spread for spread in deviation], offset, name="preprocessing")(tensor)


def _pool(tensor: Any, pooling: str, name: str) -> Any:
    """(B, h, w, D) or tokens (B, N, D) -> the layer `name`, (B, D)."""
    from keras import layers

    maps = len(tensor.shape) == 4
    if pooling == "token":
        if maps:
            raise InputError(
                "Expected pooling 'average' or 'maximum' for a network without a class token. Received: 'token'."
            )
        first = layers.Cropping1D((0, tensor.shape[1] - 1), name="class_token")(tensor)
        return layers.Flatten(name=name)(first)
    if pooling == "root":
        from toolkit.models.layers import Root

        average = layers.GlobalAveragePooling2D if maps else layers.GlobalAveragePooling1D
        return Root(name=name)(average(name="average")(tensor))
    if pooling == "average":
        return (layers.GlobalAveragePooling2D if maps else layers.GlobalAveragePooling1D)(name=name)(tensor)
    return (layers.GlobalMaxPooling2D if maps else layers.GlobalMaxPooling1D)(name=name)(tensor)


def _network(name: str, row: Backbone, inputs: Any, tensor: Any, weights: str | Path | None) -> Any:
    """The backbone's maps or tokens of `tensor`, which came from `inputs`; without head, filled."""
    import keras

    from toolkit.models.hub import swin
    from toolkit.models.weights import load_weights

    if row.fixed:
        outputs = encoder(tensor, **row.options) if row.build == "vit" else swin(tensor, name=name, **row.options)
        if weights is not None:
            _fill(keras.Model(inputs, outputs), name, row, weights)
        return outputs
    given = "imagenet" if weights == "imagenet" else None
    build = partial(getattr(keras.applications, row.build), include_top=False, input_shape=tensor.shape[1:])
    try:
        with _piped_quietly():
            network = build(weights=given, input_tensor=None if row.first else tensor, **row.options)
    except Exception as error:  # keras.utils.get_file raises no narrower one
        if given is None:
            raise
        raise _offline(name, error, "the file that it names and put it in ~/.keras/models") from error
    if row.first:
        network = keras.Model(network.get_layer(row.first).input, network.output)
    if given is None and weights is not None:
        load_weights(network, Path(weights), name)
    return network.call(tensor) if row.first else network.output  # call, not __call__: its layers, not one nested model


@contextmanager
def _piped_quietly() -> Iterator[None]:
    """Keep Keras' lines on what it fetches out of a standard output that is no terminal."""
    import keras

    told = keras.config.is_interactive_logging_enabled() and not sys.stdout.isatty()
    if told:
        keras.config.disable_interactive_logging()
    try:
        yield
    finally:
        if told:
            keras.config.enable_interactive_logging()


def _fill(network: Any, name: str, row: Backbone, weights: str | Path) -> None:
    """Fill one of our own graphs from a file, a preset folder of KerasHub, or the preset that the row names."""
    from toolkit.models.hub import preset_weights
    from toolkit.models.weights import load_weights

    if weights != "imagenet" and not Path(weights).is_dir():
        return load_weights(network, Path(weights), name)
    if weights == "imagenet" and not row.preset:
        raise InputError(
            f"Expected weights=PATH (--weights NAME=PATH) for '{name}'. Received: 'imagenet', which nobody publishes "
            "for Keras."
        )
    if weights != "imagenet" and not Path(weights, "config.json").is_file():
        raise InputError(
            f"Expected a weights file or a preset folder of KerasHub for '{name}'. Received: the folder {weights}, "
            "without config.json."
        )
    source = row.preset if weights == "imagenet" else str(weights)
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = preset_weights(name, source, Path(folder))
        except InputError:
            raise
        except Exception as error:  # of KerasHub, kagglehub, the network
            if weights == "imagenet":
                raise _offline(name, error, f"KerasHub's preset folder {row.preset}") from error
            reason = " ".join(str(error).split())[:160]
            raise InputError(
                f"Expected a preset folder of KerasHub for '{name}'. Received: {source}: {reason}"
            ) from error
        try:
            load_weights(network, path, name)
        except InputError as error:  # of a file that nobody has seen
            raise InputError(str(error).replace(str(path), source)) from None


def _offline(name: str, error: Exception, what: str) -> InputError:
    """What to fetch, where to put it, which option names it."""
    reason = " ".join(str(error).split())[:300]
    return InputError(
        f"Expected to fetch the ImageNet weights of '{name}'. Received: {reason}. On a machine with a network, fetch "
        f"{what}, or give its place as weights=PATH (--weights NAME=PATH)."
    )


def _detached(model: Any) -> Any:
    """The same network of layers that stand in no other graph.

    One that does answers `layer.output` with the other's tensor: Grad-CAM would find no way from our input to it.
    """
    import keras

    fresh = keras.Model.from_config(model.get_config())
    fresh.set_weights(model.get_weights())
    return fresh
