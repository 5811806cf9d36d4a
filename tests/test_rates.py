"""The learning-rate finder: what it suggests trains well, and it leaves everything as it was."""

import dataclasses

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.test_checkpoint import RECIPE, brightness, classifier
from toolkit.errors import InputError
from toolkit.training import KerasClassifier
from toolkit.training.rates import find_learning_rate

PLAIN = dataclasses.replace(RECIPE, augment="none", patience=20, schedule="constant", warmup=0.0)


@pytest.mark.jax
@pytest.mark.parametrize("name", ["adamw", pytest.param("sgd", marks=pytest.mark.thorough)])
def test_the_rate_suggested_trains_better_than_much_lower_and_much_higher_ones(name):
    recipe = dataclasses.replace(PLAIN, optimizer=name, momentum=0.0)
    found = find_learning_rate(classifier(recipe=recipe), *brightness(), steps=60)
    assert_allclose(np.diff(np.log(found.rates)), np.log(1e7) / 59, rtol=1e-6)  # a factor a step
    assert len(found.rates) == len(found.losses) > 10

    def reached(rate):
        try:
            model = classifier(recipe=dataclasses.replace(recipe, learning_rate=rate)).fit(*brightness())
        except InputError:  # the loss is not finite any more
            return np.inf
        return model.history_["loss"][-1]

    assert reached(found.suggestion) < reached(found.suggestion / 100)
    assert reached(found.suggestion) < reached(found.suggestion * 1000)


def test_the_same_question_gets_the_same_answer_and_changes_nothing():
    model = classifier(recipe=PLAIN)
    first = find_learning_rate(model, *brightness(), steps=40)
    again = find_learning_rate(model, *brightness(), steps=40)
    assert_allclose(again.losses, first.losses, rtol=1e-3)  # threads add float32 in another order
    assert not hasattr(model, "weights_")
    assert model.recipe == PLAIN


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Of a small network that begins with weights, random here."""
    path = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    network = keras.applications.MobileNet(alpha=0.25, input_shape=(32, 32, 3), weights=None, include_top=False)
    network.save_weights(path)
    return {"weights": str(path), "size": 32}


def test_of_a_pretrained_network_it_is_the_head_s_and_its_features_are_kept_for_the_fit(options, tmp_path):
    recipe = dataclasses.replace(PLAIN, refit=False)
    model = KerasClassifier("mobilenet_025", recipe, verbose=False, options=options, feature_cache=tmp_path)
    found = find_learning_rate(model, *brightness(40), steps=40)
    assert found.losses[0] == pytest.approx(np.log(3), rel=0.3)
    assert 1e-6 < found.suggestion < 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("unfreeze", [0.0, 0.3])
def test_a_head_that_is_solved_needs_no_rate(options, monkeypatch, unfreeze):
    monkeypatch.setattr("toolkit.training.rates.Features", None)  # none is searched
    recipe = dataclasses.replace(PLAIN, unfreeze=unfreeze)
    model = KerasClassifier("mobilenet_025", recipe, verbose=False, options=options)
    assert find_learning_rate(model, *brightness(40)) is None


@pytest.mark.parametrize("settings", [{"lowest": 0.0}, {"lowest": 1.0, "highest": 0.1}, {"steps": 3}])
def test_other_settings_are_refused(settings):
    with pytest.raises(InputError, match="0 < lowest < highest"):
        find_learning_rate(classifier(), *brightness(), **settings)


def test_a_loss_that_falls_to_the_end_shows_no_rate(monkeypatch):
    monkeypatch.setattr("toolkit.training.rates._losses", lambda *told: np.linspace(1, 0, told[-1]).tolist())
    with pytest.raises(InputError, match=r"a loss that rises .* It fell to the end"):
        find_learning_rate(classifier(), *brightness())
