"""The networks from scratch: the papers' sizes, uint8 in and float32 logits out, saved and read back, able to learn."""

import json
import math
import os
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import torch_checkpoint
from numpy.testing import assert_allclose
from PIL import Image
from zoo import DEEPER, QUICK, SECONDS, SIZES, family

from toolkit.errors import InputError
from toolkit.models import MODELS, SMALLEST, check_image_shape, feature_extractor
from toolkit.models.backbones import BACKBONES
from toolkit.models.blocks import Style
from toolkit.models.capsule import capsnet, margin_loss
from toolkit.models.layers import squash
from toolkit.models.options import check_options, taken
from toolkit.models.vit import patch_size

DATA = Path(os.environ.get("TOUCHSTONE_TEST_DATA", "nowhere"))


def make_images(shape, rows=32, classes=4, seed=0):
    """Noise of full range; each image a class by lot, so that only memory tells it."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (rows, *shape), dtype=np.uint8)
    return images, generator.permutation(np.arange(rows) % classes)


FAMILIES = [pytest.param(name, marks=[pytest.mark.thorough] if name in DEEPER else []) for name in QUICK]


def built(name, image_shape, classes=4, **options):
    keras.utils.set_random_seed(0)
    return MODELS[name](image_shape, classes, **(QUICK[name][0] | options))


def outputs(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


SIZED = [pytest.param(row, marks=[pytest.mark.thorough] if row.name in SECONDS else []) for row in SIZES]


@pytest.mark.parametrize("row", SIZED, ids=lambda row: f"{row.name}-{row.parameters}")
def test_the_paper_s_size(row, monkeypatch):
    if row.name.startswith("swin"):
        pytest.importorskip("keras_hub", reason="needs the extra hub")

    def zeros(self, shape, dtype=None):  # 138 million normal numbers would take most of the test's time
        return keras.ops.zeros(shape, dtype)

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)
    model = MODELS[row.name](row.image_shape, row.classes, **row.options)
    assert sum(math.prod(weight.shape) for weight in model.trainable_variables) == row.parameters
    assert model.output_shape == (None, row.classes)


def test_every_network_from_scratch_and_every_family_of_backbones_has_its_size():
    rows = {row.name for row in SIZES}
    assert set(MODELS) - set(BACKBONES) <= rows
    assert {family(name) for name in rows & set(BACKBONES)} == {family(name) for name in BACKBONES}


@pytest.mark.parametrize("image_shape", [pytest.param((40, 36, 1), marks=pytest.mark.jax), (130, 128, 3)], ids=str)
@pytest.mark.parametrize(
    "name", ["resnet20_cbam", "resnet18", "wide_resnet_16_4", "vit_tiny", "convnext_atto", "capsnet"]
)
def test_pixels_of_any_size_in_and_logits_out(name, image_shape):
    model = built(name, image_shape)
    images, _ = make_images(image_shape, rows=2)
    logits = outputs(model, images)
    assert logits.shape == (2, 4)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert_allclose(outputs(model, images.astype(np.float32)), logits, atol=1e-6)
    features = outputs(feature_extractor(model), images)
    assert features.ndim == 2
    assert np.isfinite(features).all()


@pytest.mark.thorough
@pytest.mark.parametrize("name", FAMILIES)
def test_saved_in_safe_mode_and_read_back(name, tmp_path):
    model = built(name, (32, 32, 3))
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model | keras.layers.Normalization)]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    images, _ = make_images((32, 32, 3), rows=2)
    assert_allclose(outputs(again, images), outputs(model, images), atol=1e-6)
    json.dumps(model.get_config(), default=str)


@pytest.mark.parametrize("name", ["resnet20_se", "vit_tiny", "capsnet", "googlenet"])
def test_logits_are_float32_under_mixed_precision(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        logits = built(name, (32, 32, 3))(make_images((32, 32, 3), rows=2)[0], training=False)
    finally:
        keras.config.set_dtype_policy(before)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"


@pytest.mark.thorough
@pytest.mark.parametrize("name", FAMILIES)
def test_overfits_32_images(name):
    _, rate, most = QUICK[name]
    images, labels = make_images((20, 20, 1))
    model = built(name, (20, 20, 1))
    loss = margin_loss if name == "capsnet" else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    for _ in range(most // 10):
        model.fit(images, labels, batch_size=32, epochs=10, verbose=0)
        accuracy = np.mean(outputs(model, images).argmax(axis=1) == labels)
        if accuracy == 1:
            break
    assert accuracy == 1


@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_image_is_taken_and_the_next_smaller_refused(name):
    side = SMALLEST[name]
    check_image_shape(name, (side, side + 3, 1))
    assert built(name, (side, side + 3, 1)).output_shape == (None, 4)
    with pytest.raises(InputError, match=rf"{side} x {side} pixels or more.*Received: {side - 1} x 40") as caught:
        check_image_shape(name, (side - 1, 40, 3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("normalisation", ["batch", "group", "layer", "none"])
@pytest.mark.parametrize(("activation", "initialiser"), [("gelu", "he"), ("tanh", "glorot")])
def test_style_is_a_matter_of_options(normalisation, activation, initialiser):
    style = {"normalisation": normalisation, "activation": activation, "initialiser": initialiser}
    model = MODELS["resnet20"]((16, 16, 1), 3, depth=0.2, dropout=0.1, **style)
    kinds = {type(layer).__name__ for layer in model.layers}
    norms = {"BatchNormalization", "GroupNormalization", "LayerNormalization"}
    wanted = {"batch": "BatchNormalization", "group": "GroupNormalization", "layer": "LayerNormalization"}
    assert kinds & norms == ({wanted[normalisation]} if normalisation != "none" else set())
    assert {layer.activation.__name__ for layer in model.layers if hasattr(layer, "activation")} == {
        activation,
        "linear",
    }
    kernel = model.get_layer("stage1_1a_conv").kernel_initializer
    assert isinstance(
        kernel, {"he": keras.initializers.HeNormal, "glorot": keras.initializers.GlorotUniform}[initialiser]
    )


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [({"activation": "rellu"}, "relu"), ({"normalisation": "bach"}, "batch"), ({"initialiser": "hee"}, "he")],
)
def test_an_unknown_style_is_refused_with_the_nearest(wrong, nearest):
    with pytest.raises(InputError, match=f"Did you mean '{nearest}'"):
        Style(**wrong)


@pytest.mark.parametrize("normalisation", ["group", "none"])
@pytest.mark.parametrize("name", ["cnn", "vgg11"])
def test_the_plain_networks_have_the_same_style(name, normalisation):
    model = MODELS[name]((16, 16, 1), 3, normalisation=normalisation, activation="silu", initialiser="glorot")
    kinds = {type(layer).__name__ for layer in model.layers}
    assert "BatchNormalization" not in kinds
    assert ("GroupNormalization" in kinds) == (normalisation == "group")
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert all(layer.use_bias == (normalisation == "none") for layer in convolutions)
    assert all(isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform) for layer in convolutions)
    assert "silu" in {layer.activation.__name__ for layer in model.layers if hasattr(layer, "activation")}


@pytest.mark.parametrize("attention", ["se", "cbam"])
@pytest.mark.parametrize("name", ["cnn", "vgg11", "resnet20", "wide_resnet_16_4"])
def test_attention_is_an_option_of_the_convolutional_networks(name, attention):
    plain, attentive = (MODELS[name]((16, 16, 1), 3, **told) for told in ({}, {"attention": attention}))
    named = [layer.name for layer in attentive.layers if layer.name.endswith("attention_out")]
    assert len(named) >= 1
    assert [layer.name for layer in attentive.layers if layer.name.endswith("_places")] or attention == "se"
    assert attentive.count_params() > plain.count_params()
    assert outputs(attentive, make_images((16, 16, 1), rows=2)[0]).shape == (2, 3)


def test_attention_by_option_is_the_network_of_that_name():
    by_option, by_name = MODELS["resnet20"]((16, 16, 1), 3, attention="se"), MODELS["resnet20_se"]((16, 16, 1), 3)
    assert [layer.name for layer in by_option.layers if "stage" in layer.name] == [
        layer.name for layer in by_name.layers if "stage" in layer.name
    ]


def test_a_transformer_s_activation_is_an_option():
    model = MODELS["vit_tiny"]((16, 16, 1), 3, blocks=1, activation="relu")
    assert model.get_layer("block1_dense1").activation.__name__ == "relu"


@pytest.mark.parametrize(
    ("name", "wrong", "says"),
    [
        ("cnn", {"activation": "rellu"}, "Unknown activation 'rellu'. Did you mean 'relu'"),
        ("cnn", {"width": 0}, "width as a whole number from 1 to 4096. Received: 0"),
        ("cnn", {"width": 16.0}, "width as a whole number"),
        ("cnn", {"attention": "sse"}, "Did you mean 'se'"),
        ("resnet20", {"width": -1}, "width as a whole number from 1 to 4096. Received: -1"),
        ("resnet20", {"blocks": True}, "blocks as a whole number"),
        ("resnet20", {"widht": 8}, "that 'resnet20' takes .*widht=8, which it does not; did you mean 'width'"),
        ("resnet20", {"form": 8}, "form=8, which it does not"),
        ("cnn", {"depth": 0.1}, "leave it away, or stochastic_depth where a recipe told it"),
        ("vit_tiny", {"dropout": 1}, "dropout as a number from 0 to 0.99"),
        ("capsnet", {"capsules": 0}, "capsules as a whole number"),
        ("mobilenet_v2", {"hidden": -1}, "hidden as a whole number from 0"),
        ("mobilenet_v2", {"dropout": 2}, "dropout as a number from 0 to 0.99. Received: 2"),
        ("mobilenet_v2", {"mirror": 1}, "mirror as true or false. Received: 1"),
        ("mobilenet_v2", {"poolin": "root"}, "'mobilenet_v2' takes .*did you mean 'pooling'"),
        ("vgg16", {"hidden": 8}, "that 'vgg16' takes .*hidden=8, which it does not"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_built(name, wrong, says):
    with pytest.raises(InputError, match=says) as caught:
        MODELS[name]((32, 32, 3), 2, **wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", MODELS)
def test_every_default_may_be_told(name):
    check_options(name, MODELS[name], taken(MODELS[name]))


def test_stochastic_depth_drops_whole_residuals_of_some_images_in_training_only():
    model = MODELS["wide_resnet_16_4"]((8, 8, 1), 2, width=8, depth=0.9)
    images = np.repeat(make_images((8, 8, 1), rows=1)[0], 64, axis=0)
    assert np.ptp(outputs(model, images), axis=0).max() < 1e-5
    dropping = keras.Model(
        model.input, [model.get_layer("stage3_2_sum").output, model.get_layer("stage3_2_sum").input[1]]
    )
    summed, shortcut = (keras.ops.convert_to_numpy(part) for part in dropping(images, training=True))
    dropped = np.abs(summed - shortcut).reshape(64, -1).max(axis=1) == 0
    assert 0.7 < dropped.mean() < 1  # 0.9 of 64, by lot


@pytest.mark.parametrize(
    ("side", "patch"), [(8, 2), (28, 4), (32, 4), (55, 4), (64, 8), (111, 8), (112, 16), (224, 16)]
)
def test_patches_fit_the_image(side, patch):
    assert patch_size((side, side, 3)) == patch


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(InputError, match=r"at most 12 pixels.*Received: 16"):
        MODELS["vit_tiny"]((12, 30, 1), 2, patch=16)


@pytest.mark.jax
def test_a_capsule_s_length_is_the_sigmoid_of_its_logit():
    model = capsnet((20, 20, 1), 3, filters=8, capsules=2)
    images, _ = make_images((20, 20, 1), rows=5)
    inside = keras.Model(model.input, [model.get_layer("routing").output, model.output])
    capsules, logits = inside(images, training=False)
    lengths = np.linalg.norm(keras.ops.convert_to_numpy(squash(capsules)), axis=-1)
    assert_allclose(lengths, 1 / (1 + np.exp(-keras.ops.convert_to_numpy(logits))), rtol=1e-2, atol=1e-6)  # the 1e-7
    assert (lengths < 1).all()


@pytest.mark.jax
def test_the_margin_loss_is_equation_4():
    lengths = np.array([[0.95, 0.05, 0.3], [0.5, 0.95, 0.1]])
    logits = np.log(lengths / (1 - lengths)).astype(np.float32)
    expected = [0.5 * 0.2**2, 0.4**2 + 0.5 * 0.85**2]  # by hand, labels 0 and 0
    by_label = keras.ops.convert_to_numpy(margin_loss(keras.ops.array([0, 0]), logits))
    by_share = keras.ops.convert_to_numpy(margin_loss(keras.ops.array([[1.0, 0, 0], [1, 0, 0]]), logits))
    assert_allclose(by_label, expected, atol=1e-6)
    assert_allclose(by_share, expected, atol=1e-6)


def test_the_reconstruction_joins_the_loss_in_training_only():
    images, _ = make_images((20, 20, 1), rows=6)
    model = capsnet((20, 20, 1), 3, filters=8, capsules=2, reconstruction=0.01)
    model(images, training=False)
    assert not model.losses
    trained = model(images, training=True)
    assert len(model.losses) == 1
    # sigmoid of almost nothing is 0.5 everywhere: 0.01 * the sum over 400 pixels of (0.5 - x)**2
    guess = 0.01 * ((0.5 - images / 255) ** 2).sum(axis=(1, 2, 3)).mean()
    assert_allclose(float(model.losses[0]), guess, rtol=0.1)
    assert_allclose(keras.ops.convert_to_numpy(trained), outputs(model, images), atol=1e-5)
    assert not [
        weight for weight in capsnet((20, 20, 1), 3, reconstruction=0).weights if "reconstruction" in weight.path
    ]


@pytest.mark.skipif(not DATA.is_dir(), reason="TOUCHSTONE_TEST_DATA names no folder")
def test_published_weights_make_resnet20_what_the_paper_says():
    state = torch_checkpoint.read(DATA / "weights" / "akamaster" / "resnet20-12fca82f.th")
    arrays = [array for name, array in state.items() if not name.endswith("num_batches_tracked")]
    mean, deviation = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    model = MODELS["resnet20"]((32, 32, 3), 10, mean=mean, deviation=deviation)
    model.set_weights([array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T for array in arrays])
    with zipfile.ZipFile(DATA / "cifar10_png.zip") as archive:
        names = sorted(name for name in archive.namelist() if "/test/" in name and name.endswith(".png"))
        images = np.stack([np.asarray(Image.open(archive.open(name)).convert("RGB")) for name in names])
    classes = [name.split("/")[-2] for name in names]
    labels = np.unique(classes, return_inverse=True)[1]  # CIFAR-10's own order is the alphabet's
    accuracy = np.mean(model.predict(images, batch_size=250, verbose=0).argmax(axis=1) == labels)
    assert accuracy >= 0.91  # 0.9173 on all 10,000
