"""One contract over every contestant of the catalogue: what the duel, and whoever calls it, relies on."""

import pickle

import numpy as np
import pytest
import zoo
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

import toolkit
from toolkit.catalogue import CATALOGUE, weights_of
from toolkit.training import Recipe

QUICK = Recipe(epochs=2, batch_size=16)
# Every test over the classical side and one network; one combined test over a small member of each other family.
PLAIN = [name for name, entry in CATALOGUE.items() if not entry.head]
THOROUGH = [name for name in PLAIN if CATALOGUE[name].side == "classical" or name == "cnn"]
# Of those composed of features and a head: each head once, each kind of features once.
COMPOSED = [
    "hog_lbp_colour_linear",
    "texture_logistic",
    "colour_svm",
    "hog_forest",
    "pixels_boosting",
    "colour_bagging",
    "colour_adaboost",
]
ONE_EACH = {  # the images of each; from scratch, in the small forms of tests/zoo.py
    "resnet20": (8, 8, 1),
    "vgg11": (16, 16, 1),
    "inception": (16, 16, 3),
    "wide_resnet_16_4": (8, 8, 1),
    "convnext_atto": (16, 16, 3),
    "vit_tiny": (16, 12, 1),
    "capsnet": (17, 18, 1),
    "mobilenet_v2": (32, 32, 1),
}
DEEPER = {  # minutes of compiling: every other network, and one backbone of each other family
    **dict.fromkeys(("vgg16", "resnet18", "resnet34", "googlenet"), (16, 16, 3)),
    **dict.fromkeys(("resnet32", "resnet56", "resnet20_se", "resnet20_cbam", "wide_resnet_28_10"), (8, 8, 1)),
    "vit_small": (16, 12, 1),
    "xception": (71, 71, 3),
    "vgg19": (32, 32, 3),
    "resnet50": (32, 32, 1),
    "resnet50_v2": (32, 32, 3),
    "inception_v3": (75, 75, 3),
    "inception_resnet_v2": (75, 75, 1),
    "mobilenet_025": (32, 32, 3),
    "mobilenet_v3_small": (32, 32, 3),
    "densenet121": (32, 32, 3),
    "nasnet_mobile": (32, 32, 3),
    "efficientnet_b0": (32, 32, 1),
    "efficientnet_v2_b0": (32, 32, 3),
    "convnext_tiny": (32, 32, 3),
    "vit_base_16": (32, 32, 3),
    "deit_tiny": (32, 32, 1),
    "swin_tiny": (32, 32, 3),
}
FORMS = {"vit_base_16": {"size": 32}, "deit_tiny": {"size": 32}}  # where images do not say the size
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


@pytest.fixture(scope="module", params=THOROUGH)
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


@pytest.mark.parametrize("name", [*ONE_EACH, *(pytest.param(name, marks=pytest.mark.thorough) for name in DEEPER)])
def test_a_network_of_each_family_keeps_the_contract_in_short(name):
    if name.startswith("swin"):
        pytest.importorskip("keras_hub", reason="needs the extra hub")
    shape = {**ONE_EACH, **DEEPER}[name]
    images, labels = make_images(shape, rows=12)
    recipe = Recipe(epochs=1, batch_size=6)
    classifier = toolkit.contestant(name, shape, recipe=recipe, verbose=False, weights=None)
    # fewer blocks: compiling is what takes the time
    classifier.options = FORMS.get(name) or zoo.QUICK.get(name, ({},))[0]
    answer = classifier.fit(images, labels).predict_proba(images)
    assert answer.shape == (12, 3)
    assert_allclose(answer.sum(axis=1), 1, atol=1e-5)  # float32
    alone = pickle.loads(pickle.dumps(classifier)).predict_proba(images[4:5])
    assert_allclose(alone, answer[4:5], atol=1e-5)


@pytest.mark.parametrize("name", [*PLAIN, *COMPOSED, "mobilenet_v2_svm"])
def test_the_unfitted_says_so(name):
    images, _ = make_images((64, 64, 1), rows=2)
    with pytest.raises(NotFittedError):
        build(name, (64, 64, 1)).predict_proba(images)


@pytest.mark.parametrize("name", THOROUGH)
def test_same_seed_same_answer_and_a_refit_forgets(name):
    shape = (32, 32, 1)
    first, second = make_images(shape, seed=3), make_images(shape, seed=4)
    classifier = build(name, shape, seed=5)
    fresh = classifier.fit(*first).predict_proba(first[0])
    reversed_classes = classifier.fit(second[0], 2 - second[1]).predict_proba(first[0])
    again = classifier.fit(*first).predict_proba(first[0])
    assert_allclose(again, fresh, atol=1e-5)  # nothing is left of the fit between
    assert np.abs(reversed_classes - fresh).max() > 0.01


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in [*PLAIN, "hog_lbp_colour_linear", "texture_logistic", "mobilenet_v2_svm"]
        if name != "pixels_svm"
    ],
)  # pixels do for images of any size
def test_images_too_small_are_refused_before_anything_is_fitted(name):
    with pytest.raises(toolkit.InputError, match=r"(?i)expected|at least"):
        build(name, (2, 2, 1))


@pytest.mark.parametrize(
    "name",  # texture's layers take the longest to compile
    [pytest.param(name, marks=pytest.mark.thorough) if "texture" in name else name for name in COMPOSED],
)
def test_features_and_a_head_keep_the_contract_in_short(name):
    images, labels = make_images((16, 20, 3))
    classifier = build(name, images.shape[1:], seed=5)
    answer = classifier.fit(images, labels).predict_proba(images)
    assert answer.shape == (36, 3)
    assert_allclose(answer.sum(axis=1), 1, atol=1e-5)  # float32
    assert_array_equal(classifier.classes_, [0, 1, 2])
    alone = pickle.loads(pickle.dumps(classifier)).predict_proba(images[4:5])
    assert_allclose(alone, answer[4:5], atol=1e-5)
    again = build(name, images.shape[1:], seed=5).fit(images, labels).predict_proba(images)
    assert_allclose(again, answer, atol=1e-5)
    with pytest.raises(ValueError, match=r"Expected images .*as in fit\. Received: \(15, 20, 3\)"):
        classifier.predict_proba(images[:, :-1])


def test_every_network_is_a_contestant():
    from toolkit.models import MODELS

    assert {name for name, entry in CATALOGUE.items() if entry.side == "deep"} == set(MODELS)


def test_every_network_and_every_family_of_backbones_has_its_row():
    from toolkit.models import SMALLEST
    from toolkit.models.backbones import BACKBONES

    rows = {*ONE_EACH, *DEEPER}
    assert set(SMALLEST) - rows <= set(THOROUGH)
    assert {zoo.family(name) for name in rows if name in BACKBONES} >= {zoo.family(name) for name in BACKBONES}


def test_a_backbone_has_imagenet_s_weights_unless_told_otherwise(tmp_path):
    shape, path = (64, 64, 3), tmp_path / "small.weights.h5"
    path.touch()
    plain, scratch, named = (
        toolkit.contestant("mobilenet_v2", shape, **given) for given in ({}, {"weights": None}, {"weights": path})
    )
    assert plain.options == {"weights": "imagenet"}
    assert scratch.options == {}
    assert named.options == {"weights": str(path)}
    assert toolkit.contestant("cnn", shape).options == {}
    with pytest.raises(toolkit.InputError, match=r"nowhere.*nothing is"):
        toolkit.contestant("mobilenet_v2", shape, weights=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mobilenet_v2", "NAME=PATH"),
        ("mobilenet_v2=", "NAME=PATH"),
        ("mobilnet_v2=a.h5", "Did you mean 'mobilenet_v2'"),
        ("cnn=a.h5", "Unknown backbone among the contestants 'cnn'"),
    ],
)
def test_weights_are_given_to_a_backbone_that_fights(text, message):
    assert weights_of(["mobilenet_v2=none"], ["cnn", "mobilenet_v2"]) == {"mobilenet_v2": None}
    with pytest.raises(toolkit.InputError, match=message):
        weights_of([text], ["cnn", "mobilenet_v2"])
