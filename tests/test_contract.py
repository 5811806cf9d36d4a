"""One contract over every contestant of the catalogue: what the duel, and whoever calls it, relies on."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

import toolkit
from toolkit.catalogue import CATALOGUE
from toolkit.training import Recipe

QUICK = Recipe(epochs=2, batch_size=16)
SHAPES = {"grey": (32, 32, 1), "colour": (40, 36, 3)}  # colour is not square and no multiple of a HOG cell


def build(name, shape, seed=0):
    return toolkit.contestant(name, shape, seed=seed, recipe=QUICK, verbose=False)


def make_images(shape, seed=0, rows=36, classes=3):
    """Three kinds of stripes under noise: something to learn, quickly."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    waves = np.sin(np.arange(shape[1]) * (0.3 + 0.4 * labels[:, None]))
    images = 128 + 80 * waves[:, None, :, None] + generator.normal(0, 12, (rows, *shape))
    return np.clip(images, 0, 255).astype(np.uint8), labels.astype(np.int64)


@pytest.fixture(scope="module", params=SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.fixture(scope="module")
def images_and_labels(shape):
    return make_images(shape)


@pytest.fixture(scope="module", params=CATALOGUE)
def fitted(request, shape, images_and_labels):
    """Name, shape and a classifier that was fitted once; tests that only ask it questions share it."""
    classifier = build(request.param, shape)
    images, labels = (array.copy() for array in images_and_labels)
    images.setflags(write=False)
    labels.setflags(write=False)
    assert classifier.fit(images, labels) is classifier
    assert_array_equal(images, images_and_labels[0])  # inputs are not written to
    return request.param, shape, classifier


@pytest.mark.jax
def test_answers_with_probabilities(fitted):
    _, shape, classifier = fitted
    images, _ = make_images(shape, seed=1, rows=7)
    before = images.copy()
    answer = classifier.predict_proba(images)
    assert answer.shape == (7, 3)
    assert np.issubdtype(answer.dtype, np.floating)
    assert (answer >= 0).all()
    assert_allclose(answer.sum(axis=1), 1, atol=1e-5)  # float32
    assert_array_equal(images, before)
    assert_array_equal(classifier.classes_, [0, 1, 2])


def test_an_image_is_answered_alike_in_any_company(fitted):
    _, shape, classifier = fitted
    images, _ = make_images(shape, seed=2, rows=9)
    together = classifier.predict_proba(images)
    alone = np.concatenate([classifier.predict_proba(images[i : i + 1]) for i in (0, 5)])
    assert_allclose(alone, together[[0, 5]], atol=1e-5)  # float32 sums in another order
    assert_allclose(classifier.predict_proba(images[::-1]), together[::-1], atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda images: images.astype(np.float32), id="float"),
        pytest.param(lambda images: images[..., 0], id="no channel axis"),
        pytest.param(lambda images: images[:, :-1], id="other height"),
    ],
)
def test_wrong_images_are_refused_with_what_came(fitted, wrong):
    _, shape, classifier = fitted
    images = wrong(make_images(shape, rows=4)[0])
    with pytest.raises(ValueError, match=r"(?i)expected.*received") as caught:
        classifier.predict_proba(images)
    came = str(images.dtype) if images.dtype != np.uint8 else str(tuple(images.shape[1:])).strip("()")
    assert came in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_unfitted_says_so(name):
    images, _ = make_images((32, 32, 1), rows=2)
    with pytest.raises(NotFittedError):
        build(name, (32, 32, 1)).predict_proba(images)


@pytest.mark.parametrize("name", CATALOGUE)
def test_same_seed_same_answer_and_a_refit_forgets(name):
    shape = (32, 32, 1)
    first, second = make_images(shape, seed=3), make_images(shape, seed=4)
    classifier = build(name, shape, seed=5)
    fresh = classifier.fit(*first).predict_proba(first[0])
    reversed_classes = classifier.fit(second[0], 2 - second[1]).predict_proba(first[0])
    again = classifier.fit(*first).predict_proba(first[0])
    assert_allclose(again, fresh, atol=1e-5)  # nothing is left of the fit between
    assert np.abs(reversed_classes - fresh).max() > 0.01


@pytest.mark.parametrize("name", CATALOGUE)
def test_images_too_small_are_refused_before_anything_is_fitted(name):
    with pytest.raises(toolkit.InputError, match=r"(?i)expected|at least"):
        build(name, (2, 2, 1))


def test_every_deep_contestant_is_a_network():
    from toolkit.models import MODELS

    assert {name for name, entry in CATALOGUE.items() if entry.side == "deep"} <= set(MODELS)
