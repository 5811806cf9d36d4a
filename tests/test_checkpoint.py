"""Checkpoints: a training that was interrupted after any epoch ends as the undisturbed one, or refuses to go on."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from toolkit.errors import InputError
from toolkit.training import KerasClassifier, Recipe

RECIPE = Recipe(epochs=6, batch_size=16, augment="light", learning_rate=0.02, holdout=0.2, patience=2)


def tiny(image_shape, classes, width=8):
    """What has every kind of state: BatchNorm's statistics, dropout's random numbers."""
    inputs = keras.Input(image_shape)
    tensor = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    tensor = keras.layers.Conv2D(width, 3, activation="relu")(tensor)
    tensor = keras.layers.BatchNormalization(momentum=0.5)(tensor)
    tensor = keras.layers.Dropout(0.3)(keras.layers.GlobalAveragePooling2D()(tensor))
    return keras.Model(inputs, keras.layers.Dense(classes)(tensor))


def brightness(rows=60, classes=3, seed=0):
    """Classes that differ in brightness, uint8 (rows, 10, 10, 3)."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    images = 40 + 170 * labels[:, None, None, None] / (classes - 1) + generator.normal(0, 40, (rows, 10, 10, 3))
    return np.clip(images, 0, 255).astype(np.uint8), labels.astype(np.int64)


def interrupt_after(epochs):
    """Called with the history after each epoch; the training ends as by Ctrl-C when it is that long."""

    def look(history):
        if len(history["loss"]) == epochs:
            raise KeyboardInterrupt

    return look


def classifier(path=None, recipe=RECIPE, model=tiny, **settings):
    return KerasClassifier(model, recipe, verbose=False, checkpoint=path, **settings)


def assert_same(one, other):
    assert one.best_epoch_ == other.best_epoch_
    assert one.history_.keys() == other.history_.keys()
    for name, column in one.history_.items():
        assert_allclose(column, other.history_[name], rtol=1e-4, atol=1e-5)  # threads add float32 in another order
    for a, b in zip(one.weights_, other.weights_, strict=True):
        assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    assert_array_equal(one.held_out_.rows, other.held_out_.rows)
    assert_allclose(one.held_out_.probabilities, other.held_out_.probabilities, rtol=1e-3, atol=1e-5)


@pytest.fixture(scope="module")
def undisturbed():
    return classifier().fit(*brightness())


@pytest.mark.jax
def test_an_interrupted_training_ends_as_the_undisturbed_one(undisturbed, tmp_path):
    path = tmp_path / "inner" / "checkpoint.npz"
    for epochs in (1, 2, 4):
        with pytest.raises(KeyboardInterrupt):
            classifier(path, each_epoch=interrupt_after(epochs)).fit(*brightness())
    assert_same(classifier(path).fit(*brightness()), undisturbed)
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.npz"]


def test_a_finished_training_trains_no_more(undisturbed, tmp_path):
    path, epochs = tmp_path / "checkpoint.npz", []
    classifier(path).fit(*brightness())
    again = classifier(path, each_epoch=lambda history: epochs.append(len(history["loss"]))).fit(*brightness())
    assert not epochs
    assert_same(again, undisturbed)


def test_a_training_ended_by_patience_is_not_taken_up_again(tmp_path):
    images, labels = brightness()
    noise = np.random.default_rng(0).permutation(labels)
    recipe = Recipe(**{**vars(RECIPE), "epochs": 40, "learning_rate": 0.1})
    first = classifier(tmp_path / "c.npz", recipe).fit(images, noise)
    assert len(first.history_["loss"]) < 40
    assert_same(classifier(tmp_path / "c.npz", recipe).fit(images, noise), first)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    keras.utils.set_random_seed(0)
    keras.applications.MobileNet(alpha=0.25, input_shape=(32, 32, 3), weights=None, include_top=False).save_weights(
        path
    )
    return {"weights": str(path), "size": 32}


def test_both_phases_of_a_pretrained_network_go_on(backbone, tmp_path, monkeypatch):
    recipe = Recipe(**{**vars(RECIPE), "frozen_epochs": 2, "epochs": 2, "unfreeze": 0.1, "patience": 9})
    settings = {"model": "mobilenet_025", "options": backbone}
    whole = classifier(None, recipe, **settings).fit(*brightness(40))
    path = tmp_path / "checkpoint.npz"
    for epochs in (2, 4):  # between the phases, in the fine-tuning
        with pytest.raises(KeyboardInterrupt):
            classifier(path, recipe, each_epoch=interrupt_after(epochs), **settings).fit(*brightness(40))
    monkeypatch.setattr("toolkit.training.features.Features.training", None)  # not needed any more
    assert_same(classifier(path, recipe, **settings).fit(*brightness(40)), whole)
    assert whole.history_["phase"] == [1, 1, 1.5, 2, 2]  # the solved head is one more epoch


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"recipe": Recipe(**{**vars(RECIPE), "learning_rate": 0.01})}, "recipe"),
        ({"seed": 1}, "seed"),
        ({"options": {"width": 9}}, "options"),
    ],
)
def test_another_training_is_refused(tmp_path, changed, word):
    path = tmp_path / "checkpoint.npz"
    with pytest.raises(KeyboardInterrupt):
        classifier(path, each_epoch=interrupt_after(1)).fit(*brightness())
    before = path.read_bytes()
    with pytest.raises(InputError, match=f"differs in: {word}"):
        classifier(path, **changed).fit(*brightness())
    with pytest.raises(InputError, match="differs in: data"):
        classifier(path).fit(*brightness(seed=1))
    assert path.read_bytes() == before


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "checkpoint.npz"
    with pytest.raises(KeyboardInterrupt):
        classifier(path, each_epoch=interrupt_after(1)).fit(*brightness())
    whole = path.read_bytes()
    for text in (whole[:1000], b"", b"not a checkpoint"):
        path.write_bytes(text)
        with pytest.raises(InputError, match=r"checkpoint\.npz cannot be read"):
            classifier(path).fit(*brightness())


def test_without_a_checkpoint_the_history_is_still_told():
    lengths = []
    classifier(each_epoch=lambda history: lengths.append(len(history["loss"]))).fit(*brightness())
    assert_array_equal(lengths, np.arange(1, len(lengths) + 1))
