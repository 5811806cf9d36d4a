"""Training: what a recipe promises, and that a Keras network behaves as every other classifier of the duel."""

import json
import pickle

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from toolkit.errors import InputError
from toolkit.models import MODELS, feature_extractor
from toolkit.pipeline import Batches, Policy
from toolkit.training import KerasClassifier, Recipe
from toolkit.training.holdout import ENOUGH, stratified_holdout
from toolkit.training.inference import logits
from toolkit.training.optimizer import LearningRate, optimizer

QUICK = Recipe(epochs=3, batch_size=16, augment="none", learning_rate=0.01)


def tiny(image_shape, classes, width=8):
    """A network that trains in a moment: one convolution, one BatchNorm, one average, one dropout."""
    inputs = keras.Input(image_shape)
    tensor = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    tensor = keras.layers.Conv2D(width, 3, activation="relu")(tensor)
    tensor = keras.layers.BatchNormalization(momentum=0.5)(tensor)
    tensor = keras.layers.Dropout(0.1)(keras.layers.GlobalAveragePooling2D()(tensor))
    return keras.Model(inputs, keras.layers.Dense(classes)(tensor))


def brightness(rows=60, classes=3, seed=0, side=10):
    """Classes that differ in brightness: learned in a few steps."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    images = 40 + 170 * labels[:, None, None, None] / (classes - 1) + generator.normal(0, 15, (rows, side, side, 1))
    return np.clip(images, 0, 255).astype(np.uint8), labels.astype(np.int64)


def classifier(recipe=QUICK, **settings):
    return KerasClassifier(tiny, recipe, verbose=False, **settings)


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(*brightness())


def test_snapshots_share_the_epochs_and_each_goes_on_from_the_last():
    images, labels = brightness(90)
    model = classifier(Recipe(epochs=7, batch_size=16, augment="none", learning_rate=0.03, warmup=0.0))
    kept = model.annealed(images, labels, 3)
    assert [one.recipe_.epochs for one in kept] == [2, 2, 3]
    losses = [loss for one in kept for loss in one.history_["loss"]]
    assert losses[2] < losses[0]  # begun from what was learned, not anew
    alone = clone(kept[1]).fit(images, labels)
    assert alone.history_["loss"][0] > losses[2]
    again = model.annealed(images, labels, 3)
    assert_array_equal(again[2].predict_proba(images), kept[2].predict_proba(images))
    assert not hasattr(model, "weights_")
    with pytest.raises(InputError, match=r"from 2 snapshots to one an epoch, 7\. Received: 8"):
        model.annealed(images, labels, 8)


@pytest.mark.jax
def test_learns_and_keeps_its_promises():
    images, labels = brightness(90)
    before = images.copy()
    model = classifier(Recipe(epochs=15, batch_size=16, augment="none", learning_rate=0.03))
    assert model.fit(images, labels) is model
    assert_array_equal(images, before)
    answer = model.predict_proba(images)
    assert answer.dtype == np.float32
    assert_allclose(answer.sum(axis=1), 1, atol=1e-6)  # float32
    assert np.mean(model.predict(images) == labels) > 0.9
    assert len(model.history_["loss"]) == len(model.history_["holdout_accuracy"])


@pytest.mark.jax
def test_an_answer_does_not_depend_on_the_batch(fitted):
    images, _ = brightness(23, seed=3)
    together = fitted.predict_proba(images)
    apart = np.concatenate([fitted.predict_proba(images[row : row + 1]) for row in range(5)])
    assert_allclose(together[:5], apart, atol=1e-6)  # float32
    assert fitted.predict_proba(images[:0]).shape == (0, 3)


def test_the_same_seed_gives_the_same_network_whatever_was_fitted_before():
    images, labels = brightness()
    other, other_labels = brightness(40, classes=2, seed=8)
    first = classifier(seed=3).fit(images, labels).predict_proba(images)
    again = classifier(seed=3).fit(other, other_labels).fit(images, labels)
    assert_array_equal(again.classes_, [0, 1, 2])
    assert_allclose(again.predict_proba(images), first, atol=1e-5)  # threads add float32 in another order
    assert not np.allclose(classifier(seed=4).fit(images, labels).predict_proba(images), first, atol=1e-3)


def test_fitting_leaves_the_random_numbers_of_others_alone():
    import random

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    classifier(Recipe(epochs=1)).fit(*brightness())
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


def test_survives_pickling_small_and_without_optimiser(fitted):
    images, _ = brightness(7, seed=3)
    text = pickle.dumps(fitted)
    assert_allclose(pickle.loads(text).predict_proba(images), fitted.predict_proba(images), atol=1e-6)
    weights = sum(weight.nbytes for weight in fitted.weights_)
    assert len(text) < weights + 5_000


def test_it_tells_what_it_answers_for_rows_held_back(fitted):
    images, labels = brightness()
    rows, answers = fitted.held_out_
    assert_array_equal(rows, stratified_holdout(labels, fitted.recipe.holdout, fitted.seed)[1])
    assert_allclose(answers, fitted.predict_proba(images[rows]), atol=1e-5)  # of the epoch that was kept
    assert "held_out_" not in fitted.learned()  # a copy or a saved model is not the larger for it
    assert not hasattr(pickle.loads(pickle.dumps(fitted)), "held_out_")
    assert classifier(Recipe(epochs=1, holdout=0.0)).fit(images, labels).held_out_ is None


def test_scikit_learn_can_clone_it(fitted):
    again = clone(fitted)
    assert again.recipe == fitted.recipe
    assert not hasattr(again, "weights_")
    assert clone(classifier(options={"width": 4})).get_params()["options"] == {"width": 4}


def test_labels_need_not_be_contiguous_nor_classes_large():
    images, labels = brightness(31)
    labels = labels * 10 + 5
    labels[-1] = 99  # a class of one image
    model = classifier().fit(images, labels)
    assert_array_equal(model.classes_, [5, 15, 25, 99])
    assert model.predict_proba(images[:2]).shape == (2, 4)
    assert set(model.predict(images)) <= {5, 15, 25, 99}


def test_two_images_and_a_large_batch_are_enough():
    images, labels = brightness(2, classes=2)
    model = classifier(Recipe(epochs=2, batch_size=500, augment="strong")).fit(images, labels)
    assert "holdout_loss" not in model.history_  # nothing to spare
    assert model.best_epoch_ == 1
    assert model.recipe_.batch_size == 2


def test_the_best_epoch_is_the_one_that_is_kept():
    images, labels = brightness(80, seed=2)
    model = classifier(Recipe(epochs=6, learning_rate=0.3, schedule="constant", augment="none", holdout=0.3)).fit(
        images, labels
    )
    history = model.history_["holdout_loss"]
    assert model.best_epoch_ == int(np.argmin(history))
    _, held = stratified_holdout(labels, 0.3, 0)
    chances = model.predict_proba(images[held])[np.arange(len(held)), labels[held]]
    assert_allclose(-np.log(chances).mean(), min(history), rtol=1e-4)


def test_training_ends_when_the_holdout_does_not_gain():
    images, labels = brightness(80, seed=2)
    noise = np.random.default_rng(0).permutation(labels)
    model = classifier(Recipe(epochs=60, patience=3, learning_rate=0.1, holdout=0.3)).fit(images, noise)
    assert len(model.history_["loss"]) == model.best_epoch_ + 1 + 3


def test_every_epoch_takes_its_own_batches_once(monkeypatch):
    asked = []
    original = Batches.batch

    def batch(self, epoch, step):
        asked.append((epoch, step))
        return original(self, epoch, step)

    monkeypatch.setattr(Batches, "batch", batch)
    images, labels = brightness(50)
    classifier(Recipe(epochs=3, batch_size=2, holdout=0)).fit(
        images, labels
    )  # 25 steps: more than are executed at once
    counted = {pair: asked.count(pair) for pair in asked}
    assert set(counted) == {(epoch, step) for epoch in range(3) for step in range(25)}
    assert all(
        count == 1 for pair, count in counted.items() if pair[0]
    )  # Keras looks at the first ones to build itself


@pytest.mark.jax
def test_an_accelerator_varies_images_by_the_same_plans(monkeypatch):
    images, labels = brightness(side=16)
    policy = Policy(flip_horizontal=0.5, rotation=10, contrast=0.2, erasing=0.5, mixup=0.2)
    recipe = Recipe(epochs=3, batch_size=16, augment=policy, learning_rate=1e-3)
    here = classifier(recipe).fit(images, labels)
    monkeypatch.setattr("toolkit.training.classifier.accelerators", lambda: ["gpu:0"])
    there = classifier(recipe).fit(images, labels)
    for name in ("loss", "holdout_loss"):  # pictures differ by a grey level here and there
        assert_allclose(there.history_[name], here.history_[name], rtol=2e-2)
    assert_allclose(there.predict_proba(images), here.predict_proba(images), atol=2e-2)
    plain = classifier(Recipe(epochs=2, batch_size=16)).fit(images, labels)
    assert there.history_["loss"][:2] != plain.history_["loss"]


def test_predicting_compiles_once_for_full_and_last_batches(fitted):
    sizes = set()

    class Network:
        output_shape = (None, 3)

        def predict_on_batch(self, images):
            sizes.add(len(images))
            return images[:, 0, 0, :1].astype(np.float32) * np.ones(3, np.float32)

    images = np.random.default_rng(0).integers(0, 256, (1100, 10, 10, 1), dtype=np.uint8)
    assert_array_equal(logits(Network(), images)[:, 0], images[:, 0, 0, 0])
    assert sizes == {512}
    logits(Network(), images[:5])
    assert sizes == {512, 8}
    large = np.zeros((3, 2048, 2048, 1), np.uint8)
    assert logits(Network(), large).shape == (3, 3)
    assert sizes == {512, 8, 1}  # bounded memory


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 10, 10, 1)), np.arange(4) % 2, "uint8"),
        (np.zeros((4, 10, 10), np.uint8), np.arange(4) % 2, "uint8"),
        (np.zeros((4, 10, 10, 1), np.uint8), np.zeros(4, int), "two classes"),
        (np.zeros((4, 10, 10, 1), np.uint8), np.arange(3) % 2, "4 integers"),
    ],
)
def test_other_arrays_are_refused(images, labels, message):
    with pytest.raises(InputError, match=message):
        classifier().fit(images, labels)


def test_images_of_another_shape_and_unfitted_classifiers_are_refused(fitted):
    with pytest.raises(InputError, match=r"\(10, 10, 1\) as in fit"):
        fitted.predict_proba(np.zeros((2, 10, 11, 1), np.uint8))
    with pytest.raises(NotFittedError, match="Call fit first"):
        classifier().predict_proba(np.zeros((2, 10, 10, 1), np.uint8))


def test_images_too_small_for_the_network_are_refused_in_one_line():
    images, labels = brightness(6, side=5)
    with pytest.raises(InputError, match="8 x 8 pixels or more for 'cnn'") as error:
        KerasClassifier("cnn", QUICK, verbose=False).fit(images, labels)
    assert "\n" not in str(error.value)


def test_a_loss_that_is_not_finite_stops_with_the_likely_cause_and_keeps_what_was_learned(fitted):
    images, labels = brightness()
    model = pickle.loads(pickle.dumps(fitted))
    expected = model.predict_proba(images)
    model.recipe = Recipe(epochs=30, learning_rate=90.0, optimizer="sgd", warmup=0, weight_decay=50)
    with pytest.raises(InputError, match=r"finite loss.*learning_rate=9"):
        model.fit(images, labels)
    assert_allclose(model.predict_proba(images), expected, atol=1e-6)


def test_control_c_ends_the_training_and_changes_nothing(monkeypatch):
    def interrupt(self, batch, logs=None):
        raise KeyboardInterrupt

    model = classifier()
    monkeypatch.setattr("toolkit.training.watch.Watch.on_train_batch_end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*brightness())
    assert not hasattr(model, "classes_")


def test_recipes_go_through_json_and_back():
    for recipe in (
        Recipe(),
        Recipe(epochs=7, augment="strong", class_weight="balanced"),
        Recipe(augment=Policy(zoom=0.5)),
    ):
        assert Recipe.from_json(recipe.to_json()) == recipe
        assert json.loads(recipe.to_json())["batch_size"] == recipe.batch_size
    assert Recipe.from_json('{"epochs": 3}') == Recipe(epochs=3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epoch": 3}, "Did you mean 'epochs'"),
        ({"optimizer": "adamm"}, "Did you mean 'adam'"),
        ({"augment": "ligth"}, "Did you mean 'light'"),
        ({"epochs": 0}, "epochs as a whole number from 1"),
        ({"epochs": 2.5}, "epochs as a whole number"),
        ({"learning_rate": "fast"}, "learning_rate as a number"),
        ({"holdout": 1.0}, "holdout as a number from 0 to 0.9"),
    ],
)
def test_recipes_refuse_what_they_do_not_know(fields, message):
    with pytest.raises(InputError, match=message):
        Recipe.from_json(json.dumps(fields))
    for text in ("[1]", "{"):
        with pytest.raises(InputError, match="JSON object"):
            Recipe.from_json(text)


@pytest.mark.jax
@pytest.mark.parametrize("schedule", ["cosine", "constant", "step", "one_cycle"])
def test_learning_rate_rises_to_its_peak_and_falls_from_there(schedule):
    rate = LearningRate(schedule, peak=0.5, steps=100, warmup=10)
    values = np.array([float(rate(step)) for step in range(100)])
    rise = 30 if schedule == "one_cycle" else 10
    assert_allclose(values[:rise], 0.5 * np.arange(1, rise + 1) / rise, rtol=1e-5)  # float32
    assert (np.diff(values[rise:]) <= 1e-7).all()
    assert_allclose(values.max(), 0.5, rtol=1e-6)
    assert {"cosine": values[-1] < 0.001, "one_cycle": values[-1] < 0.01, "constant": values[-1] == 0.5}.get(
        schedule, values[-1] == pytest.approx(0.005)
    )


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop", "lion"])
def test_weight_decay_spares_biases_and_norms(name):
    model = tiny((10, 10, 1), 3)
    recipe = Recipe(optimizer=name, weight_decay=0.5, learning_rate=0.1, schedule="constant", warmup=0)
    made = optimizer(recipe, 10)
    for weight in model.trainable_weights:
        weight.assign(keras.ops.ones_like(weight))
    made.apply([keras.ops.zeros_like(weight) for weight in model.trainable_weights], model.trainable_weights)
    changed = {weight.name for weight in model.trainable_weights if not np.allclose(weight, 1)}
    assert changed == {"kernel"}


@settings(max_examples=60)
@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=80).map(np.array),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 100),
)
def test_holdout_takes_a_share_of_each_class_and_never_all_of_it(labels, share, seed):
    train, held = stratified_holdout(labels, share, seed)
    assert_array_equal(np.sort(np.concatenate([train, held])), np.arange(len(labels)))
    for label in np.unique(labels):
        size, kept = (labels == label).sum(), (labels[train] == label).sum()
        assert kept >= 1
        assert size - kept <= max(share * size, size >= ENOUGH and share > 0)
        assert size - kept > share * size - 1 or kept == 1


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=80),
    share=st.floats(0.05, 0.5),
    seed=st.integers(0, 100),
)
def test_holdout_parts_no_group_and_leaves_every_class_something_to_learn_from(rows, share, seed):
    labels, groups = np.array(rows).T
    train, held = stratified_holdout(labels, share, seed, groups)
    assert_array_equal(np.sort(np.concatenate([train, held])), np.arange(len(labels)))
    assert set(labels[train]) == set(labels)
    assert len(set(groups)) == len(labels) or not set(groups[train]) & set(groups[held])


def test_groups_reach_the_rows_held_back():
    images, labels = brightness(80, seed=2)
    groups = np.arange(80) // 8
    start = classifier(Recipe(epochs=1, holdout=0.3)).start(images, labels, groups)
    apart = start.groups[: len(start.batches.labels)], start.groups[len(start.batches.labels) :]
    assert len(apart[1]) == len(start.held_labels) > 0
    assert not set(apart[0]) & set(apart[1])


def test_training_tells_a_file_its_recipe_and_its_epochs(capsys):
    images, labels = brightness(80, seed=2)
    model = KerasClassifier(tiny, Recipe(epochs=3, holdout=0.3)).fit(images, labels)
    lines = capsys.readouterr().err.splitlines()
    assert "images held back" in lines[0]
    assert [line.split()[1] for line in lines[1:]] == ["1/3", "2/3", "3/3"]
    assert "holdout_accuracy" in lines[-1]
    assert "s left" in lines[-1]
    assert len(model.history_["learning_rate"]) == 3
    assert model.history_["learning_rate"][-1] < model.history_["learning_rate"][0]  # cosine


def test_a_pretrained_network_outlives_its_weights_file(tmp_path):
    path = tmp_path / "small.weights.h5"
    keras.applications.MobileNet(alpha=0.25, input_shape=(32, 32, 3), weights=None, include_top=False).save_weights(
        path
    )
    images, labels = brightness(24, side=20)
    options = {"weights": str(path), "size": 32}
    model = KerasClassifier("mobilenet_025", Recipe(epochs=1), verbose=False, options=options).fit(images, labels)
    path.unlink()
    again = pickle.loads(pickle.dumps(model)).predict_proba(images)
    assert_allclose(again, model.predict_proba(images), atol=1e-6)  # float32


def test_images_too_small_for_the_network_with_its_options_are_refused():
    with pytest.raises(InputError, match="multiple of 16 for 'deit_tiny'"):
        KerasClassifier("deit_tiny", QUICK, options={"size": 40}).fit(*brightness(6))


@pytest.mark.parametrize("name", ["cnn", "mobilenet_025", "inception"])
def test_every_network_says_where_its_features_are(name):
    model = MODELS[name]((32, 32, 1), 3)
    assert feature_extractor(model).output_shape == (None, model.get_layer("features").output.shape[-1])
