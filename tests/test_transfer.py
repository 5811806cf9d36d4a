"""Pretrained backbones: each family's own preprocessing, one flat graph, weights that fit or one line on why not."""

import os
import pickle
import urllib.error
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from toolkit.errors import InputError
from toolkit.explain import grad_cam
from toolkit.models import MODELS, check_image_shape, feature_extractor, transfer, without_weights
from toolkit.models.backbones import BACKBONES

DATA = Path(os.environ.get("TOUCHSTONE_TEST_DATA", "nowhere"))
real = pytest.mark.skipif(not DATA.is_dir(), reason="TOUCHSTONE_TEST_DATA names no folder")
# One backbone a family, the keras.applications module whose preprocess_input it must equal.
FAMILIES = {
    "xception": "xception",
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "resnet50": "resnet",
    "resnet50_v2": "resnet_v2",
    "inception_v3": "inception_v3",
    "inception_resnet_v2": "inception_resnet_v2",
    "mobilenet": "mobilenet",
    "mobilenet_v2": "mobilenet_v2",
    "densenet121": "densenet",
    "nasnet_mobile": "nasnet",
}
# Families whose networks normalise inside: the numbers of their layers, as keras.applications documents them.
INSIDE = {
    "mobilenet_v3_small": lambda x: x / 127.5 - 1,
    "efficientnet_b0": lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    "efficientnet_v2_b0": lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    "efficientnet_v2_s": lambda x: x / 128 - 1,
    "convnext_tiny": lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
}


def outputs(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


def pixels(shape, rows=2):
    return np.random.default_rng(0).integers(0, 256, (rows, *shape), dtype=np.uint8)


def preprocessed(name, images):
    from toolkit.models.transfer import _pixels

    inputs, tensor = _pixels(images.shape[1:], images.shape[1:3], BACKBONES[name].pixels)
    return outputs(keras.Model(inputs, tensor), images)


@pytest.fixture(scope="module")
def small():
    """A MobileNet small enough to build again and again, and its file in each of Keras' formats."""
    keras.utils.set_random_seed(0)
    return keras.applications.MobileNet(alpha=0.25, input_shape=(32, 32, 3), weights=None, include_top=False)


@pytest.mark.parametrize("name", FAMILIES)
def test_pixels_as_the_family_s_own_function_makes_them(name):
    images = pixels((5, 7, 3))
    golden = getattr(keras.applications, FAMILIES[name]).preprocess_input(images.astype(np.float32))
    assert_allclose(preprocessed(name, images), golden, atol=1e-4)  # float32, up to 255


@pytest.mark.parametrize("name", INSIDE)
def test_pixels_as_the_family_s_own_layers_make_them(name):
    images = pixels((5, 7, 3))
    assert_allclose(preprocessed(name, images), INSIDE[name](images.astype(np.float64)), atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["efficientnet_v2_b0", "convnext_tiny", "efficientnet_v2_s"])
def test_the_documented_layers_are_those_of_keras(name):
    images = pixels((32, 32, 3))
    network = getattr(keras.applications, BACKBONES[name].build)(
        weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    first = next(layer for layer in network.layers[1:] if type(layer).__name__ not in ("Rescaling", "Normalization"))
    golden = outputs(keras.Model(network.input, first.input), images)
    assert_allclose(preprocessed(name, images), golden, atol=1e-4)


@pytest.mark.parametrize(("name", "shape"), [("mobilenet_025", (40, 36, 1)), ("efficientnet_b0", (33, 32, 3))])
def test_one_flat_graph_that_is_saved_and_read_back(name, shape, tmp_path):
    model = MODELS[name](shape, 3, size=32, hidden=5)
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model | keras.layers.Normalization)]
    images = pixels(shape)
    logits = outputs(model, images)
    assert logits.shape == (2, 3)
    assert logits.dtype == np.float32
    model.save(tmp_path / "model.keras")
    assert_allclose(outputs(keras.saving.load_model(tmp_path / "model.keras"), images), logits, atol=1e-6)
    convolution = next(layer for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv2D))
    inner = keras.Model(model.input, [convolution.output, model.output])  # as Grad-CAM reaches for it
    assert_allclose(keras.ops.convert_to_numpy(inner(images, training=False)[1]), logits, atol=1e-6)
    assert outputs(feature_extractor(model), images).shape == (2, model.get_layer("hidden").input.shape[-1])


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_weights_by_path_in_each_format(small, suffix, tmp_path):
    path = tmp_path / f"small{suffix}"
    small.save_weights(path) if suffix == ".weights.h5" else small.save(path)
    images = pixels((32, 32, 3))
    ours = outputs(feature_extractor(transfer("mobilenet_025", (32, 32, 3), 2, weights=path, size=32)), images)
    golden = outputs(small, keras.applications.mobilenet.preprocess_input(images.astype(np.float32))).mean(axis=(1, 2))
    assert_allclose(ours, golden, atol=1e-5)


def test_a_network_of_ours_lends_its_backbone(tmp_path):
    first = transfer("mobilenet_025", (32, 32, 1), 7, hidden=4)
    first.save(tmp_path / "first.keras")
    second = transfer("mobilenet_025", (32, 32, 1), 2, weights=tmp_path / "first.keras", size=32)
    images = pixels((32, 32, 1))
    assert_allclose(outputs(feature_extractor(second), images), outputs(feature_extractor(first), images), atol=1e-6)


def damaged(path, how):
    data = path.read_bytes()
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "foreign":
        path.write_bytes(b"<!DOCTYPE html><html>not found</html>")
    elif how == "pickle":
        path.write_bytes(pickle.dumps({"conv1": 1}))
    elif how == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.pkl", "x")
    elif how == "other HDF5":
        with h5py.File(path, "w") as file:
            file["images"] = np.zeros(3)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("truncated", "breaks off"),
        ("foreign", "starts with b'<!DOCTYP'"),
        ("pickle", "starts with"),
        ("zip", "model.weights.h5"),
        ("other HDF5", r"HDF5 with \['images'\]"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_in_one_line(small, how, says, tmp_path):
    path = tmp_path / "small.weights.h5"
    small.save_weights(path)
    damaged(path, how)
    with pytest.raises(InputError, match=f"Expected.*Received.*{says}|Expected.*{says}.*Received") as caught:
        transfer("mobilenet_025", (32, 32, 3), 2, weights=path, size=32)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_weights_of_another_width_or_architecture_name_the_layer(small, suffix, tmp_path):
    path = tmp_path / f"small{suffix}"
    small.save_weights(path) if suffix == ".weights.h5" else small.save(path)
    said = r"others in .*: conv1/kernel is \(3, 3, 3, 32\) here and \(3, 3, 3, 8\) in the file, and 53 .*\(conv1_bn, "
    with pytest.raises(InputError, match=said):  # in the network's order
        transfer("mobilenet", (32, 32, 3), 2, weights=path, size=32)
    with pytest.raises(InputError, match=r"Expected weights of 'mobilenet_v2'.*Received"):
        transfer("mobilenet_v2", (32, 32, 3), 2, weights=path, size=32)


def test_offline_says_what_to_fetch_where_to_put_it_and_the_option(monkeypatch, tmp_path):
    def refuse(*arguments, **options):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", refuse)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path), raising=False)
    with pytest.raises(InputError, match=r"https://.*mobilenet_v2.*no_top\.h5.*\.keras/models.*weights=PATH") as caught:
        transfer("mobilenet_v2", (96, 96, 3), 2, weights="imagenet", size=96)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape", "options", "says"),
    [
        ("resnet5", (64, 64, 3), {}, "Did you mean 'resnet50'"),
        ("resnet50", (28, 28, 1), {}, "32 x 32 pixels or more for 'resnet50'. Received: 28 x 28"),
        ("inception_v3", (64, 64, 3), {}, "75 x 75 pixels or more"),
        ("inception_v3", (128, 128, 3), {"size": 64}, "75 x 75 pixels or more"),
        ("resnet50", (8, 8, 3), {"weights": "imagenet"}, "at least 14 x 14 pixels.*Received: 8 x 8"),
        ("deit_tiny", (224, 224, 3), {"size": 100}, "multiple of 16"),
        ("mobilenet_v2", (32, 32, 3), {"weights": "gone.h5"}, "weights file for 'mobilenet_v2' at gone.h5"),
        ("deit_tiny", (224, 224, 3), {"weights": "imagenet"}, "weights=PATH.*nobody publishes"),
        ("mobilenet_v2", (32, 32, 3), {"pooling": "avarage"}, "Did you mean 'average'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(name, shape, options, says):
    with pytest.raises(InputError, match=says) as caught:
        transfer(name, shape, 2, **options)
    assert "\n" not in str(caught.value)


def test_root_pooling_is_the_square_root_of_the_average():
    options = {"size": 32}
    plain, root = (transfer("mobilenet_025", (32, 32, 3), 2, **options, pooling=name) for name in ("average", "root"))
    root.set_weights(plain.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    average, found = (feature_extractor(model).predict_on_batch(images) for model in (plain, root))
    assert average.min() >= 0  # it ends in ReLU
    assert_allclose(found, np.sqrt(average), atol=0.011)  # what is added, so that zero has a gradient


@pytest.mark.parametrize(("name", "pooling"), [("resnet50", "root"), ("deit_tiny", None)])
def test_with_mirror_an_image_and_its_mirror_image_are_answered_alike(name, pooling):
    options = {"size": 32, "pooling": pooling}
    plain, both = (transfer(name, (32, 32, 3), 2, **options, mirror=told) for told in (False, True))
    both.set_weights(plain.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    turned = np.ascontiguousarray(images[:, :, ::-1])
    seen, other = (feature_extractor(plain).predict_on_batch(one) for one in (images, turned))
    found = feature_extractor(both).predict_on_batch(images)
    assert np.abs(seen - other).max() > 10 * np.abs(found - (seen + other) / 2).max()
    assert_allclose(found, (seen + other) / 2, atol=1e-3 * np.abs(found).max())  # float32, another order of sums
    one, two = (both.predict_on_batch(rows) for rows in (images, turned))
    assert_allclose(one, two, atol=1e-3 * np.abs(one).max())
    assert_allclose(both.predict_on_batch(images[:1]), one[:1], atol=1e-4)
    maps, back = (grad_cam(both, rows, columns=[1, 1, 1]) for rows in (images, turned))
    assert_allclose(maps, back[:, :, ::-1], atol=0.05)


def test_a_missing_extra_names_its_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "keras_hub", None)
    with pytest.raises(InputError, match=r"KerasHub.*pip install 'touchstone-vision\[hub\]'"):
        transfer("swin_tiny", (224, 224, 3), 2)


def test_small_images_are_taken_where_they_are_enlarged():
    check_image_shape("resnet50", (28, 28, 1), {"weights": "imagenet"})
    check_image_shape("vgg16", (28, 28, 1), {"weights": "imagenet"})
    with pytest.raises(InputError, match="32 x 32 pixels or more"):
        check_image_shape("resnet50", (28, 28, 1))


def sample(side):
    """The ImageNet photographs' middle squares at `side` pixels, uint8 (200, side, side, 3), and their labels."""
    images, labels = [], []
    for path in sorted((DATA / "imagenet_sample_256").glob("*.jpg")):
        photograph = Image.open(path).convert("RGB")
        left, top = ((length - min(photograph.size)) // 2 for length in photograph.size)
        square = photograph.crop((left, top, left + min(photograph.size), top + min(photograph.size)))
        images.append(np.asarray(square.resize((side, side), Image.Resampling.BILINEAR)))
        labels.append(int(path.name[:3]))
    return np.stack(images), np.array(labels)


def take_head(model, path):
    """The file's own ImageNet head: the one dense layer, or 1 x 1 convolution, with 1,000 outputs."""
    with h5py.File(path) as file:
        found = [layer["vars"] for layer in file["layers"].values() if "0" in layer.get("vars", ())]
        kernel = next(arrays for arrays in found if arrays["0"].shape[-1] == 1000)
        model.get_layer("logits").set_weights([kernel["0"][()].reshape(-1, 1000), kernel["1"][()]])


@real
@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:Skipping nested container")  # of the reference, which Keras loads itself
@pytest.mark.parametrize(
    ("name", "side", "file"),
    [("mobilenet_v2", 224, "mobilenet_v2_1.0_224_float32_top"), ("mobilenet_025", 128, "mobilenet_v1_0.25_128_top")],
)
def test_photographs_are_classified_as_keras_applications_does(name, side, file):
    path = DATA / "weights" / f"{file}.weights.h5"
    images, labels = sample(side)
    row = BACKBONES[name]
    model = transfer(name, (side, side, 3), 1000, weights=path, size=side)
    take_head(model, path)
    reference = getattr(keras.applications, row.build)(weights=path, input_shape=(side, side, 3), **row.options)
    golden = getattr(keras.applications, FAMILIES[name.removesuffix("_025")]).preprocess_input(
        images.astype(np.float32)
    )
    ours = model.predict(images, verbose=0).argmax(axis=1)
    theirs = reference.predict(golden, verbose=0).argmax(axis=1)
    assert (ours != theirs).sum() <= 2
    assert abs((ours == labels).sum() - (theirs == labels).sum()) <= 2


@real
@pytest.mark.thorough
def test_deit_tiny_takes_keras_hub_s_weights():
    path = DATA / "weights" / "keras_hub_vit_deit_tiny16_224_classifier.weights.h5"
    images, labels = sample(224)
    model = transfer("deit_tiny", (224, 224, 3), 1000, weights=path)
    take_head(model, path)
    assert np.mean(model.predict(images, verbose=0).argmax(axis=1) == labels) >= 0.79  # 0.82 seen; 0.796 on 1,000


def test_images_a_little_larger_than_the_network_are_cut_not_blurred():
    vit = transfer("deit_tiny", (36, 34, 3), 2, size=32)
    assert "resizing" not in {layer.name for layer in vit.layers}
    images = np.random.default_rng(0).integers(0, 256, (1, 36, 34, 3), dtype=np.uint8)
    cut = keras.Model(vit.input, vit.get_layer("middle").output).predict_on_batch(images)
    assert_allclose(cut, images[:, 2:34, 1:33])
    assert "resizing" in {layer.name for layer in transfer("deit_tiny", (38, 32, 3), 2, size=32).layers}


def test_a_pretrained_network_that_leaves_the_choice_sees_square_images_up_to_an_eighth_larger_as_they_are(tmp_path):
    path = tmp_path / "small.weights.h5"
    keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False).save_weights(path)
    seen = {
        shape: transfer("mobilenet_025", shape, 2, weights=path).get_layer("preprocessing").output.shape[1:3]
        for shape in ((227, 227, 1), (227, 240, 1), (300, 300, 1), (64, 64, 1))
    }
    assert seen == {
        (227, 227, 1): (227, 227),
        (227, 240, 1): (224, 224),
        (300, 300, 1): (224, 224),
        (64, 64, 1): (224, 224),
    }
    again = transfer(
        "mobilenet_025", (227, 227, 1), 2, **without_weights("mobilenet_025", {"weights": path}, (227, 227, 1))
    )
    assert again.get_layer("preprocessing").output.shape[1:3] == (227, 227)
