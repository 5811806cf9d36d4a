"""The permutation test of a pair: against all exchanges counted, McNemar's test, and near perfection."""

from itertools import product

import numpy as np
import pytest
import sklearn.metrics as sk

from toolkit.evaluation import compare_metric, compare_pair, sampled
from toolkit.evaluation.design import check_design
from toolkit.evaluation.differences import Evidence
from toolkit.evaluation.exchange import exchange_p, exchange_p_of
from toolkit.evaluation.precision import double_precision
from toolkit.evaluation.rows import read_rows


def near_perfection(rows=200, wrong=3):
    """Labels (N,), a contestant that is always right, and one that is wrong on a few rows."""
    labels = np.arange(rows) % 2
    missed = np.where(np.arange(rows) < wrong, 1 - labels, labels)
    return labels, np.eye(2)[labels], np.eye(2)[missed]


def p_of(labels, first, second, metric, design=None, exchanges=4000):
    """`exchange_p` of two contestants."""
    one, other = (Evidence(read_rows(labels, told)) for told in (first, second))
    return double_precision(exchange_p)(one, other, metric, check_design(design, len(labels)), exchanges, 0)


@pytest.mark.parametrize("metric", ["macro_f1", pytest.param("kappa", marks=pytest.mark.jax)])
@pytest.mark.parametrize("clustered", [False, True])
def test_exchanges_drawn_are_as_likely_as_all_of_them_counted(metric, clustered):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 10)
    first, second = (
        np.eye(3)[np.where(rng.random(10) < share, labels, rng.integers(0, 3, 10))] for share in (0.9, 0.2)
    )
    cluster = np.arange(10) // 2 if clustered else np.arange(10)
    scores = {"macro_f1": lambda truth, told: sk.f1_score(truth, told, average="macro"), "kappa": sk.cohen_kappa_score}
    predicted = [told.argmax(axis=1) for told in (first, second)]

    def apart(swapped):
        one, other = (np.where(swapped[cluster], *pair) for pair in (predicted[::-1], predicted))
        return abs(scores[metric](labels, one) - scores[metric](labels, other))

    seen = apart(np.zeros(10, bool))
    every = [apart(np.array(signs, bool)) >= seen - 1e-12 for signs in product((0, 1), repeat=cluster.max() + 1)]
    design = sampled(clusters=cluster) if clustered else None
    assert p_of(labels, first, second, metric, design) == pytest.approx(np.mean(every), abs=0.035)  # 4.4 deviations


@pytest.mark.jax
def test_of_accuracy_it_is_mcnemar_s():
    labels, first, second = near_perfection(wrong=10)
    first[20:24] = first[20:24, ::-1]  # wrong on four others
    pair = compare_pair(labels, first, second)
    assert pair.only_a > 0 < pair.only_b
    assert p_of(labels, first, second, "accuracy") == pytest.approx(pair.p)
    accuracy = sk.accuracy_score
    rows = [read_rows(labels, told) for told in (first, second)]
    drawn = exchange_p_of(rows, lambda y, told: accuracy(y, told.argmax(axis=1)), check_design(None, 200), 2000, 0)
    assert drawn == pytest.approx(pair.p, abs=0.05)


METRICS = ["accuracy", "macro_f1", "log_loss", "brier", "roc_auc", "average_precision", "kappa"]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", ["score", "percentile", "bca"])
def test_a_lead_of_three_rows_proves_nothing(metric, method):
    labels, first, second = near_perfection()
    (pair,) = compare_metric(labels, {"a": first, "b": second}, metric, method=method)
    assert pair.verdict == "cannot tell"
    assert pair.p == pytest.approx(0.25, abs=0.04)  # two of eight ways to exchange three rows


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "log_loss", "roc_auc"])
@pytest.mark.parametrize("method", ["score", "bca"])
@pytest.mark.parametrize("rows", [1, 4])
def test_a_handful_of_rows_proves_nothing(metric, method, rows):
    labels = np.arange(rows) % 2
    told = {"a": np.eye(2)[labels], "b": np.eye(2)[1 - labels]}
    (pair,) = compare_metric(labels, told, metric, method=method)
    assert (pair.verdict, pair.better) == ("cannot tell", None)
    assert pair.p > 0.05
    assert not 1 < pair.smallest_difference < np.inf or metric == "log_loss"


@pytest.mark.parametrize("method", ["score", "percentile", "bca"])
def test_what_is_not_defined_has_no_winner(method):
    labels, told = np.zeros(20, int), np.random.default_rng(0).dirichlet([1, 1], 20)
    (pair,) = compare_metric(labels, {"a": told, "b": told[::-1]}, "roc_auc", method=method)
    assert np.isnan(pair.difference)
    assert (pair.p, pair.verdict) == (1, "cannot tell")
    assert pair.to_dict()["low"] is None


def test_of_many_contestants_a_far_better_one_is_found():
    labels = np.random.default_rng(0).integers(0, 2, 300)
    skill = {"best": 0.95, **{f"other {index}": 0.3 for index in range(10)}}
    told = {
        name: np.eye(2)[np.where(np.random.default_rng(seed).random(300) < share, labels, 1 - labels)]
        for seed, (name, share) in enumerate(skill.items())
    }
    pairs = compare_metric(
        labels, told, "macro_f1"
    )  # 55 of them, and a rarest p of 2 in 2,001 would be 0.055 of Holm's
    assert sum(pair.verdict == "best is better" for pair in pairs) == 10


def test_equals_near_perfection_are_seldom_told_apart():
    """Of 60 pairs of equals with 1 % errors: the bootstrap alone told 20 apart."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(60):
        labels = rng.integers(0, 2, 200)
        first, second = (np.eye(2)[np.where(rng.random(200) < 0.99, labels, 1 - labels)] for _ in range(2))
        (pair,) = compare_metric(labels, {"a": first, "b": second}, "accuracy", resamples=200)
        alarms += pair.better is not None
    assert alarms <= 5
