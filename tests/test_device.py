"""Rows that an accelerator sorts and counts give the same numbers as on the host: here one is only made believe."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from toolkit.evaluation import (
    at_threshold,
    calibration_error,
    classwise_calibration_error,
    compare_metric,
    compare_pairs,
    details,
    evaluate,
    picks,
    point_metrics,
    reliability,
    risk_coverage,
    sampled,
    threshold_for,
)
from toolkit.evaluation import device as where
from toolkit.evaluation.precision import double_precision, to_numpy
from toolkit.evaluation.resampling import draws


@pytest.fixture
def both(monkeypatch):
    """A function's result on the host, then with an accelerator believed to be there, which takes the other path."""

    def ask(function, *arguments, **told):
        found = []
        for believed in (False, True):
            monkeypatch.setattr(where, "accelerated", lambda answer=believed: answer)
            found.append(function(*arguments, **told))
        return found

    return ask


def rows(count, classes, seed, kind="smooth"):
    """Labels among which the last class is absent, and probabilities: all different, on a grid of ties, or extreme."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, max(1, classes - 1), count)
    scores = generator.normal(0, 40 if kind == "extreme" else 1, (count, classes))
    scores[np.arange(count), labels] += 1
    if kind == "ties":
        scores = scores.round()
    probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
    return labels, (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)


def assert_same(one, other):
    """Numbers equal but for the order in which they were added; all else exactly."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    elif isinstance(one, str) or one is None:
        assert one == other
    else:
        assert_allclose(one, other, rtol=1e-9, atol=1e-12)


TIES = pytest.param(300, 5, "ties", marks=pytest.mark.jax)  # JAX compiles each shape: one is enough there
CASES = [(1, 3, "smooth"), (2, 2, "ties"), TIES, (300, 3, "extreme"), (2500, 4, "smooth")]


@pytest.mark.parametrize(("count", "classes", "kind"), CASES)
def test_metrics_and_intervals_do_not_depend_on_who_sorts_and_counts(both, count, classes, kind):
    labels, probabilities = rows(count, classes, seed=count, kind=kind)
    assert_same(*both(point_metrics, labels, probabilities))
    for method in ("score", "bca"):
        told = {"method": method, "resamples": 60}
        assert_same(*[one.to_dict() for one in both(evaluate, labels, probabilities, **told)])
    assert_same(*both(details, labels, probabilities, {"site": labels % 2}))


def test_designs_do_not_depend_on_it(both):
    labels, probabilities = rows(240, 4, seed=1, kind="ties")
    for design in (
        sampled(clusters=np.arange(240) // 4),
        sampled(strata=labels),
        sampled(np.arange(240) // 4, np.arange(240) // 80),
    ):
        told = {"method": "percentile", "resamples": 60, "design": design}
        assert_same(*[one.to_dict() for one in both(evaluate, labels, probabilities, **told)])
        for equal in ("width", "mass"):
            assert_same(*[vars(e) for e in both(calibration_error, labels, probabilities, equal=equal, design=design)])


def test_pairs_do_not_depend_on_it(both):
    labels, first = rows(400, 4, seed=2, kind="ties")
    told = {"a": first, "b": rows(400, 4, seed=3)[1], "c": first[::-1]}
    for design in (None, sampled(clusters=np.arange(400) // 5)):
        for method in ("score", "bca"):
            how = {"method": method, "resamples": 60, "design": design}
            assert_same(*[[vars(pair) for pair in found] for found in both(compare_pairs, labels, told, **how)])
    for metric in ("macro_f1", "log_loss", "roc_auc", lambda labels, answers: float(answers[:, 0].mean())):
        how = {"resamples": 60, "design": sampled(clusters=np.arange(400) // 5)}
        assert_same(*[[vars(pair) for pair in found] for found in both(compare_metric, labels, told, metric, **how)])


@pytest.mark.jax
def test_thresholds_do_not_depend_on_it(both):
    labels, probabilities = rows(300, 3, seed=4, kind="ties")
    chosen = both(threshold_for, labels, probabilities, 0, precision=0.6)
    assert_same(*map(vars_of, chosen))
    assert_same(*map(vars_of, both(at_threshold, labels, probabilities, 0, chosen[0].threshold)))
    assert_same(*[[vars_of(one) for one in found] for found in both(reliability, labels, probabilities)])
    assert_same(*[vars(one) for one in both(classwise_calibration_error, labels, probabilities)])
    scores = np.random.default_rng(0).integers(-2, 3, 300) / 2  # below 0 and with ties
    host, other = both(risk_coverage, labels, probabilities, scores)
    assert_array_equal(host.threshold, other.threshold)
    assert_array_equal(host.wrong, other.wrong)


def vars_of(found):
    return {name: vars(value) if hasattr(value, "low") else value for name, value in vars(found).items()}


@pytest.mark.jax
@settings(max_examples=25)
@given(
    values=st.lists(st.sampled_from([-np.inf, -1.5, -1e-310, -0.0, 0.0, 1e-310, 0.25, 1.0]), min_size=1, max_size=40)
)
def test_order_places_and_counts_are_numpy_s(values):
    values = np.array(values)
    whole = np.arange(len(values)) % 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, "accelerated", lambda: True)
        found = {
            "order": where.order(values),
            "within": where.order(values, within=whole),
            "places": where.places(values)[1],
            "cells": np.stack(where.cells(whole)),
            "counted": np.stack(where.counted(whole)),
            "tally": where.tally(whole, 5),
            "sums": where.tally(whole, 5, whole),
        }
        finite = values[np.isfinite(values)]
        middle = where.quantiles(finite, np.array([0.1, 0.5, 0.9])) if len(finite) else None
    assert_array_equal(found["order"], np.argsort(values, kind="stable"))
    assert_array_equal(found["within"], np.lexsort((values, whole)))
    assert_array_equal(found["places"], np.unique(values, return_inverse=True)[1])
    assert_array_equal(found["cells"], np.stack(np.unique(whole, return_index=True, return_counts=True)[1:]))
    assert_array_equal(found["counted"], np.stack(np.unique(whole, return_counts=True)))
    assert_array_equal(found["tally"], np.bincount(whole, minlength=5))
    assert found["tally"].dtype == np.int64
    assert_array_equal(found["sums"], np.bincount(whole, whole, minlength=5))
    if len(finite):
        assert_array_equal(middle, np.quantile(finite, [0.1, 0.5, 0.9]))


@pytest.mark.jax
def test_picks_are_the_generator_s_whoever_makes_them():
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423]  # SplitMix64, seed 1234567
    halves = picks._halves(np.arange(1, 4), 1234567, np).astype(np.uint64)
    assert_array_equal(halves[::2] + (halves[1::2] << np.uint64(32)), np.array(known, dtype=np.uint64))
    multiplicity, urn = np.array([2, 0, 1, 5, 3, 1]), np.array([1, 0, 0, 1, 0, 2])
    urns = picks.Urns.of(multiplicity, urn, 3)
    assert_array_equal(urns.owner, [2, 4, 4, 4, 0, 0, 3, 3, 3, 3, 3, 5])
    number = np.array([[4, 7, 1], [0, 9, 0], [3, 3, 3]])
    for key, start in ((0, 0), (-3, 22), (2**63 - 1, 2**40)):
        host = picks._on_the_host(urns, number, key, start)
        assert_array_equal([host[:, urn == index].sum(axis=1) for index in range(3)], number.T)
        assert_array_equal(to_numpy(picks._on_the_device(urns, number, key, start)), host)


@pytest.mark.jax
def test_cells_drawn_on_the_host_and_rows_picked_on_the_device_add_up(both):
    multiplicity, stratum = np.append(np.ones(600, dtype=int), [40, 9, 500]), np.append(np.arange(601) % 2, [2, 2])
    drawn = double_precision(lambda: to_numpy(next(draws(multiplicity, stratum, 3, np.random.default_rng(0)))))
    host, device = both(drawn)
    assert_array_equal(host, device)
    for index in range(3):
        assert_array_equal(host[:, stratum == index].sum(axis=1), [multiplicity[stratum == index].sum()] * 3)


def test_picks_go_on_where_the_last_ones_ended():
    urns = picks.Urns.of(np.ones(50, dtype=int), np.zeros(50, dtype=int), 1)
    whole = picks.picked(urns, np.array([[50], [50], [50]]), 7, 0)
    parts = [picks.picked(urns, np.array([[50]]), 7, start) for start in (0, 25, 50)]
    assert_array_equal(whole, np.concatenate(parts))
