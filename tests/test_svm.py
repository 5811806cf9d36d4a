"""The SVM pipelines keep the contract of every contestant and learn real digits and textures."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

import toolkit
from baselines import hog_lbp_svm, hog_svm, hog_svm_best, lbp_svm, pixels_svm
from baselines.graph import graph

DIGITS = load_digits()
IMAGES = np.kron(DIGITS.images[:400] * 15.9375, np.ones((4, 4))).astype(np.uint8)[..., None]  # 8 x 8 -> 32 x 32
LABELS = DIGITS.target[:400].astype(np.int64)
FEW = slice(0, 60)
PIPELINES = pytest.mark.parametrize("pipeline", [hog_svm, lbp_svm, hog_lbp_svm, pixels_svm, hog_svm_best])


@PIPELINES
@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_learns_real_digits(pipeline, kernel):
    if pipeline is hog_svm_best:
        pytest.skip("hog_svm_best has no choice of kernel") if kernel == "linear" else None
        classifier = clone(pipeline(seed=0))
    else:
        classifier = clone(pipeline(kernel=kernel, seed=0))
    assert isinstance(classifier, Pipeline)
    images, labels = IMAGES.copy(), LABELS.copy()
    images.flags.writeable = labels.flags.writeable = False
    assert classifier.fit(images[:300], labels[:300]) is classifier
    probabilities = classifier.predict_proba(images[300:])
    assert probabilities.shape == (100, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert np.mean(classifier.predict(images[300:]) == labels[300:]) > 0.85
    np.testing.assert_array_equal(
        classifier.predict(images), classifier.classes_[classifier.predict_proba(images).argmax(1)]
    )
    for start, stop in ((300, 301), (311, 318)):
        alone = classifier.predict_proba(images[start:stop])
        np.testing.assert_allclose(alone, probabilities[start - 300 : stop - 300], atol=1e-6)


@PIPELINES
def test_a_refit_forgets_and_the_same_seed_gives_the_same_answer(pipeline):
    rows = np.flatnonzero(LABELS < 3)[:40]
    first = pipeline(seed=3).fit(IMAGES[FEW], LABELS[FEW]).fit(IMAGES[rows], LABELS[rows])
    second = pipeline(seed=3).fit(IMAGES[rows], LABELS[rows])
    np.testing.assert_array_equal(first.classes_, [0, 1, 2])
    np.testing.assert_array_equal(first.predict_proba(IMAGES), second.predict_proba(IMAGES))


@PIPELINES
def test_two_images_of_each_class_are_enough(pipeline):
    rows = np.concatenate([np.flatnonzero(label == LABELS)[:2] for label in (4, 5, 8)])
    classifier = pipeline().fit(IMAGES[rows], LABELS[rows])
    np.testing.assert_array_equal(classifier.predict(IMAGES[rows]), LABELS[rows])


@PIPELINES
def test_refuses_what_is_no_image_and_says_that_it_is_not_fitted(pipeline):
    with pytest.raises(ValueError, match=r"Expected images as uint8 .* Received: float64"):
        pipeline().fit(IMAGES / 255, LABELS)
    with pytest.raises(NotFittedError):
        pipeline().predict_proba(IMAGES)


@PIPELINES
def test_the_first_step_tells_from_one_blank_image_whether_a_size_will_do(pipeline):
    clone(pipeline()[0]).fit(np.zeros((1, 224, 300, 3), np.uint8))
    if "hog" in pipeline.__name__:
        with pytest.raises(ValueError, match="pixels for one HOG block"):
            clone(pipeline()[0]).fit(np.zeros((1, 2, 2, 3), np.uint8))


def test_refuses_settings_that_do_not_exist():
    with pytest.raises(ValueError, match=r"kernel as one of linear, rbf, .*auto. Received: 'poly'"):
        hog_svm(kernel="poly")
    with pytest.raises(ValueError, match=r"engine as one of sklearn, liblinear, sklearnex, keras\. Received: 'gpu'"):
        hog_svm(engine="gpu")
    with pytest.raises(ValueError, match="kernel='rbf' with engine='sklearnex'"):
        hog_svm(kernel="linear", engine="sklearnex")


@pytest.mark.parametrize(("engine", "kernel"), [("liblinear", "linear"), ("sklearnex", "rbf")])
def test_other_engines_learn_are_saved_and_exported(tmp_path, engine, kernel):
    if engine == "sklearnex":
        pytest.importorskip("sklearnex")
    classifier = pixels_svm(kernel=kernel, engine=engine).fit(IMAGES[:300], LABELS[:300])
    before = classifier.predict_proba(IMAGES[300:])
    assert np.mean(before.argmax(axis=1) == LABELS[300:]) > 0.85
    after = toolkit.load_model(toolkit.save(classifier, tmp_path / "model"))
    np.testing.assert_allclose(after.predict_proba(IMAGES[300:]), before, atol=1e-6)
    np.testing.assert_allclose(graph(classifier, (32, 32, 1)).predict_on_batch(IMAGES[300:]), before, atol=1e-4)


def test_says_how_to_install_the_fast_engine(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearnex.svm", None)
    with pytest.raises(ValueError, match=r"pip install 'touchstone-vision\[fast\]'"):
        hog_svm(engine="sklearnex")


@pytest.mark.skipif("TOUCHSTONE_TEST_DATA" not in os.environ, reason="TOUCHSTONE_TEST_DATA names no folder")
def test_lbp_tells_steel_surfaces_apart():
    folder = Path(os.environ["TOUCHSTONE_TEST_DATA"]) / "neu_texture"
    files = sorted(path for path in folder.glob("*/*") if path.suffix in (".jpg", ".png", ".bmp"))
    names = sorted({path.parent.name for path in files})
    images = np.stack([np.asarray(Image.open(path).convert("L")) for path in files])[..., None]
    labels = np.array([names.index(path.parent.name) for path in files])
    train = np.arange(len(labels)) % 2 == 0
    classifier = lbp_svm().fit(images[train], labels[train])
    assert np.mean(classifier.predict(images[~train]) == labels[~train]) > 0.9
