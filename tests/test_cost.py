"""Costs: what is counted is right, what is timed was warm and seen by every image; no test asserts a time."""

import json
import pickle

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from baselines.features import PixelFeatures
from toolkit import cost
from toolkit.artifact import save
from toolkit.errors import InputError
from toolkit.memory import peaks


class Told:
    """Answers anything, and remembers how many images came each time."""

    def __init__(self):
        self.sizes = []
        self.seen = set()

    def fit(self, images, labels):
        return self

    def predict_proba(self, images):
        self.sizes.append(len(images))
        self.seen.add(int(images[0, 0, 0, 0]))
        return np.full((len(images), 2), 0.5)


def images(rows):
    return np.zeros((rows, 4, 4, 1), np.uint8)


@pytest.mark.parametrize("rows", [1, 3, 40, 600])
def test_every_size_is_asked_before_it_is_timed(rows):
    told = Told()
    measured = cost.measure(told, images(rows), seconds=0.01)
    sizes = [size for size in cost.BATCHES if size <= rows] or [rows]
    assert sorted(set(told.sizes)) == sorted({1, *sizes})
    assert told.sizes.count(1) >= measured.repeats + 1  # and one to warm up
    assert measured.repeats >= cost.FEWEST
    assert measured.best_batch in {1, *sizes}
    assert 0 < measured.one_image_p50_seconds <= measured.one_image_p95_seconds
    assert 0 < measured.batch_p50_seconds <= measured.batch_p95_seconds
    assert measured.batch_seconds_per_image == pytest.approx(measured.batch_p50_seconds / measured.best_batch)
    assert measured.batch_seconds_per_image <= measured.one_image_p50_seconds
    assert measured.threads >= 1
    assert json.loads(json.dumps(measured.to_dict())) == measured.to_dict()


def test_different_images_are_asked():
    told = Told()
    cost.measure(told, np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1), seconds=0.01)
    assert {0, 1, 2, 3, 4} <= told.seen


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A model of some kilobytes, one that holds 200 MB, and images."""
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), np.uint8)
    labels, found = np.arange(64) % 2, {}
    for name, bins in (("small", 1), ("large", 400_000)):
        folder = tmp_path_factory.mktemp("models") / name
        model = make_pipeline(PixelFeatures(), LinearSVC()).fit(images, labels)
        model = CalibratedClassifierCV(FrozenEstimator(model)).fit(images, labels)
        model.ballast_ = np.ones(64 * bins)
        found[name] = save(model, folder)
    return found, images


def test_peak_memory_is_that_of_the_model_whatever_ran_before(kept):
    models, images = kept
    block = np.ones(300 * 131_072)  # pages that this process has, and would give to the next
    del block
    first, large, again = (peaks(models[name], images)["peak_memory_bytes"] for name in ("small", "large", "small"))
    if first is None:
        pytest.skip("this system does not tell the highest resident memory since a moment")
    assert large - first > 190e6
    assert abs(again - first) < 30e6


def test_memory_that_cannot_be_told_is_none(tmp_path):
    assert set(peaks(tmp_path, images(2)).values()) == {None}


def test_parameters_are_the_numbers_that_are_kept():
    classifier = make_pipeline(FunctionTransformer(), LinearSVC()).fit(np.eye(4), [0, 1, 2, 0])
    assert cost.parameters(classifier) == 3 * 4 + 3  # three classes: weights and intercepts
    weights = np.zeros((5, 7), np.float32)
    assert cost.parameters({"a": [weights, weights], "counts": np.zeros(9, int)}) == 35  # once, and no integers


def test_size_is_that_of_the_pickle():
    assert cost.size_bytes([1, 2]) == len(pickle.dumps([1, 2], protocol=pickle.HIGHEST_PROTOCOL))


def test_no_images_are_refused():
    with pytest.raises(InputError, match=r"Expected at least one image.*Received none"):
        cost.measure(Told(), images(0))
