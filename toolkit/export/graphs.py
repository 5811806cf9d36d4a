"""A fitted classifier as one keras.Model from uint8 pixels to probabilities, ensembles and backbones included.

It knows no file and no format. The graph of a pipeline is that of `baselines.graph`.
"""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from toolkit.deep_features import BackboneFeatures
from toolkit.ensemble import SMALLEST
from toolkit.errors import InputError


def graph(classifier: Any, image_shape: tuple[int, ...]) -> Any:
    """The classifier as a keras.Model, uint8 (B, H, W, C) -> probabilities float32 (B, K), columns as `classes_`.

    Raises:
        InputError: naming the step, or the ensemble's member and its step, that has no layers.
    """
    import keras
    from keras import layers

    pixels = keras.Input(image_shape, dtype="uint8", name="images")
    try:
        answer = _answer(classifier, pixels, "network")
    except ValueError as error:
        raise InputError(f"Expected a classifier that can be one graph. {error}") from error
    return keras.Model(pixels, layers.Identity(name="probabilities", dtype="float32")(answer), name="classifier")


def _answer(classifier: Any, pixels: Any, name: str) -> Any:
    """Probabilities float32 (B, K) of a network, an ensemble, or a pipeline, perhaps one behind a backbone."""
    from keras import layers

    from baselines.graph import applied

    if getattr(classifier, "network", None) is not None:
        return layers.Softmax(dtype="float32")(_seen(classifier.network, pixels, name))
    if hasattr(classifier, "fitted_"):
        return _ensemble(classifier, pixels, name)
    if isinstance(classifier, Pipeline) and isinstance(classifier[0], BackboneFeatures):
        return applied(classifier[1:], _seen(classifier[0].extractor, pixels, name))
    return applied(classifier, pixels)


def _seen(network: Any, pixels: Any, name: str) -> Any:
    """What a network says; under a name of its own, for two members' may have one."""
    import keras
    from keras import layers

    named = keras.Model(network.input, network.output, name=name)
    return named(layers.Rescaling(1.0, dtype="float32")(pixels), training=False)


def _ensemble(ensemble: Any, pixels: Any, name: str) -> Any:
    """Members' answers weighed, or behind the regression of a stack."""
    from keras import layers, ops

    from baselines.graph import applied

    answers = []
    for number, member in enumerate(ensemble.fitted_):
        try:
            answers.append(_answer(member, pixels, f"{name}_{number}"))
        except ValueError as error:
            raise ValueError(f"Member {number + 1} of the {type(ensemble).__name__}: {error}") from error
    head = getattr(ensemble, "head_", None)
    if head is not None:
        return applied(head, ops.log(ops.maximum(layers.Concatenate()(answers), SMALLEST)))
    weights = getattr(ensemble, "weights_", np.full(len(answers), 1 / len(answers)))
    return layers.Add()(
        [layers.Rescaling(float(weight))(answer) for weight, answer in zip(weights, answers, strict=True)]
    )
