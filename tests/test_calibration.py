"""Calibration, selective prediction and decisions: against their definitions, and on cases whose answer is known."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator

from toolkit.errors import InputError
from toolkit.evaluation import (
    apply_temperature,
    at_threshold,
    brier_parts,
    calibration_error,
    classwise_calibration_error,
    decide,
    evaluate,
    fit_temperature,
    mean_cost,
    point_metrics,
    reliability,
    risk_coverage,
    sampled,
    temperature_scaling,
    threshold_for,
)


def calibrated(rows=2000, classes=4, seed=0, temperature=1.0):
    """Labels drawn from the very probabilities that are then made sharper (temperature below 1) or flatter."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(rows, classes))
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (truth.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    told = np.exp(logits / temperature)
    return labels, told / told.sum(axis=1, keepdims=True)


def naive_error(score, hit, edges):
    """Expected calibration error of one score over bins (low, high]."""
    total = 0.0
    for low, high in pairwise(edges):
        inside = (score > low) & (score <= high)
        total += abs(np.sum(hit[inside]) - np.sum(score[inside])) / len(score)
    return total


@pytest.mark.parametrize("equal", ["width", pytest.param("mass", marks=pytest.mark.jax)])
def test_calibration_errors_are_what_they_are_defined_to_be(equal):
    labels, probabilities = calibrated(500, temperature=0.5)
    top, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels

    def edges(score):
        inner = np.linspace(0, 1, 11)[1:-1]
        return np.concatenate([[-1], inner if equal == "width" else np.quantile(score, inner), [2]])

    found = calibration_error(labels, probabilities, bins=10, equal=equal)
    assert found.value == pytest.approx(naive_error(top, hit, edges(top)), abs=1e-12)
    each = [naive_error(p, labels == k, edges(p)) for k, p in enumerate(probabilities.T)]
    classwise = classwise_calibration_error(labels, probabilities, bins=10, equal=equal)
    assert classwise.value == pytest.approx(np.mean(each), abs=1e-12)


def test_the_evaluation_has_the_same_calibration_error():
    labels, probabilities = calibrated(500, temperature=0.5)
    found = calibration_error(labels, probabilities)
    assert evaluate(labels, probabilities)["ece"] == found.interval
    assert point_metrics(labels, probabilities)["ece"] == pytest.approx(found.value, abs=1e-12)


@pytest.mark.parametrize("rows", [200, 2000])
def test_a_calibrated_contestant_is_not_accused(rows):
    """Its error is all noise: about as much as foretold, and in most of the intervals the truth, which is none."""
    found = [calibration_error(*calibrated(rows, seed=seed)) for seed in range(40)]
    mean = np.mean([one.value for one in found])
    assert mean == pytest.approx(np.mean([one.if_calibrated for one in found]), rel=0.15)
    assert 0.5 * mean < np.mean([one.bias for one in found]) < mean
    assert np.mean([one.low == 0 for one in found]) >= 0.8


def test_an_uncalibrated_contestant_is():
    labels, probabilities = calibrated(2000, temperature=0.4)
    truth = calibration_error(*calibrated(200_000, seed=1, temperature=0.4)).value
    found = calibration_error(labels, probabilities)
    assert 0 < found.low < truth < found.high
    assert found.bias < 0.1 * found.value


def test_rows_that_come_in_clusters_widen_the_interval():
    labels, probabilities = calibrated(300, temperature=0.5)
    alone = calibration_error(labels, probabilities)
    repeated = (np.repeat(labels, 4), np.repeat(probabilities, 4, axis=0))
    together = calibration_error(*repeated, design=sampled(clusters=np.repeat(np.arange(300), 4)))
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.15)
    assert calibration_error(*repeated).high - calibration_error(*repeated).low < 0.7 * (together.high - together.low)


def test_the_reliability_diagram_equals_scikit_learn():
    labels, probabilities = calibrated(800)
    top, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    shares, means = calibration_curve(hit, top, n_bins=10)
    points = reliability(labels, probabilities, bins=10)
    assert [point.confidence for point in points] == pytest.approx(means)
    assert [point.accuracy.value for point in points] == pytest.approx(shares)
    assert sum(point.rows for point in points) == 800
    for point in points:
        assert point.low < point.confidence <= point.high
        assert point.accuracy.low <= point.accuracy.value <= point.accuracy.high
    sizes = [point.rows for point in reliability(labels, probabilities, bins=10, equal="mass")]
    assert max(sizes) - min(sizes) <= 1


def test_brier_parts_add_up_and_know_their_meaning():
    labels, probabilities = calibrated(3000, temperature=0.5)
    parts = brier_parts(labels, probabilities)
    assert parts.brier == pytest.approx(point_metrics(labels, probabilities)["brier"])
    shares = np.bincount(labels) / 3000
    assert parts.uncertainty == pytest.approx(np.sum(shares * (1 - shares)))
    assert parts.brier == pytest.approx(parts.reliability - parts.resolution + parts.uncertainty + parts.within)
    assert abs(parts.within) < 0.01  # bins are narrow
    better = brier_parts(*calibrated(3000))
    assert better.reliability < 0.2 * parts.reliability
    constant = brier_parts(labels, np.tile(shares, (3000, 1)))
    assert [constant.reliability, constant.resolution, constant.within] == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("temperature", [0.4, 1.0, pytest.param(2.5, marks=pytest.mark.jax)])
def test_the_temperature_is_found_again(temperature):
    labels, probabilities = calibrated(4000, temperature=temperature)
    found = fit_temperature(labels, probabilities)
    assert found == pytest.approx(1 / temperature, rel=0.06)  # 4,000 labels know it to some 2 %
    scaled = apply_temperature(probabilities, found)
    best = point_metrics(labels, scaled)["log_loss"]
    for factor in (0.97, 1.03):
        assert best < point_metrics(labels, apply_temperature(probabilities, factor * found))["log_loss"]
    assert np.array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))


class Told(ClassifierMixin, BaseEstimator):
    """A classifier whose answers are its input, for scikit-learn to calibrate."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        return X

    def predict(self, X):
        return X.argmax(axis=1)


def test_temperature_scaling_equals_scikit_learn():
    labels, probabilities = calibrated(1000, temperature=0.5)
    logits = np.log(probabilities)
    peer = CalibratedClassifierCV(FrozenEstimator(Told().fit(logits, labels)), method="temperature", ensemble=False)
    expected = peer.fit(logits, labels).predict_proba(logits)
    found = apply_temperature(probabilities, fit_temperature(labels, probabilities))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_temperature_scaling_reports_rows_it_was_not_fitted_on():
    report = temperature_scaling(*calibrated(2000, seed=1, temperature=0.5), *calibrated(2000, seed=2, temperature=0.5))
    assert report.temperature == pytest.approx(2, rel=0.1)
    assert report.ece_after.value < 0.5 * report.ece_before.value
    assert report.log_loss_after.high < report.log_loss_before.low
    assert report.brier_after.value < report.brier_before.value


def test_before_and_after_are_clipped_at_the_same_probability():
    held = (np.array([0, 0, 1, 1]), np.full((4, 2), 0.5))  # no temperature is better than 1
    certain = np.array([[1.0, 0.0], [1.0, 1e-30], [0.25, 0.75]], np.float32)
    found = temperature_scaling(np.array([0, 1, 1]), certain, *held)
    assert found.temperature == 1
    assert found.log_loss_after.value == pytest.approx(found.log_loss_before.value, rel=1e-6)


def test_zero_probabilities_and_perfect_contestants_have_a_temperature():
    labels, sure = np.arange(30) % 3, 0.3 + 0.1 * np.eye(3)
    assert fit_temperature(labels, sure[labels]) < 0.03
    assert fit_temperature(labels, sure[(labels + 1) % 3]) == pytest.approx(50, rel=0.05)
    assert fit_temperature(labels, np.eye(3)[labels]) == 1
    np.testing.assert_allclose(apply_temperature(np.eye(3), 1.0), np.eye(3), atol=1e-12)
    with pytest.raises(InputError, match="above 0"):
        apply_temperature(np.eye(3), 0)


def test_the_risk_coverage_curve_is_what_it_is_defined_to_be():
    labels, probabilities = calibrated(300)
    probabilities = np.round(probabilities, 2)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    sure, wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != labels
    curve = risk_coverage(labels, probabilities)
    for threshold, coverage, risk in zip(curve.threshold, curve.coverage, curve.risk, strict=True):
        assert coverage == pytest.approx(np.mean(sure >= threshold))
        assert risk == pytest.approx(np.mean(wrong[sure >= threshold]))
    assert curve.coverage[-1] == 1
    assert curve.risk[-1] == pytest.approx(1 - point_metrics(labels, probabilities)["accuracy"])
    assert 0 < curve.area < curve.risk[-1]


def test_the_coverage_at_a_risk_keeps_the_risk():
    validation, test = risk_coverage(*calibrated(3000)), risk_coverage(*calibrated(3000, seed=1))
    chosen = validation.at_risk(0.05)
    assert 0 < chosen.coverage < 1
    assert chosen.risk.value <= 0.05
    seen = test.at_threshold(chosen.threshold)
    assert seen.coverage == pytest.approx(chosen.coverage, abs=0.05)
    assert seen.risk.low < 0.05 < seen.risk.high + 0.02
    assert validation.at_risk(1).coverage == 1
    never = risk_coverage(np.zeros(10, int), np.eye(2)[np.ones(10, int)]).at_risk(0.5)
    assert (never.coverage, never.threshold) == (0, np.inf)
    assert np.isnan(never.risk.value)
    assert test.at_threshold(1.1).coverage == 0
    with pytest.raises(InputError, match="between 0 and 1"):
        test.at_risk(5)
    with pytest.raises(InputError, match="one score"):
        risk_coverage(*calibrated(10), scores=np.ones(9))


def test_thresholds_reach_what_was_wanted_and_no_better_one_does():
    labels, probabilities = calibrated(400)
    score, positive = probabilities[:, 1], labels == 1

    def at(threshold):
        called = score >= threshold
        return np.sum(called & positive) / max(called.sum(), 1), np.sum(called & positive) / positive.sum()

    for goal in (0.5, 0.8, 0.95):
        by_precision = threshold_for(labels, probabilities, 1, precision=goal)
        assert (by_precision.precision.value, by_precision.recall.value) == pytest.approx(at(by_precision.threshold))
        assert by_precision.precision.value >= goal
        assert by_precision.recall.value == max(recall for precision, recall in map(at, score) if precision >= goal)
        by_recall = threshold_for(labels, probabilities, 1, recall=goal)
        assert by_recall.recall.value >= goal
        assert by_recall.precision.value == max(precision for precision, recall in map(at, score) if recall >= goal)


def test_thresholds_that_cannot_be():
    labels, probabilities = np.zeros(10, int), np.full((10, 2), 0.5)
    assert threshold_for(labels, probabilities, 1, precision=0.9).threshold == np.inf
    assert threshold_for(labels, probabilities, 1, recall=0.9).threshold == np.inf
    for wrong in ({}, {"precision": 0.5, "recall": 0.5}, {"precision": 90}):
        with pytest.raises(InputError, match="either a precision or a recall"):
            threshold_for(labels, probabilities, 1, **wrong)
    with pytest.raises(InputError, match="class from 0 to 1"):
        threshold_for(labels, probabilities, 2, recall=0.5)


@pytest.mark.jax
def test_the_cheapest_decision_is_made_and_costs_less():
    labels, probabilities = calibrated(2000, classes=3)
    costs = np.array([[0, 1, 20, 2], [1, 0, 1, 2], [1, 1, 0, 2]])  # 0 taken for 2 is dear, asking a person costs 2
    chosen = decide(probabilities, costs)
    assert np.array_equal(chosen, (probabilities @ costs).argmin(axis=1))
    plain = mean_cost(labels, probabilities.argmax(axis=1), costs)
    wise = mean_cost(labels, chosen, costs)
    assert wise.value == pytest.approx(costs[labels, chosen].mean())
    assert wise.low < wise.value < wise.high < plain.low
    assert np.array_equal(decide(probabilities, 1 - np.eye(3)), probabilities.argmax(axis=1))


def test_costs_and_bins_that_cannot_be_are_refused():
    labels, probabilities = calibrated(20)
    with pytest.raises(InputError, match="4 rows"):
        decide(probabilities, np.ones((3, 3)))
    with pytest.raises(InputError, match="finite costs"):
        mean_cost(labels, labels, np.full((4, 4), np.nan))
    with pytest.raises(InputError, match="decision from 0 to 1"):
        mean_cost(labels, labels, np.ones((4, 2)))
    with pytest.raises(InputError, match="a decision, one or more"):
        mean_cost(labels, labels, np.zeros((4, 0)))
    with pytest.raises(InputError, match=r"whole number of bins.*2\.5"):
        calibration_error(labels, probabilities, bins=2.5)
    with pytest.raises(InputError, match="softmax"):
        decide(np.log(probabilities), np.ones((4, 4)))
    with pytest.raises(InputError, match="width"):
        calibration_error(labels, probabilities, equal="area")
    with pytest.raises(InputError, match="one or more, of equal"):
        brier_parts(labels, probabilities, bins=0)


@pytest.mark.parametrize("confidence", [0, 1, 1.5])
def test_a_confidence_that_is_none_is_refused_by_all(confidence):
    labels, probabilities = calibrated(20)
    told = {"confidence": confidence}
    for ask in (
        lambda: calibration_error(labels, probabilities, **told),
        lambda: classwise_calibration_error(labels, probabilities, **told),
        lambda: reliability(labels, probabilities, **told),
        lambda: risk_coverage(labels, probabilities, **told),
        lambda: threshold_for(labels, probabilities, 0, recall=0.5, **told),
        lambda: mean_cost(labels, labels, np.ones((4, 4)), **told),
    ):
        with pytest.raises(InputError, match="confidence between 0 and 1"):
            ask()


def test_rows_that_stand_there_twice_tell_nothing_new():
    """Clustered by what they copy, doubled rows have about the intervals of the rows alone, not of twice as many."""
    labels, probabilities = calibrated(300)
    twice = np.repeat(np.arange(300), 2)
    design = sampled(clusters=twice)

    def intervals(labels, probabilities, design=None):
        told = {"design": design}
        threshold = threshold_for(labels, probabilities, 1, recall=0.7, **told)
        return [
            max(reliability(labels, probabilities, bins=4, **told), key=lambda one: one.rows).accuracy,
            risk_coverage(labels, probabilities, **told).at_risk(0.2).risk,
            threshold.precision,
            at_threshold(labels, probabilities, 1, threshold.threshold, **told).recall,
            mean_cost(labels, labels * 0, 1 - np.eye(4), **told),
            temperature_scaling(labels, probabilities, labels, probabilities, **told).log_loss_after,
        ]

    alone = intervals(labels, probabilities)
    doubled = labels[twice], probabilities[twice]
    for one, many, clustered in zip(alone, intervals(*doubled), intervals(*doubled, design), strict=True):
        assert one.value == pytest.approx(many.value) == pytest.approx(clustered.value)
        assert many.high - many.low < 0.8 * (one.high - one.low)
        assert clustered.high - clustered.low == pytest.approx(one.high - one.low, rel=0.06)
