"""The machines: LIBSVM's and LIBLINEAR's answers by another road, and temperatures learned on rows held out."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.svm import SVC, LinearSVC

from baselines import HOGFeatures, machines
from baselines.intel import IntelSVM
from baselines.machines import Calibrated, PairwiseSVM, SquaredHingeSVM

DIGITS = load_digits()
PIXELS, LABELS = (DIGITS.data / 16).astype(np.float32), DIGITS.target


@pytest.mark.parametrize("pair_rows", [20_000, 100], ids=["kernels by product", "kernels by LIBSVM"])
def test_pairs_decide_as_in_scikit_learns_svc(monkeypatch, pair_rows):
    monkeypatch.setattr(machines, "PAIR_ROWS", pair_rows)
    ours = PairwiseSVM(C=10).fit(PIXELS[:900], LABELS[:900])
    theirs = SVC(C=10, decision_function_shape="ovo").fit(PIXELS[:900], LABELS[:900])
    vectors = (ours.support_vectors_ + ours.centre_).astype(float)
    kernel = machines._rbf(PIXELS[900:].astype(float), vectors, ours.gamma_)
    values = kernel @ ours.dual_coef_ + ours.intercept_
    np.testing.assert_allclose(-values, theirs.decision_function(PIXELS[900:]), atol=5e-3)  # both stop within 1e-3
    assert np.mean(ours.predict(PIXELS[900:]) == theirs.predict(PIXELS[900:])) > 0.98  # votes against chances


def test_two_classes_decide_as_in_scikit_learns_svc():
    rows = LABELS < 2
    ours, theirs = (machine.fit(PIXELS[rows], LABELS[rows]) for machine in (PairwiseSVM(C=10), SVC(C=10)))
    np.testing.assert_allclose(ours.decision_function(PIXELS), theirs.decision_function(PIXELS), atol=5e-3)
    np.testing.assert_array_equal(ours.predict(PIXELS), theirs.predict(PIXELS))


@pytest.mark.parametrize("classes", [2, 10])
def test_another_solvers_machine_is_taken_over(classes):
    rows = np.flatnonzero(classes > LABELS)
    theirs = SVC(C=10, decision_function_shape="ovo").fit(PIXELS[rows], LABELS[rows])
    taken, ours = IntelSVM(C=10), PairwiseSVM(C=10).fit(PIXELS[rows], LABELS[rows])
    taken.choose_gamma(PIXELS[rows])
    taken.take(theirs)
    assert taken.dual_coef_.shape == (len(taken.support_vectors_), classes * (classes - 1) // 2)
    np.testing.assert_allclose(taken.decision_function(PIXELS), ours.decision_function(PIXELS), atol=5e-2)
    kernel = machines._rbf(PIXELS.astype(float), taken.support_vectors_ + taken.centre_, taken.gamma_)
    values = kernel @ taken.dual_coef_ + taken.intercept_
    sign = 1 if classes == 2 else -1
    np.testing.assert_allclose(sign * np.squeeze(values), theirs.decision_function(PIXELS), atol=1e-4)


def test_gamma_factor_multiplies_the_scale():
    scale = SVC().fit(PIXELS[:50], LABELS[:50])._gamma
    assert PairwiseSVM().fit(PIXELS[:50], LABELS[:50]).gamma_ == pytest.approx(scale, rel=1e-5)
    assert PairwiseSVM(gamma_factor=3).fit(PIXELS[:50], LABELS[:50]).gamma_ == pytest.approx(3 * scale, rel=1e-5)
    assert PairwiseSVM(gamma=0.5, gamma_factor=3).fit(PIXELS[:50], LABELS[:50]).gamma_ == 0.5


@pytest.mark.parametrize("classes", [2, 10])
def test_squared_hinge_is_liblinears(classes):
    rows = classes > LABELS
    ours = SquaredHingeSVM(C=0.1, tolerance=1e-9).fit(PIXELS[rows], LABELS[rows])
    # so large a scale leaves LIBLINEAR's intercept all but free, as ours is
    theirs = LinearSVC(C=0.1, dual=False, intercept_scaling=100, tol=1e-6).fit(PIXELS[rows], LABELS[rows])
    np.testing.assert_allclose(ours.decision_function(PIXELS), theirs.decision_function(PIXELS), atol=2e-2)
    np.testing.assert_array_equal(ours.predict(PIXELS[rows]), theirs.predict(PIXELS[rows]))


@pytest.mark.parametrize("C", [0.1, 100.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_squared_hinge_of_few_rows_and_many_features_is_the_same_machine(monkeypatch, classes, C):
    rows = classes > LABELS
    images = np.kron(DIGITS.images[rows], np.ones((1, 4, 4)))[..., None].astype(np.uint8) * 15
    wide, labels, learned = HOGFeatures(cells_across=8).fit_transform(images), LABELS[rows], slice(0, 200)
    by_rows = SquaredHingeSVM(C, tolerance=1e-12).fit(wide[learned], labels[learned])
    assert by_rows.n_iter_ < 60  # steps of Newton's method, not of L-BFGS
    monkeypatch.setattr(machines, "FEW", 0)
    plain = SquaredHingeSVM(C, max_iter=5000, tolerance=1e-10).fit(wide[learned], labels[learned])
    assert by_rows.coef_.shape == plain.coef_.shape
    if C < 1:  # beyond, float32 stops L-BFGS before the optimum
        np.testing.assert_allclose(by_rows.decision_function(wide), plain.decision_function(wide), atol=5e-3)
    assert objective(by_rows, wide[learned], labels[learned]) <= objective(plain, wide[learned], labels[learned]) + 1e-9


def objective(machine, features, labels):
    positive = machine.classes_[-len(machine.coef_) :]
    signs = np.where(labels[:, None] == positive, 1.0, -1.0)
    scores = features.astype(float) @ machine.coef_.T + machine.intercept_
    return np.sum(machine.coef_**2) / 2 + machine.C * np.sum(np.maximum(0, 1 - signs * scores) ** 2)


@pytest.mark.parametrize("held_rows", [10_000, 200], ids=["folds", "held back once"])
@pytest.mark.parametrize("machine", [PairwiseSVM(C=10), SquaredHingeSVM(C=0.1), SVC(C=10)], ids=repr)
def test_calibration_lowers_the_loss_on_rows_never_seen(monkeypatch, machine, held_rows):
    monkeypatch.setattr(machines, "HELD_ROWS", held_rows)
    calibrated = Calibrated(machine).fit(PIXELS[:900], LABELS[:900])
    assert calibrated.folds_ == (1 if held_rows == 200 else 3)
    whole = clone(machine).fit(PIXELS[:900], LABELS[:900])
    np.testing.assert_array_equal(
        calibrated.predict(PIXELS[900:]), whole.classes_[whole.decision_function(PIXELS[900:]).argmax(axis=1)]
    )
    probabilities = calibrated.predict_proba(PIXELS[900:])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    scores = calibrated.machine_.calibrated_classifiers_[0].estimator.decision_function(PIXELS[900:])
    losses = []
    for temperature in (0.1, 1 / 0.1):  # ten times colder and hotter
        powers = np.power(probabilities, temperature)
        losses.append(log_loss(LABELS[900:], powers / powers.sum(axis=1, keepdims=True)))
    assert log_loss(LABELS[900:], probabilities) < min(losses)
    np.testing.assert_array_equal(scores.argmax(axis=1), probabilities.argmax(axis=1))


@pytest.mark.parametrize(("smallest", "folds"), [(2, 2), (3, 3), (50, 3)])
def test_folds_are_bounded_by_the_smallest_class(smallest, folds):
    rows = np.concatenate([np.flatnonzero(LABELS == 0)[:60], np.flatnonzero(LABELS == 1)[:smallest]])
    calibrated = Calibrated(PairwiseSVM(C=10)).fit(PIXELS[rows], LABELS[rows])
    assert calibrated.folds_ == folds
    assert calibrated.predict_proba(PIXELS).shape == (len(PIXELS), 2)


def test_a_large_set_with_a_rare_class_is_folded(monkeypatch):
    monkeypatch.setattr(machines, "HELD_ROWS", 50)
    rows = np.concatenate([np.flatnonzero(LABELS == 0), np.flatnonzero(LABELS == 1)[:4]])
    assert Calibrated(PairwiseSVM(C=10)).fit(PIXELS[rows], LABELS[rows]).folds_ == 3


def test_refuses_a_class_of_one_row_and_one_class():
    rows = np.append(np.flatnonzero(LABELS == 0)[:60], np.flatnonzero(LABELS == 7)[0])
    with pytest.raises(ValueError, match=r"two images or more of each class\. Received: one of class 7"):
        Calibrated(PairwiseSVM()).fit(PIXELS[rows], LABELS[rows])
    with pytest.raises(ValueError, match=r"at least two classes\. Received: 1"):
        Calibrated(PairwiseSVM()).fit(PIXELS[rows[:-1]], LABELS[rows[:-1]])


def test_temperatures_do_not_depend_on_what_the_labels_are_called():
    few = LABELS[:600]
    told = [
        Calibrated(SquaredHingeSVM()).fit(PIXELS[:600], labels).predict_proba(PIXELS[600:900])
        for labels in (few, few + 1, np.array(list("abcdefghij"))[few])
    ]
    np.testing.assert_array_equal(told[0], told[1])
    np.testing.assert_array_equal(told[0], told[2])
    assert Calibrated(SquaredHingeSVM()).fit(PIXELS[:600], few + 1).predict(PIXELS[:600]).min() == 1
