"""The networks: as large as their papers say, one form for every image, and nothing that an export could not read."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from toolkit.errors import InputError
from toolkit.models import MODELS, check_image_shape


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


def test_resnet20_has_the_parameters_of_the_paper():
    # table 6 of He et al. says 0.27 M; 3 x 3 convolutions without bias, two values a channel of BatchNorm
    channels = [(3, 16)] + [(16, 16)] * 6 + [(16, 32)] + [(32, 32)] * 5 + [(32, 64)] + [(64, 64)] * 5
    expected = sum(9 * before * after + 2 * after for before, after in channels) + 64 * 10 + 10
    assert trainable(MODELS["resnet20"]((32, 32, 3), 10)) == expected
    assert round(expected / 1e6, 2) == 0.27


@pytest.mark.jax
@pytest.mark.parametrize("name", ["cnn", "resnet20"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (47, 100, 3), (224, 224, 3)])
def test_takes_every_image_shape_and_gives_float32_logits(name, shape):
    model = MODELS[name](shape, 7)
    assert model.output.shape == (None, 7)
    assert model.output.dtype == "float32"
    assert min(model.get_layer("logits").input.shape[1:]) >= 32  # the average kept channels, not pixels


@pytest.mark.parametrize("name", ["cnn", "resnet20"])
def test_gives_finite_logits_that_differ_between_images(name, image):
    answer = keras.ops.convert_to_numpy(MODELS[name]((32, 32, 3), 4)(image))
    assert np.isfinite(answer).all()
    assert not np.allclose(answer[0], answer[1])


@pytest.mark.parametrize("name", ["cnn", "resnet20"])
def test_bytes_and_floats_of_the_same_value_are_the_same_image(name, image):
    model = MODELS[name]((32, 32, 3), 4)
    assert_allclose(model(image), model(image.astype(np.float32)), atol=1e-5)  # float32


@pytest.mark.parametrize("name", ["cnn", "resnet20"])
def test_survives_its_own_json(name, image):
    model = MODELS[name]((32, 32, 3), 4)
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    assert_allclose(again(image), model(image), atol=1e-5)  # float32


def test_logits_are_float32_under_mixed_precision(image):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = MODELS["cnn"]((32, 32, 3), 4)
    finally:
        keras.config.set_dtype_policy(before)
    assert keras.ops.dtype(model(image)) == "float32"
    assert model.layers[3].compute_dtype == "bfloat16"


def test_mean_and_deviation_are_taken_a_channel(image):
    model = MODELS["resnet20"]((32, 32, 3), 4, mean=(120.0, 115.0, 100.0), deviation=(60.0, 61.0, 62.0))
    scaled = keras.Model(model.input, model.get_layer("rescaling").output)(image)
    assert_allclose(scaled, (image - [120.0, 115.0, 100.0]) / [60.0, 61.0, 62.0], atol=1e-5)  # float32


def test_unknown_network_names_the_nearest():
    with pytest.raises(InputError, match=r"Unknown network 'cnm'\. Did you mean 'cnn'"):
        check_image_shape("cnm", (32, 32, 3))


@pytest.mark.parametrize("shape", [(7, 28, 1), (28, 5, 3)])
def test_small_images_are_refused_with_the_size_it_takes(shape):
    with pytest.raises(InputError, match=rf"8 x 8 pixels or more for 'cnn'. Received: {shape[0]} x {shape[1]}"):
        check_image_shape("cnn", shape)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 2)])
def test_odd_shapes_are_refused(shape):
    with pytest.raises(InputError, match="1 or 3 channels"):
        check_image_shape("cnn", shape)


def test_names_and_sizes_cost_no_keras():
    code = "import sys, toolkit.models as m; m.check_image_shape('cnn', (9, 9, 1)); sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
