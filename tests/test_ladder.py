"""The ladder: the same heads on every rung, a backbone's features before them, and a note where weights are missing."""

import io
import os
import pickle

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose
from rich.console import Console
from sklearn.base import clone

import toolkit
from toolkit.data import Dataset, Manifest, Split
from toolkit.deep_features import BackboneFeatures
from toolkit.ladder import HEADS_TRIED, RUNGS, ladder, ladder_table
from toolkit.names import BACKBONE_HEADS, CATALOGUE, FEATURES, HEADS
from toolkit.training import Recipe

SHAPE = (32, 36, 3)
GENERATOR = np.random.default_rng(0)
LABELS = np.arange(48) % 3
IMAGES = GENERATOR.normal(60 + 50 * LABELS[:, None, None, None], 30, (48, *SHAPE)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A MobileNet of a quarter's width with random weights, but for BatchNorm's statistics, as a file."""
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNet(alpha=0.25, input_shape=(32, 32, 3), weights=None, include_top=False)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # the statistics of this one batch, or the random layers' signal would fade
    network(IMAGES[:, :, :32] / 127.5 - 1, training=True)
    path = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    network.save_weights(path)
    return path


def test_the_catalogue_names_every_pair_that_it_can_build():
    from baselines import heads

    assert set(FEATURES) == set(heads.FEATURES)
    assert set(HEADS) == set(heads.HEADS)
    assert set(BACKBONE_HEADS) <= set(HEADS)
    for name in FEATURES:
        for head in HEADS:
            assert CATALOGUE[f"{name}_{head}"].side == "classical"
    with pytest.raises(ValueError, match=r"features as one of pixels, .* Received: 'sift'"):
        heads.composed("sift", "svm")
    with pytest.raises(ValueError, match=r"head as one of svm, .* Received: 'tree'"):
        heads.composed("hog", "tree")


def test_unit_scale_gives_rows_of_length_one_in_the_mean_of_squares():
    from baselines.heads import UnitScale

    features = np.random.default_rng(0).normal(3, [1, 10, 0], (500, 3)).astype(np.float32)
    scaled = UnitScale().fit_transform(features)
    assert np.mean(np.sum(scaled**2, axis=1)) == pytest.approx(1, rel=1e-4)
    assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert UnitScale().fit_transform(np.ones((4, 3))).tolist() == np.zeros((4, 3)).tolist()


def test_frozen_features_are_the_network_s_and_need_no_file_later(weights):
    features = BackboneFeatures("mobilenet_025", str(weights), size=32)
    found = clone(features).fit(IMAGES, LABELS)
    from toolkit.models import feature_extractor, transfer

    network = feature_extractor(transfer("mobilenet_025", SHAPE, 2, weights=str(weights), size=32))
    answer = found.transform(IMAGES[:5])
    assert_allclose(answer, network.predict(IMAGES[:5], verbose=0), rtol=1e-4, atol=1e-5)
    assert answer.std(axis=0).max() > 0.01
    again = pickle.loads(pickle.dumps(found).replace(str(weights).encode(), b"x" * len(str(weights))))
    assert_allclose(again.transform(IMAGES[:5]), answer, atol=1e-6)
    with pytest.raises(toolkit.InputError, match="as in fit"):
        found.transform(IMAGES[:, 1:])


def test_fine_tuning_moves_the_features(weights):
    told = {"weights": str(weights), "size": 32}
    recipe = Recipe(epochs=1, frozen_epochs=1, unfreeze=0.1, batch_size=24)
    frozen = BackboneFeatures("mobilenet_025", **told).fit(IMAGES, LABELS)
    tuned = BackboneFeatures("mobilenet_025", **told, recipe=recipe).fit(IMAGES, LABELS)
    assert tuned.outputs_ == 3
    assert tuned.transform(IMAGES).shape == frozen.transform(IMAGES).shape
    assert np.abs(tuned.transform(IMAGES) - frozen.transform(IMAGES)).max() > 1e-4


def test_a_contestant_of_a_backbone_and_a_head_takes_its_weights(weights):
    frozen = toolkit.contestant("mobilenet_025_linear", SHAPE, weights=weights)
    tuned = toolkit.contestant("mobilenet_025_tuned_logistic", SHAPE, weights=weights)
    assert frozen[0].weights == str(weights)
    assert frozen[0].recipe is None
    assert tuned[0].recipe.unfreeze > 0
    with pytest.raises(toolkit.InputError, match="nothing is"):
        toolkit.contestant("mobilenet_025_svm", SHAPE, weights="nowhere.h5")


def test_rungs_without_weights_are_left_out_with_a_note(weights):
    found = ladder(SHAPE, {"mobilenet_025": str(weights), "mobilenet": "nowhere.h5"})
    assert list(found.rungs) == [*RUNGS, "frozen mobilenet_025", "fine-tuned mobilenet_025"]
    assert len(found.names) == 2 * len(found.rungs)
    assert set(found.names) <= set(CATALOGUE)
    assert set(found.weights) == {f"mobilenet_025{tuned}_{head}" for tuned in ("", "_tuned") for head in HEADS_TRIED}
    assert len(found.notes) == 1
    assert "--weights mobilenet=PATH" in found.notes[0]


class Level:
    """Right on the first `right` tenths of the rows of an image's level, wrong on the others."""

    def __init__(self, right):
        self.right = right

    def fit(self, images, labels):
        self.classes_ = np.unique(labels)
        return self

    def predict_proba(self, images):
        true = images[:, 0, 0, 0] // 100
        said = np.where(images[:, 0, 1, 0] < self.right, true, (true + 1) % 3)
        return np.eye(3)[said]


def test_the_table_shows_every_rung_and_what_each_step_brought():
    images = np.zeros((60, 4, 4, 1), np.uint8)
    labels = np.arange(60) % 3
    images[:, 0, 0, 0], images[:, 0, 1, 0] = labels * 100, np.arange(60) // 3 % 10
    names = np.array([str(number) for number in range(60)])
    split = Split(images, labels, names)
    manifest = Manifest("made", 0, {"train": 60, "validation": 0, "test": 60}, "0" * 64)
    dataset = Dataset(split, split.take(slice(0)), split, ("a", "b", "c"), manifest)
    found = ladder(SHAPE, {"mobilenet": "nowhere.h5"})
    rights = {name: 3 + 2 * (number // 2) for number, name in enumerate(found.names)}
    comparison = toolkit.compare({name: Level(right) for name, right in rights.items()}, dataset, resamples=100)
    console = Console(file=io.StringIO(), width=140)
    console.print(ladder_table(found, comparison))
    lines = [line for line in console.file.getvalue().splitlines() if "[" in line]
    assert [line.split("  ")[1].strip() for line in lines] == list(RUNGS)
    assert [line.count("+0.200") for line in lines] == [0, 2, 2, 2]
    assert [float(line.split("[")[0].split()[-1]) for line in lines] == [0.3, 0.5, 0.7, 0.9]


@pytest.mark.skipif("TOUCHSTONE_TEST_DATA" not in os.environ, reason="TOUCHSTONE_TEST_DATA names no folder")
def test_deep_features_know_steel_better_than_pixels(tmp_path):
    from pathlib import Path

    data = Path(os.environ["TOUCHSTONE_TEST_DATA"])
    dataset = toolkit.load(data / "neu_texture", 64, cache=tmp_path)
    path = data / "weights" / "mobilenet_v1_0.25_128_top.weights.h5"
    learn = slice(0, None, 2)
    right = {}
    for name in ("pixels_linear", "mobilenet_025_linear"):
        classifier = toolkit.contestant(name, dataset.image_shape, weights=path)
        classifier.fit(dataset.train.images[learn], dataset.train.labels[learn])
        right[name] = np.mean(classifier.predict(dataset.test.images) == dataset.test.labels)
    assert right["mobilenet_025_linear"] > right["pixels_linear"] + 0.2
