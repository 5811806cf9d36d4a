"""The model's folder: the same answers when it is read back, and one line when it is not what was saved."""

import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
import skops.io
from made_models import kernel_machine, linear_machine, network, pictures
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import baselines
import toolkit
import toolkit.ensemble
from baselines import PixelFeatures
from toolkit.artifact.network import OURS, _check_config, read_network
from toolkit.artifact.trees import check_trees
from toolkit.artifact.trusted import TRUSTED
from toolkit.ensemble import Voting
from toolkit.errors import InputError
from toolkit.models import MODELS

TOLERANCE = 1e-6  # of a probability: what issue 7 promises


@pytest.fixture(scope="module")
def models():
    return {
        "kernel": kernel_machine(),
        "linear": linear_machine(classes=2),
        "network": network(),
        "forest": make_pipeline(PixelFeatures(longest=6), RandomForestClassifier(5, random_state=0)).fit(*pictures()),
    }


@pytest.fixture(scope="module")
def saved(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name in ("kernel", "network", "forest"):
        toolkit.save(models[name], folder / name, class_names=["a", "b", "c"])
    return folder


@pytest.mark.jax
@pytest.mark.parametrize("name", ["kernel", "linear", "network", "forest"])
def test_the_same_answers_when_read_back(models, tmp_path, name):
    before = models[name]
    images, _ = pictures(20, seed=5)
    folder = toolkit.save(before, tmp_path / "deep" / "model")
    after = toolkit.load_model(folder)
    assert_allclose(after.predict_proba(images), before.predict_proba(images), atol=TOLERANCE)
    assert_array_equal(after.classes_, before.classes_)
    assert not list(folder.parent.glob("*.partial"))


def test_a_removal_that_is_cut_short_leaves_a_whole_model(models, tmp_path, monkeypatch):
    def cut(folder, ignore_errors=False):
        (Path(folder) / "model.json").unlink(missing_ok=True)
        raise KeyboardInterrupt

    folder = toolkit.save(models["linear"], tmp_path / "model")
    with monkeypatch.context() as context:
        context.setattr("toolkit.artifact.folder.shutil.rmtree", cut)
        with pytest.raises(KeyboardInterrupt):
            toolkit.save(models["forest"], folder)
    assert "forest" in toolkit.read_card(folder)["what"].lower()
    toolkit.save(toolkit.load_model(folder), folder)


def test_a_model_that_cannot_be_put_in_place_leaves_the_older_one(models, tmp_path, monkeypatch):
    folder, move = toolkit.save(models["linear"], tmp_path / "model"), os.replace

    def refuse(source, target):
        if Path(target) == folder and not str(source).endswith(".older.partial"):
            raise OSError("no room")
        move(source, target)

    before = toolkit.read_card(folder)
    monkeypatch.setattr("toolkit.artifact.folder.os.replace", refuse)
    with pytest.raises(OSError, match="no room"):
        toolkit.save(models["forest"], folder)
    assert toolkit.read_card(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_members_that_are_networks_are_found_however_deep(models, tmp_path):
    images, labels = pictures()
    members = [("pixels", models["forest"]), ("network", models["network"])]
    ensemble = Voting(members).fit(images, labels)
    after = toolkit.load_model(toolkit.save(ensemble, tmp_path / "model"))
    assert_allclose(after.predict_proba(images), ensemble.predict_proba(images), atol=TOLERANCE)
    assert type(ensemble.fitted_[1]).__name__ == "KerasClassifier"  # the one that was saved is as it was


def test_the_card_tells_what_it_is(saved, models):
    card = toolkit.read_card(saved / "network")
    assert card["class_names"] == ["a", "b", "c"]
    assert card["classes"] == [0, 1, 2]
    assert card["image_shape"] == [24, 24, 1]
    assert "KerasClassifier" in card["what"]
    assert card["versions"]["keras"]
    assert set(card["files"]) == {"classifier.skops", "network_0.keras"}


def test_a_network_made_by_a_function_is_fitted_again_without_it(saved):
    images, labels = pictures()
    read = toolkit.load_model(saved / "network")
    again = clone(read).fit(images, labels)
    assert again.predict_proba(images).shape == (60, 3)
    assert pickle.loads(pickle.dumps(again)).predict_proba(images[:2]).shape == (2, 3)
    with pytest.raises(InputError, match="24, 24, 1"):
        clone(read).fit(images[:, :20], labels)


@pytest.mark.skipif(find_spec("jax") is None, reason="the extra jax is not installed")
def test_the_same_answers_in_another_process_on_the_other_backend(saved, models, tmp_path):
    images, _ = pictures(20, seed=5)
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy, toolkit; images = numpy.load('images.npy');\n"
        "for name in ('kernel', 'network'):\n"
        "    numpy.save(name + '.npy', toolkit.load_model(f'{sys.argv[1]}/{name}').predict_proba(images))"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(saved)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for name in ("kernel", "network"):
        answers = np.load(tmp_path / f"{name}.npy")
        assert_allclose(answers, models[name].predict_proba(images), atol=TOLERANCE)


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    images, labels = pictures()
    model = make_pipeline(FunctionTransformer(lambda x: x.reshape(len(x), -1)), RandomForestClassifier(2))
    with pytest.raises(InputError, match="Expected"):
        toolkit.save(model.fit(images, labels), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_left_alone(models, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    with pytest.raises(InputError, match="something else"):
        toolkit.save(models["forest"], tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "precious"
    with pytest.raises(InputError, match="fitted"):
        toolkit.save(clone(models["forest"]), tmp_path / "model")


class Evil:
    """Runs what it is told when a pickle is read."""

    def __reduce__(self):
        return os.mkdir, ("it-ran",)


def sealed(folder):
    """Make the card agree with the files, as a forger would."""
    card = json.loads((folder / "model.json").read_text())
    others = [path for path in folder.iterdir() if path.name != "model.json"]
    card["files"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in others}
    (folder / "model.json").write_text(json.dumps(card))


def edited(folder, **changes):
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**card, **changes}))


def with_byte_changed(folder):
    data = bytearray((folder / "classifier.skops").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "classifier.skops").write_bytes(data)


def with_config(folder, change):
    """The network's file with another configuration, and a card that agrees."""
    path = folder / "network_0.keras"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config, members)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    sealed(folder)


def as_lambda(config, members):
    layer = config["config"]["layers"][1]
    layer.update(class_name="Lambda", config={"name": layer["name"], "function": "os.mkdir"})


def as_foreign(config, members):
    config["config"]["layers"][1].update(module="keras_hub.layers", class_name="Anything")


def as_function(config, members):
    name = {"class_name": "function", "config": "mkdir", "module": "os", "registered_name": "function"}
    config["config"]["layers"][2]["config"]["activation"] = name


def with_member(config, members):
    members["assets/vocabulary.txt"] = b"/etc/passwd"


def with_link(config, members):
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        file["elsewhere"] = h5py.ExternalLink("/etc/hostname", "/")
    members["model.weights.h5"] = buffer.getvalue()


def foreign_type(folder):
    (folder / "classifier.skops").write_bytes(skops.io.dumps(make_pipeline(FunctionTransformer(os.mkdir))))
    sealed(folder)


def as_pickle(folder):
    (folder / "classifier.skops").write_bytes(pickle.dumps(Evil()))
    sealed(folder)


HOSTILE = {
    "no card": (lambda folder: (folder / "model.json").unlink(), r"model\.json"),
    "no JSON": (lambda folder: (folder / "model.json").write_text("{"), r"model\.json"),
    "newer schema": (lambda folder: edited(folder, schema=99), "99.*Update"),
    "no files": (lambda folder: edited(folder, files=None), "files"),
    "file outside": (lambda folder: edited(folder, files={"../x": ""}), r"\.\./x"),
    "missing": (lambda folder: (folder / "network_0.keras").unlink(), "network_0.*missing"),
    "changed": (with_byte_changed, "changed"),
    "planted pickle": (lambda folder: (folder / "model.pkl").write_bytes(pickle.dumps(Evil())), r"model\.pkl"),
    "pickle in its place": (as_pickle, "skops writes"),
    "foreign type": (foreign_type, "mkdir"),
    "lambda": (lambda folder: with_config(folder, as_lambda), "Lambda"),
    "foreign layer": (lambda folder: with_config(folder, as_foreign), "keras_hub"),
    "function": (lambda folder: with_config(folder, as_function), r"os\.mkdir"),
    "member": (lambda folder: with_config(folder, with_member), "vocabulary"),
    "link": (lambda folder: with_config(folder, with_link), "elsewhere"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_in_one_line_and_runs_nothing(saved, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    change, words = HOSTILE[name]
    shutil.copytree(saved / "network", tmp_path / "model")
    change(tmp_path / "model")
    with pytest.raises(InputError, match=words) as raised:
        toolkit.load_model(tmp_path / "model")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "it-ran").exists()


def test_a_forged_tree_is_refused(models, tmp_path):
    forest = pickle.loads(pickle.dumps(models["forest"]))[-1]
    tree = forest.estimators_[0]
    check_trees(tree, tmp_path)
    tree.tree_.children_left[0] = 10**6
    with pytest.raises(InputError, match="nodes"):
        check_trees(tree, tmp_path)
    forest.n_features_in_ = 1
    with pytest.raises(InputError, match="features"):
        check_trees(forest, tmp_path)


def test_every_estimator_of_ours_is_on_the_list():
    offered = [getattr(baselines, name) for name in baselines.__all__]
    offered += [
        value for value in vars(toolkit.ensemble).values() if getattr(value, "__module__", "") == "toolkit.ensemble"
    ]
    for value in offered:
        if isinstance(value, type) and issubclass(value, BaseEstimator) and not value.__name__.startswith("_"):
            assert f"{value.__module__}.{value.__name__}" in TRUSTED


@pytest.mark.parametrize("name", ["cnn", "resnet20_cbam", "convnext_atto", "vit_tiny", "capsnet", "mobilenet_v2"])
def test_our_networks_are_on_the_list(name):
    _check_config(json.loads(MODELS[name]((32, 32, 3), 4).to_json()), name)


def test_our_layers_are_on_the_list():
    import keras

    import toolkit.models.layers as layers

    own = {name for name, value in vars(layers).items() if isinstance(value, type)}
    assert {name for name in own if issubclass(getattr(layers, name), keras.layers.Layer)} == OURS


def test_a_network_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "network_0.keras").write_bytes(b"no zip")
    with pytest.raises(InputError, match="as Keras writes it"):
        read_network(tmp_path / "network_0.keras")


class Own:
    """A contestant of a user's own class."""

    def fit(self, images, labels):
        self.classes_ = np.unique(labels)
        return self

    def predict_proba(self, images):
        return np.full((len(images), len(self.classes_)), 1 / len(self.classes_))


def test_a_duel_keeps_its_models_and_says_which_it_could_not(tmp_path):
    images, labels = pictures(90)
    dataset = toolkit.load((images, labels), seed=0)
    forest = make_pipeline(PixelFeatures(longest=6), RandomForestClassifier(5, random_state=0))
    out = tmp_path / "run"
    duel = toolkit.compare({"forest": forest, "own": Own()}, dataset, out=out, resamples=200)
    card = toolkit.read_card(out / "forest" / "model")
    assert card["manifest"] == dataset.manifest.sha256
    assert card["metrics"]["test_accuracy"] == pytest.approx(duel.outcomes["forest"].evaluation["accuracy"].value)
    again = toolkit.load_model(out / "forest" / "model").predict_proba(dataset.test.images)
    assert_allclose(again, toolkit.read_predictions(out / "forest" / "predictions.npz").probabilities, atol=TOLERANCE)
    assert not (out / "own" / "model").exists()
    assert "test_artifact.Own" in json.loads((out / "own" / "contestant.json").read_text())["unsaved"]
