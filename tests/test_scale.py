"""Many rows: mini-batches from a map on disk, kernels as features, and the choice by rows that is said aloud."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics.pairwise import additive_chi2_kernel, rbf_kernel

import baselines.hinge
from baselines import hog_svm, machines, pixels_svm
from baselines import svm as pipelines
from baselines.approximate import KernelMap
from baselines.hinge import MinibatchSVM
from baselines.machines import SquaredHingeSVM

DIGITS = load_digits()
PIXELS, LABELS = (DIGITS.data / 16).astype(np.float32), DIGITS.target
IMAGES = (DIGITS.images[:300] * 15.9375).astype(np.uint8)[..., None]


def objective(machine, features, labels):
    """|w|^2 / 2 + C sum max(0, 1 - y f)^2, what both linear machines minimise."""
    positive = machine.classes_[1:] if len(machine.classes_) == 2 else machine.classes_
    signs = np.where(labels[:, None] == positive, 1, -1)
    slack = np.maximum(0, 1 - signs * (features @ machine.coef_.T + machine.intercept_))
    return np.sum(machine.coef_**2) / 2 + machine.C * np.sum(slack**2)


@pytest.mark.jax
@pytest.mark.parametrize(("classes", "scale", "shift"), [(2, 1, 0), (10, 100, 1000)])
def test_minibatches_reach_the_minimum_at_any_scale(classes, scale, shift):
    rows = classes > LABELS
    features, labels = PIXELS[rows] * scale + shift, LABELS[rows]
    exact = SquaredHingeSVM(C=0.01 / scale**2, tolerance=1e-10).fit(PIXELS[rows] * scale, labels)
    ours = MinibatchSVM(C=0.01 / scale**2).fit(features, labels)
    least = objective(exact, PIXELS[rows] * scale, labels)
    assert objective(ours, features, labels) < 1.01 * least
    assert np.mean(ours.predict(features) == exact.predict(PIXELS[rows] * scale)) > 0.99


class Watched:
    """Rows on disk that remember how many were asked for at once."""

    def __init__(self, rows):
        self.rows, self.shape, self.most = rows, rows.shape, 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, key):
        assert isinstance(key, slice)
        found = self.rows[key]
        self.most = max(self.most, len(found))
        return found


def test_a_file_sorted_by_class_is_learned_in_bounded_memory(tmp_path, monkeypatch):
    order = np.argsort(LABELS, kind="stable")
    stored = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, PIXELS.shape)
    stored[:] = PIXELS[order]
    held = 400
    monkeypatch.setattr(baselines.hinge, "HELD_BYTES", held * 4 * PIXELS.shape[1])
    watched = Watched(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    batches = baselines.hinge._batches(watched, 128, 3, 0, np.arange(len(PIXELS)))
    sizes, seen = [], []
    for rows, places in batches:
        np.testing.assert_array_equal(rows, PIXELS[order][places])
        sizes.append(len(rows))
        seen.append(places)
    assert set(sizes) == {128}
    assert watched.most <= held
    assert len(np.unique(np.concatenate(seen))) == len(PIXELS)
    assert min(len(np.unique(LABELS[order][places])) for places in seen) > 5
    machine = MinibatchSVM(C=0.01, batch_size=128).fit(watched, LABELS[order])
    assert np.mean(machine.predict(PIXELS) == LABELS) > 0.95
    assert machine.decision_function(watched).shape == (len(PIXELS), 10)


class Asked(Watched):
    """The same, asked for single rows too."""

    def __getitem__(self, key):
        found = self.rows[key]
        self.most = max(self.most, len(found) if not isinstance(key, slice) else 0)
        return found


@pytest.mark.parametrize("rare", [pytest.param(False, marks=pytest.mark.thorough), True])
def test_calibration_copies_no_more_than_the_rows_that_it_holds_back(tmp_path, monkeypatch, rare):
    """Of 1,797 rows on disk the temperature takes 200, and one of a class so rare that none was among them."""
    labels = np.where(LABELS == 9, 8, LABELS) if rare else LABELS
    labels = np.where(np.arange(len(labels)) < 2, 9, labels) if rare else labels
    order = np.argsort(labels, kind="stable")
    np.save(tmp_path / "rows.npy", PIXELS[order])
    monkeypatch.setattr(machines, "HELD_ROWS", 200)
    monkeypatch.setattr(baselines.hinge, "HELD_BYTES", 400 * 4 * PIXELS.shape[1])
    asked = Asked(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    machine = pipelines.svm("linear", 0.01, engine="keras").fit(asked, labels[order])
    assert machine.folds_ == 1
    assert 200 <= asked.most <= 201
    assert machine.predict_proba(PIXELS).shape == (len(PIXELS), 10)
    assert np.mean(machine.predict(PIXELS) == labels) > 0.92


def test_some_rows_of_a_file_are_learned_as_they_would_be_alone():
    rows = np.random.default_rng(0).permutation(len(LABELS))[:900]
    of_all = MinibatchSVM(epochs=3, batch_size=64).fit(PIXELS, LABELS, rows=rows)
    alone = MinibatchSVM(epochs=3, batch_size=64).fit(PIXELS[np.sort(rows)], LABELS[np.sort(rows)])
    np.testing.assert_array_equal(of_all.coef_, alone.coef_)


def test_the_exact_kernel_on_many_rows_is_said_once(monkeypatch):
    monkeypatch.setattr(machines, "EXACT_ROWS", 100)
    with pytest.warns(UserWarning, match="kernel='auto'") as said:
        pipelines.svm().fit(PIXELS[:200], LABELS[:200])
    assert len(said) == 1
    pipelines.svm("linear").fit(PIXELS[:200], LABELS[:200])  # warnings are errors here


def test_the_same_seed_gives_the_same_machine_and_another_seed_another():
    few = MinibatchSVM(epochs=3, batch_size=64, seed=1)
    first, again, other = (clone(few).set_params(seed=seed).fit(PIXELS, LABELS).coef_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


@pytest.mark.parametrize(("kind", "largest"), [("nystroem", 0.02), ("fourier", 0.08)])
def test_inner_products_are_about_the_rbf_kernels(kind, largest):
    found = KernelMap(kind, 1000, gamma_factor=0.5).fit(PIXELS)
    features = found.transform(PIXELS[:200])
    assert features.dtype == np.float32
    errors = features @ features.T - rbf_kernel(PIXELS[:200], gamma=found.gamma_)
    assert np.sqrt(np.mean(errors**2)) < largest
    assert found.gamma_ == pytest.approx(0.5 / (64 * PIXELS.var()), rel=1e-4)


def test_chi2_compares_histograms_and_refuses_what_is_none():
    shares = PIXELS[:100] / PIXELS[:100].sum(axis=1, keepdims=True)
    features = KernelMap("chi2").fit_transform(shares)
    exact = (additive_chi2_kernel(shares.astype(float)) + 2) / 2  # sum 2 a b / (a + b), for shares of sum 1
    assert np.corrcoef((features @ features.T).ravel(), exact.ravel())[0, 1] > 0.99
    with pytest.raises(ValueError, match=r"0 and more for kernel 'chi2'.* Received: -1"):
        KernelMap("chi2").fit(-np.ones((2, 2)))


@pytest.mark.parametrize("kernel", ["nystroem", "fourier", "chi2", "auto", "linear"])
def test_each_choice_is_a_pipeline_that_learns(kernel):
    pipeline = clone(pixels_svm(kernel=kernel, engine="keras" if kernel == "linear" else "sklearn"))
    pipeline.fit(IMAGES[:200], LABELS[:200])
    assert np.mean(pipeline.predict(IMAGES[200:]) == LABELS[200:300]) > 0.8
    np.testing.assert_allclose(pipeline.predict_proba(IMAGES[200:]).sum(axis=1), 1, atol=1e-5)


def test_the_kernel_chosen_by_rows_is_said(monkeypatch):
    monkeypatch.setattr(pipelines, "CHOICES", (("rbf", 100), ("nystroem", 200), ("linear", np.inf)))
    for rows, kernel in ((100, "rbf"), (150, "nystroem"), (300, "linear")):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            machine = pipelines.svm("auto").fit(PIXELS[:rows], LABELS[:rows])
        assert [kernel in str(one.message) for one in said] == [True] * (kernel != "rbf")
        assert machine.kernel_ == kernel
        assert np.mean(machine.predict(PIXELS[300:600]) == LABELS[300:600]) > 0.7


def test_refuses_an_engine_with_a_kernel_that_it_does_not_have():
    with pytest.raises(ValueError, match=r"kernel='linear' with engine='keras', made for no other. Received: 'rbf'"):
        hog_svm(engine="keras")
    with pytest.raises(ValueError, match=r"at least two classes. Received: 1"):
        MinibatchSVM().fit(PIXELS[:5], np.zeros(5, int))
