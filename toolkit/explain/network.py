"""Grad-CAM and attention rollout: what the layers of a Keras model say. Any model; it knows no contestant."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.classifier import check_images
from toolkit.errors import InputError, unknown
from toolkit.explain.form import Images, Maps, columns_of, enlarged, scaled


def grad_cam(model: Any, images: Images, layer: str | None = None, columns: Sequence[int] | None = None) -> Maps:
    """Grad-CAM of a layer (B, h, w, c) of a Keras model that gives logits or probabilities (B, K).

    `layer` is the last one with an output (B, h, w, c) unless named; `columns` are the explained classes, (N,), those
    predicted unless given. Selvaraju et al. (ICCV 2017), arXiv:1610.02391: channels weighed by the mean gradient of the
    class's score, negative sums cut off; brought to the image's size by linear interpolation.

    Raises:
        InputError: for other images, an unknown layer, or one whose output has no height and width.
    """
    check_images(images)
    tapped = _layer(model, layer) if layer else _last_map(model)
    answers = _answers(model, images)
    wanted = columns_of(columns, answers)
    values, gradients = _value_and_gradient(model, tapped, images, wanted)
    if values.ndim != 4:
        raise InputError(
            f"Expected a layer with an output (B, h, w, c). Received: '{tapped.name}' with {values.shape}."
        )
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    maps = _mirrored_back((weights * values).sum(axis=3), len(images))
    return scaled(enlarged(np.maximum(maps, 0), images))


def attention_rollout(
    model: Any, images: Images, layers: Sequence[str] | None = None, grid: tuple[int, int] | None = None
) -> Maps:
    """Attention rollout of a vision transformer: how much of each patch reaches the class token (or the mean token).

    `layers` are the `keras.layers.MultiHeadAttention` layers in their order, all of the model unless named; `grid` is
    (rows, columns) of patches, found from the image's proportions unless given. Tokens before the patches may be none,
    or one or two of class. Abnar & Zuidema (ACL 2020), arXiv:2005.00928: heads averaged, the skip connection counted as
    half, matrices multiplied. It does not depend on the class.
    """
    import keras

    check_images(images)
    found = (
        [_layer(model, name) for name in layers]
        if layers
        else [layer for layer in _all_layers(model) if isinstance(layer, keras.layers.MultiHeadAttention)]
    )
    if not found:
        raise InputError(f"Expected a model with MultiHeadAttention layers. Received: '{model.name}' without any.")
    rollout: NDArray[Any] | None = None
    for scores in _attention(model, found, images):  # (N, heads, T, T)
        mean = 0.5 * scores.mean(axis=1) + 0.5 * np.eye(scores.shape[-1])
        mean /= mean.sum(axis=-1, keepdims=True)
        rollout = mean if rollout is None else mean @ rollout
    if rollout is None:
        raise InputError(f"Expected '{model.name}' to call its attention layers. Received: none was called.")
    extra, (rows, columns) = _grid(rollout.shape[-1], images.shape[1:3], grid)
    seen = rollout[:, 0, extra:] if extra else rollout.mean(axis=1)
    return scaled(enlarged(_mirrored_back(seen.reshape(-1, rows, columns), len(images)), images))


def _mirrored_back(maps: NDArray[Any], count: int) -> NDArray[Any]:
    """Maps (N, h, w); of a network that saw mirror images too, (2 N, h, w), the mean of both as they face the image."""
    return maps if len(maps) == count else (maps[:count] + maps[count:, :, ::-1]) / 2


def _answers(model: Any, images: Images) -> NDArray[Any]:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(model(ops.cast(images, "float32"), training=False)))


def _all_layers(model: Any) -> Iterator[Any]:
    """The layers of a model, those inside of layers and models too, in their order."""
    for layer in getattr(model, "layers", None) or []:
        yield layer
        yield from _all_layers(layer)


def _layer(model: Any, name: str) -> Any:
    layers = {layer.name: layer for layer in _all_layers(model)}
    if name not in layers:
        raise unknown(
            "layer", name, layers, hint=f"`model.summary()` shows the {len(layers)} layers of '{model.name}'."
        )
    return layers[name]


def _last_map(model: Any) -> Any:
    """The last layer with an output (B, h, w, c) of more than one place: behind it, places are no longer told apart."""
    for layer in reversed(list(_all_layers(model))):
        try:
            shape = tuple(layer.output.shape)
        except (AttributeError, ValueError):  # not in a graph, or called more than once
            continue
        if len(shape) == 4 and math.prod(side or 2 for side in shape[1:3]) > 1:
            return layer
    raise InputError(
        f"Expected a model with a layer of output (B, h, w, c). Received: '{model.name}' without any; name one."
    )


@contextmanager
def _replaced(layer: Any, call: Callable[..., Any]) -> Iterator[None]:
    """While this lasts, the layer calls `call(its own call, *what it was called with)`."""
    own = layer.call
    object.__setattr__(layer, "call", lambda *args, **kwargs: call(own, *args, **kwargs))
    try:
        yield
    finally:
        object.__delattr__(layer, "call")


def _value_and_gradient(
    model: Any, layer: Any, images: Images, columns: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The layer's output and the gradient of each image's score by it, both (N, ...), under TensorFlow or JAX.

    A change of zero is added to what the layer gives; its gradient is that of the output, whatever stands around it.
    """
    import keras
    from keras import ops

    outputs: list[Any] = []

    def score(change: Any) -> Any:
        def call(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            outputs.append(own(*args, **kwargs))
            return outputs[-1] if change is None else outputs[-1] + change

        with _replaced(layer, call):
            answers = model(ops.cast(images, "float32"), training=False)
        return ops.sum(ops.take_along_axis(answers, ops.convert_to_tensor(columns.astype(np.int32))[:, None], axis=1))

    score(None)
    value = outputs[-1]
    if keras.backend.backend() == "jax":
        import jax

        gradient = jax.grad(score)(ops.zeros_like(value))
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        change = tf.zeros_like(value)
        with tf.GradientTape() as tape:
            tape.watch(change)
            total = score(change)
        gradient = tape.gradient(total, change)
    else:
        raise InputError(f"Expected TensorFlow or JAX behind Keras for gradients. Received: {keras.backend.backend()}.")
    return np.asarray(ops.convert_to_numpy(value), np.float32), np.asarray(ops.convert_to_numpy(gradient), np.float32)


def _attention(model: Any, layers: Sequence[Any], images: Images) -> list[NDArray[Any]]:
    """The attention (N, heads, T, T) of each layer, in the order in which the model calls them."""
    from keras import ops

    seen: list[Any] = []

    def call(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        output, scores = own(*args, **{**kwargs, "return_attention_scores": True})
        seen.append(scores)
        return output

    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_replaced(layer, call))
        model(ops.cast(images, "float32"), training=False)
    return [np.asarray(ops.convert_to_numpy(scores), np.float64) for scores in seen]


def _grid(tokens: int, size: tuple[int, ...], grid: tuple[int, int] | None) -> tuple[int, tuple[int, int]]:
    """How many tokens stand before the patches, and (rows, columns) of the patches."""
    if grid is not None:
        if not 0 <= tokens - math.prod(grid) <= 2:
            raise InputError(f"Expected a grid of {tokens} patches, or one or two less. Received: {grid}.")
        return tokens - math.prod(grid), grid
    height, width = size
    for extra in (1, 0, 2):
        patches = tokens - extra
        rows = round(math.sqrt(patches * height / width))
        if rows and patches % rows == 0 and abs(patches / rows**2 * height / width - 1) < 0.2:
            return extra, (rows, patches // rows)
    raise InputError(
        f"Expected patches in the proportions of {height} x {width} pixels. Received: {tokens} tokens; name the grid."
    )
