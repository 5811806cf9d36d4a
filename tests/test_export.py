"""Files for other runtimes: in those they answer as the classifier does, and what cannot be carried is named."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from made_models import kernel_machine, linear_machine, network, pictures
from numpy.testing import assert_allclose
from PIL import Image
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

import toolkit
from baselines import ColourFeatures, GLCMFeatures, OpenCVHOGFeatures, PixelFeatures, composed
from toolkit.cli.options import app
from toolkit.deep_features import BackboneFeatures
from toolkit.ensemble import Stacking, Voting
from toolkit.errors import InputError
from toolkit.export import export, graph
from toolkit.export.formats import NEEDS, SUFFIXES

ROUNDING = 2e-6  # of a probability, float32 against float64


@pytest.fixture(scope="module")
def images():
    return pictures(24, seed=3)[0]


@pytest.fixture(scope="module")
def models():
    return {"hog_svm": kernel_machine(), "network": network()}


def scaled(classes=3, channels=1):
    steps = [PixelFeatures(longest=12), StandardScaler(), PCA(10, whiten=True), LogisticRegression(C=0.1)]
    return make_pipeline(*steps).fit(*pictures(classes=classes, channels=channels))


@pytest.mark.jax
@pytest.mark.parametrize("make", [kernel_machine, linear_machine, scaled])
@pytest.mark.parametrize(("classes", "channels"), [(2, 1), (3, 3)])
def test_the_graph_answers_as_the_pipeline(make, classes, channels):
    images = pictures(24, classes=classes, channels=channels, seed=3)[0]
    model = make(classes, channels)
    before = model.predict_proba(images)
    assert np.median(before.max(axis=1)) < 0.999  # else all would be 0 or 1, and nothing compared
    assert_allclose(graph(model, (24, 24, channels)).predict_on_batch(images), before, atol=ROUNDING)


@pytest.mark.parametrize(
    ("features", "head"),
    [(ColourFeatures(grid=(2, 2)), "logistic"), (OpenCVHOGFeatures(), "linear"), (GLCMFeatures(), "linear")],
)
def test_the_graph_of_other_features_answers_as_they_do(features, head):
    images, labels = pictures(channels=3)
    model = composed(features, head, C=0.1).fit(images, labels)
    answer = graph(model, (24, 24, 3)).predict_on_batch(images)
    assert_allclose(answer, model.predict_proba(images), atol=10 * ROUNDING)  # sums of more terms


@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("name", ["hog_svm", "network"])
def test_a_file_answers_as_the_classifier_in_its_own_runtime(models, images, tmp_path, format, name):
    for module in NEEDS.get(format, ()):
        pytest.importorskip(module)
    labels = models[name].predict(images)
    found = export(models[name], tmp_path / f"model{SUFFIXES[format]}", format, images, labels=labels)
    assert found.largest_difference < 1e-5
    assert found.same_labels == found.accuracy == found.accuracy_before == 1
    assert found.size_bytes > 0
    assert [path.name for path in tmp_path.iterdir()] == [found.path.name]


@pytest.mark.jax
@pytest.mark.parametrize("kernel", ["nystroem", "fourier", "chi2", "auto", "linear"])
def test_the_graph_of_kernels_as_features_answers_as_they_do(kernel):
    images, labels = pictures(classes=2 if kernel == "linear" else 3)
    model = composed("pixels", "svm", kernel=kernel, C=0.01).fit(images, labels)
    before = model.predict_proba(images)
    assert np.median(before.max(axis=1)) < 0.999
    assert_allclose(graph(model, (24, 24, 1)).predict_on_batch(images), before, atol=1e-5)


@pytest.mark.parametrize("format", ["onnx", pytest.param("litert", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("kernel", ["nystroem", "fourier", "chi2"])
def test_kernels_as_features_are_files(images, tmp_path, format, kernel):
    for module in NEEDS[format]:
        pytest.importorskip(module)
    model = composed("pixels", "svm", kernel=kernel).fit(*pictures())
    assert export(model, tmp_path / f"model{SUFFIXES[format]}", format, images).largest_difference < 1e-4


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_features_and_machines_keep_their_answers_in_fewer_bits(models, images, tmp_path, precision):
    """int8 in whole numbers left 36 % of the labels of flowers: of these, weights alone are stored so."""
    pytest.importorskip("ai_edge_litert")
    found = export(models["hog_svm"], tmp_path / "a.tflite", "litert", images, precision=precision)
    assert found.largest_difference < 0.1
    assert found.same_labels > 0.95


def test_a_file_of_other_labels_is_not_kept(models, images, tmp_path, monkeypatch):
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setattr("toolkit.export.run", lambda path, format, images: np.eye(3)[np.arange(len(images)) % 3])
    with pytest.raises(InputError, match=r"not kept. Take float16"):
        export(models["network"], tmp_path / "a.tflite", "litert", images, precision="int8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_fewer_bits_are_smaller_and_say_what_they_cost(models, images, tmp_path, monkeypatch, precision):
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setattr("toolkit.export.LEAST_SAME", 0.5)  # noise leaves a network of two epochs undecided
    found = export(models["network"], tmp_path / "a.tflite", "litert", images, precision=precision)
    assert 0 < found.largest_difference < 0.2  # int8: a 256th of each activation's range, five layers deep
    assert found.same_labels > 0.5


@keras.saving.register_keras_serializable("tests")
class Singular(keras.layers.Layer):
    """Singular values, which neither format knows."""

    def call(self, values):
        return ops.svd(values, compute_uv=False)

    def compute_output_shape(self, shape):
        return (shape[0], min(shape[1:]))


def with_singular(image_shape, classes):
    inputs = keras.Input(image_shape)
    matrix = keras.layers.Reshape(image_shape[:2])(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(classes)(Singular(name="odd_one")(matrix)))


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_a_layer_that_cannot_be_carried_is_named(images, tmp_path, format):
    for module in NEEDS[format]:
        pytest.importorskip(module)
    with pytest.raises(InputError, match="'odd_one', a Singular"):
        export(network(with_singular), tmp_path / f"model{SUFFIXES[format]}", format, images)
    assert not list(tmp_path.iterdir())


def test_a_step_that_is_no_layer_is_named(images, tmp_path):
    model = make_pipeline(PixelFeatures(longest=6), RandomForestClassifier(3)).fit(*pictures())
    with pytest.raises(InputError, match="RandomForestClassifier"):
        export(model, tmp_path / "model.onnx", "onnx", images)


def fitted(ensemble, *members):
    """An ensemble of members that are fitted already; a stack's regression learns from what they say of their rows."""
    images, labels = pictures()
    ensemble.classes_, ensemble.fitted_, ensemble.weights_ = np.arange(3), list(members), np.array([0.7, 0.2, 0.1])
    if isinstance(ensemble, Stacking):
        answers = np.log(np.concatenate([member.predict_proba(images) for member in members], axis=1))
        ensemble.head_ = LogisticRegression(C=0.1).fit(answers, labels)
    return ensemble


@pytest.mark.jax
@pytest.mark.parametrize("kind", [Voting, Stacking])
def test_an_ensemble_of_both_sides_is_one_graph(models, images, kind):
    members = [models["hog_svm"], models["network"], network(seed=1)]  # two networks of one name
    ensemble = fitted(kind([]), *members)
    assert_allclose(graph(ensemble, (24, 24, 1)).predict_on_batch(images), ensemble.predict_proba(images), atol=1e-5)


@pytest.mark.parametrize("format", [pytest.param("onnx", marks=pytest.mark.thorough), "litert"])
def test_a_stack_is_one_file(models, images, tmp_path, format):
    for module in NEEDS[format]:
        pytest.importorskip(module)
    ensemble = fitted(Stacking([]), models["hog_svm"], models["network"], network(seed=1))
    assert export(ensemble, tmp_path / f"model{SUFFIXES[format]}", format, images).largest_difference < 1e-5


def test_a_machine_behind_a_backbone_is_one_graph():
    images, labels = pictures(rows=24, side=32, channels=3)
    model = composed(BackboneFeatures("mobilenet_025", weights=None), "svm").fit(images, labels)
    assert_allclose(graph(model, (32, 32, 3)).predict_on_batch(images), model.predict_proba(images), atol=1e-5)


def test_the_member_that_has_no_layers_is_named(models):
    forest = make_pipeline(PixelFeatures(longest=6), RandomForestClassifier(3)).fit(*pictures())
    with pytest.raises(InputError, match=r"Member 2 of the Voting.* Received: RandomForestClassifier"):
        graph(fitted(Voting([]), models["hog_svm"], forest, forest), (24, 24, 1))


def test_requests_that_are_refused(models, images, tmp_path):
    (tmp_path / "there.onnx").write_text("precious")
    for path, format, precision, words in (
        ("a.onnx", "onyx", "float32", "Did you mean 'onnx'"),
        ("a.onnx", "litert", "float32", r"\.tflite"),
        ("a.onnx", "onnx", "int8", "litert"),
        ("there.onnx", "onnx", "float32", "free"),
        ("no/a.onnx", "onnx", "float32", "folder"),
    ):
        with pytest.raises(InputError, match=words):
            export(models["network"], tmp_path / path, format, images, precision=precision)
    assert (tmp_path / "there.onnx").read_text() == "precious"


def test_what_is_not_fitted_or_not_its_images_is_refused_at_the_door(models, images, tmp_path):
    hog, network = models["hog_svm"], models["network"]
    for model, pictured, labels, words in (
        (clone(hog), images, None, "fitted"),
        (hog, images[:, :20], None, "as in fit"),
        (network, images[:, :20], None, "as in fit"),
        (hog, np.repeat(images, 3, axis=3), None, "as in fit"),
        (hog, images / 255, None, "uint8"),
        (hog, images[:0], None, "none"),
        (hog, images, np.array(["a"] * 24), "labels among"),
        (hog, images, np.full(24, 7), "labels among"),
        (hog, images, np.zeros(23, int), "labels among"),
    ):
        with pytest.raises(InputError, match=words):
            export(model, tmp_path / "a.onnx", "onnx", pictured, labels=labels)


def test_whole_numbers_are_not_scaled_by_made_up_pictures(models, tmp_path):
    model = toolkit.save(models["network"], tmp_path / "model")
    command = ["export", str(model), "--format", "litert", "--int8", "--out", str(tmp_path / "a.tflite")]
    with pytest.raises(InputError, match="--images FOLDER"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_the_command_checks_on_the_pictures_of_a_folder(models, tmp_path):
    for place, name in enumerate(("a", "b", "c")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number, image in enumerate(pictures(30)[0][place::3]):
            Image.fromarray(image[..., 0]).save(tmp_path / "data" / name / f"{number}.png")
    model = toolkit.save(models["network"], tmp_path / "model", class_names=["a", "b", "c"])
    command = ["export", str(model), "--format", "savedmodel", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--images", str(tmp_path / "data"), "--json"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert told["images"] == 30
    assert told["same_labels"] == 1
    assert (
        told["accuracy"]
        == told["accuracy_before"]
        == pytest.approx(np.mean(models["network"].predict(pictures(30)[0]) == pictures(30)[1]))
    )
