"""Another engine for the forward pass: the same answers, by name, and refused in one line where it cannot run."""

import builtins
import importlib.util

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from toolkit.errors import InputError
from toolkit.models import feature_extractor, transfer
from toolkit.training import KerasClassifier, Recipe
from toolkit.training.engine import OpenVino, check_engine
from toolkit.training.inference import logits

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None or keras.backend.backend() != "tensorflow",
    reason="needs the extra openvino and Keras on TensorFlow",
)


def noise(rows=6, side=40, channels=3):
    return np.random.default_rng(0).integers(0, 256, (rows, side, side, channels), dtype=np.uint8)


@needs_openvino
@pytest.mark.parametrize(("side", "size"), [(40, 40), (40, 32)], ids=["as it is", "shrunk by Keras before"])
def test_openvino_in_float32_answers_as_keras_does(side, size):
    network = feature_extractor(transfer("mobilenet_025", (side, side, 1), 2, size=size))
    images = noise(side=side, channels=1)
    compiled = OpenVino(network, "f32")
    assert_allclose(logits(compiled, images), logits(network, images), atol=1e-4)  # float32, in another order
    assert logits(compiled, images[:3]).shape == (3, 256)


@needs_openvino
def test_a_classifier_predicts_the_same_with_either_engine():
    images, labels = noise(24, 12, 1) // 2, np.arange(24) % 2
    images[labels == 1] += 120
    model = KerasClassifier("cnn", Recipe(epochs=8, augment="none", batch_size=8, holdout=0.0), verbose=False)
    plain = model.fit(images, labels).predict_proba(images)
    model.engine = "openvino"
    other = model.predict_proba(images)
    assert_allclose(other, plain, atol=0.05)  # perhaps bfloat16
    assert (other.argmax(axis=1) == plain.argmax(axis=1)).mean() > 0.9


def test_engines_that_are_unknown_or_missing_are_refused(monkeypatch):
    with pytest.raises(InputError, match=r"Unknown engine 'openvin'. Did you mean 'openvino'"):
        KerasClassifier("cnn", engine="openvin").fit(noise(4, 12, 1), np.arange(4) % 2)
    imported = builtins.__import__

    def missing(name, *rest, **settings):
        if name == "openvino":
            raise ImportError("No module named 'openvino'")
        return imported(name, *rest, **settings)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"pip install 'touchstone-vision\[openvino\]'"):
        check_engine("openvino")
