"""Pairs: the exact test against published numbers, Holm, letters, and verdicts that do not cry wolf."""

import json
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from toolkit.errors import InputError
from toolkit.evaluation import (
    Pair,
    cochran_q,
    compare_metric,
    compare_pair,
    compare_pairs,
    compare_recipes,
    groups,
    point_metrics,
    sampled,
)
from toolkit.evaluation.recipes import corrected_t
from toolkit.evaluation.significance import (
    clustered_mcnemar,
    cochran,
    holm,
    mcnemar,
    smallest_clustered_difference,
    smallest_difference,
    tango,
)


def answers(labels, correct):
    """Probabilities (N, 2) whose predictions are right where `correct` says so."""
    return np.eye(2)[np.where(correct, labels, 1 - labels)]


def contestants(both, only_a, only_b, neither):
    """Labels and two contestants with so many rows right in common, alone and not at all."""
    right_a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    right_b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    labels = np.arange(len(right_a)) % 2
    return labels, answers(labels, right_a), answers(labels, right_b)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_statsmodels(only_a, only_b):
    expected = statsmodels_mcnemar([[5, only_a], [only_b, 7]], exact=True).pvalue
    assert mcnemar(only_a, only_b) == pytest.approx(min(1, expected), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_holm_equals_statsmodels(seed):
    p_values = np.round(np.random.default_rng(seed).random(9) ** 3, 2)  # with ties
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-12)


@pytest.mark.parametrize(
    ("table", "exact", "mid", "low", "high"),
    [
        ((1, 1, 7, 12), 0.0703, 0.0391, -0.5172, -0.0260),
        ((59, 6, 16, 80), 0.052479, 0.034690, -0.1240, -0.0054),
    ],
)
def test_paired_proportions_give_the_published_numbers(table, exact, mid, low, high):
    """Airway hyper-responsiveness before and after transplantation, complete response before and after consolidation.

    Fagerland, Lydersen and Laake (2013, doi:10.1186/1471-2288-13-91, and 2014); to more digits their R package
    contingencytables.
    """
    both, only_a, only_b, neither = table
    assert mcnemar(only_a, only_b) == pytest.approx(exact, abs=5e-5)
    assert mcnemar(only_a, only_b, mid=True) == pytest.approx(mid, abs=5e-5)
    pair = compare_pair(*contestants(both, only_a, only_b, neither))
    assert (pair.low, pair.high) == pytest.approx((low, high), abs=5e-5)
    assert (pair.p, pair.mid_p) == (mcnemar(only_a, only_b), mcnemar(only_a, only_b, mid=True))


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_tango_inverts_the_score_test(only_a, only_b, others):
    rows = only_a + only_b + others
    if rows == 0:
        return
    interval, mirrored = tango(only_a, only_b, rows), tango(only_b, only_a, rows)
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low), abs=1e-7)
    table = [[0, only_a], [only_b, 0]]
    p = statsmodels_mcnemar(table, exact=False, correction=False).pvalue if only_a + only_b else 1
    if abs(p - 0.05) > 1e-6:
        assert (interval.low > 1e-9 or interval.high < -1e-9) == (p < 0.05)


@given(st.integers(0, 80))
def test_the_smallest_difference_is_where_significance_begins(disputed):
    rows = 1000
    smallest = smallest_difference(disputed, rows)
    lead = round(smallest * rows)
    needed = max(disputed, lead)
    assert mcnemar((needed + lead) // 2, (needed - lead) // 2) <= 0.05
    if lead >= 2:
        less = (lead - 2) if disputed >= 6 else lead - 1
        fewer = disputed if disputed >= 6 else less
        assert mcnemar((fewer + less) // 2, (fewer - less) // 2) > 0.05


def test_five_rows_can_show_no_difference():
    assert smallest_difference(5, 5) == np.inf
    pair = compare_pair(*contestants(0, 5, 0, 0))
    assert pair.verdict == "cannot tell"
    assert Pair.from_dict(json.loads(json.dumps(pair.to_dict(), allow_nan=False))) == pair


@pytest.mark.parametrize("method", ["score", "percentile", pytest.param("bca", marks=pytest.mark.jax)])
def test_a_clear_difference_and_none(method):
    better = compare_pair(*contestants(50, 30, 5, 15), method=method)
    assert (better.difference, better.only_a, better.only_b) == (0.25, 30, 5)
    assert 0.1 < better.low < 0.25 < better.high < 0.4
    assert better.verdict == "a is better"
    assert compare_pair(*contestants(50, 5, 30, 15), method=method).verdict == "b is better"
    same = compare_pair(*contestants(90, 0, 0, 10))
    assert (same.p, same.difference, same.verdict, same.better) == (1, 0, "cannot tell", None)
    assert same.low < 0 < same.high  # though no row is in dispute


def test_a_lead_within_few_clusters_proves_little():
    arrays = contestants(50, 30, 5, 15)
    order = np.random.default_rng(0).permutation(100)
    alone = compare_pair(*arrays, design=sampled(clusters=order))
    expected = statsmodels_mcnemar([[0, 30], [5, 0]], exact=False, correction=False)
    assert alone.p == pytest.approx(expected.pvalue)
    assert alone.verdict == "a is better"
    patients = np.repeat([0, 1, 2, 3], [50, 30, 5, 15])  # one patient holds all that only a got right
    pair = compare_pair(*arrays, design=sampled(clusters=patients))
    assert pair.verdict == "cannot tell"
    assert pair.low < 0 < pair.high


@pytest.mark.parametrize(("leads", "p"), [([4, 1, 2, 3, 1], 2 / 32), ([3, -1, 1], 6 / 8), ([0, 0], 1), ([5, 0], 1)])
def test_few_clusters_are_counted_exactly(leads, p):
    assert clustered_mcnemar(np.array(leads, float)) == pytest.approx(p)


def test_all_pairs_are_adjusted_together():
    labels, first, second = contestants(60, 14, 3, 23)
    alone = compare_pair(labels, first, second)
    family = compare_pairs(labels, {"a": first, "b": second, "c": first, "d": second})
    assert alone.verdict == "a is better"
    assert alone.holm_p == alone.p
    assert [(pair.a, pair.b) for pair in family[:3]] == [("a", "b"), ("a", "c"), ("a", "d")]
    assert family[0].p == alone.p
    assert family[0].holm_p == pytest.approx(6 * alone.p)
    assert family[0].verdict == ("a is better" if 6 * alone.p <= 0.05 else "cannot tell")


def told_apart(pairs):
    """Whether every pair whose difference is as large as the smallest that would show is told apart."""
    large = [pair for pair in pairs if abs(pair.difference) >= pair.smallest_difference]
    assert all(pair.verdict not in ("cannot tell", "practically equal") for pair in large)
    return len(large)


@pytest.mark.parametrize("clusters", [None, 9, 60])
def test_a_difference_that_would_show_does_show_in_any_family(clusters):
    rng, large = np.random.default_rng(0), 0
    labels = rng.integers(0, 2, 240)
    design = None if clusters is None else sampled(clusters=np.arange(240) % clusters)
    for count in (2, 3, 5):
        for _ in range(12):
            skills = rng.uniform(0.5, 0.95, count)
            told = {f"c{at}": answers(labels, rng.random(240) < skill) for at, skill in enumerate(skills)}
            pairs = compare_pairs(labels, told, design=design)
            large += told_apart(pairs)
            assert all(pair.smallest_difference > 0 for pair in pairs)
    assert large > 20


def test_the_smallest_difference_grows_with_the_family():
    labels, first, second = contestants(60, 14, 3, 23)
    alone = compare_pair(labels, first, second).smallest_difference
    assert compare_pairs(labels, dict(zip("abcd", (first, second) * 2, strict=True)))[0].smallest_difference > alone


@pytest.mark.parametrize("leads", [[1] * 7, [5, 1, 1, 1, 1, 1], [3, 2, 2, 2, 1, 1, 1, 1, 4], [2] * 20])
def test_the_smallest_clustered_difference_is_where_significance_begins(leads):
    sizes, rows = np.array(leads, float), 100
    smallest = smallest_clustered_difference(sizes, len(sizes), rows)
    signs = 1 - 2 * (np.random.default_rng(0).random((400, len(sizes))) < 0.15)
    for one in np.concatenate([signs, np.ones((1, len(sizes)))]):
        p = clustered_mcnemar(one * sizes)
        assert (abs(np.sum(one * sizes)) / rows >= smallest - 1e-12) == (p <= 0.05)


def test_clusters_of_whom_none_differs():
    assert smallest_clustered_difference(np.zeros(30), 30, 300) == 6 / 300  # a row in each of six
    assert smallest_clustered_difference(np.zeros(5), 5, 300) == np.inf
    assert smallest_clustered_difference(np.ones(5), 30, 300) == np.inf


class Known(NamedTuple):
    """A pair of which the better one is known."""

    a: str
    b: str
    better: str | None


def test_letters_are_shared_exactly_by_those_that_cannot_be_told_apart():
    accuracies = {"low": 0.7, "high": 0.9, "middle": 0.8}
    pairs = [Known("high", "middle", None), Known("middle", "low", None), Known("high", "low", "high")]
    assert groups(accuracies, pairs) == {"high": "a", "middle": "ab", "low": "b"}
    assert groups(accuracies, []) == {"high": "a", "middle": "a", "low": "a"}


@given(st.integers(1, 7), st.randoms())
def test_letters_say_what_the_pairs_say(count, random):
    names = [f"c{index}" for index in range(count)]
    pairs = [Known(a, b, random.choice([None, a])) for i, a in enumerate(names) for b in names[i + 1 :]]
    letters = groups({name: -i for i, name in enumerate(names)}, pairs)
    assert all(letters.values())
    for one in pairs:
        assert bool(set(letters[one.a]) & set(letters[one.b])) == (one.better is None)


def test_cochran_gives_the_published_numbers():
    """Conover (1999, p. 253), as in the Dataplot manual of NIST: Q 2.8, p 0.246597."""
    rows = ["111", "111", "010", "110", "000", "111", "111", "110", "001", "010", "111", "111"]
    correct = np.array([[digit == "1" for digit in row] for row in rows])
    assert cochran(correct) == pytest.approx((2.8, 0.246597), abs=1e-6)


def test_cochran_of_two_is_mcnemar_and_of_equals_finds_nothing():
    labels, first, second = contestants(60, 14, 3, 23)
    expected = statsmodels_mcnemar([[0, 14], [3, 0]], exact=False, correction=False)
    assert cochran_q(labels, {"a": first, "b": second}) == pytest.approx((expected.statistic, expected.pvalue))
    assert cochran_q(labels, {"a": first, "b": first, "c": first}) == (0, 1)
    with pytest.raises(InputError, match="at least two"):
        cochran_q(labels, {"a": first})


def graded(rows=400, seed=0, strengths=(2.0, 1.5)):
    """Labels (N,) and contestants (N, 4) that see the same rows with the same noise, the first more clearly."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, rows)
    noise = rng.normal(size=(rows, 4))
    found = [np.exp(noise + 0.5 * rng.normal(size=(rows, 4)) + strength * np.eye(4)[labels]) for strength in strengths]
    return labels, [odds / odds.sum(axis=1, keepdims=True) for odds in found]


@pytest.mark.parametrize("metric", ["macro_f1", "log_loss", pytest.param("roc_auc", marks=pytest.mark.jax)])
def test_every_method_tells_a_metric_apart_and_agrees(metric):
    labels, (strong, weak) = graded()
    both = {"strong": strong, "weak": weak}
    expected = point_metrics(labels, strong)[metric] - point_metrics(labels, weak)[metric]
    found = [compare_metric(labels, both, metric, method=method)[0] for method in ("score", "percentile", "bca")]
    for one in found:
        assert one.difference == pytest.approx(expected, abs=1e-12)
        assert one.verdict == "strong is better"
        assert (one.low, one.high) == pytest.approx((found[0].low, found[0].high), abs=0.1 * (one.high - one.low))
    twin = compare_metric(labels, {"a": strong, "b": strong}, metric, resamples=100)[0]
    assert (twin.difference, twin.p, twin.verdict, twin.better) == (0, 1, "cannot tell", None)


@pytest.mark.parametrize("method", ["score", "bca"])
def test_a_difference_of_a_metric_that_would_show_does_show(method):
    labels, told = graded(200, strengths=(2.0, 1.9, 1.6, 1.2))
    pairs = compare_metric(labels, dict(zip("abcd", told, strict=True)), "macro_f1", method=method, resamples=1000)
    assert told_apart(pairs) >= 2
    (twin,) = compare_metric(labels, {"a": told[0], "b": told[0]}, "macro_f1", method=method, resamples=100)
    assert twin.to_dict()["smallest_difference"] is None  # nothing is known where no row differs


def test_a_function_of_a_known_name_is_higher_the_better():
    labels, (strong, weak) = graded(200)

    def log_loss(truth, probabilities):
        return float(np.log(probabilities[np.arange(len(truth)), truth]).mean())  # the other way round

    both = {"strong": strong, "weak": weak}
    assert compare_metric(labels, both, log_loss, resamples=200)[0].verdict == "strong is better"
    assert compare_metric(labels, both, "log_loss", resamples=200)[0].verdict == "strong is better"


def test_the_calibration_error_has_no_paired_test_and_says_why():
    labels, (strong, weak) = graded(50)
    with pytest.raises(InputError, match=r"Received: ece, which has none, because noise"):
        compare_metric(labels, {"strong": strong, "weak": weak}, "ece")


def test_few_clusters_make_a_metric_cautious():
    labels, (strong, weak) = graded(90)
    both, clusters = {"strong": strong, "weak": weak}, np.arange(90) % 3
    alone = compare_metric(labels, both, "brier", method="score", design=sampled(clusters=clusters))[0]
    assert alone.verdict == "cannot tell"  # of the eight ways to exchange three clusters, two are as far apart


def test_any_function_can_be_the_metric():
    labels, (strong, weak) = graded(200)

    def share_of_sure_hits(truth, probabilities):
        return np.mean((probabilities.argmax(axis=1) == truth) & (probabilities.max(axis=1) > 0.6))

    both = {"strong": strong, "weak": weak}
    found = compare_metric(labels, both, share_of_sure_hits, resamples=300)[0]
    assert found.metric == "share_of_sure_hits"
    assert found.verdict == "strong is better"
    with pytest.raises(InputError, match="method"):
        compare_metric(labels, both, share_of_sure_hits, method="score")
    with pytest.raises(InputError, match="Did you mean 'macro_f1'"):
        compare_metric(labels, both, "macrof1")


def test_verdicts_between_equals_seldom_cry_wolf():
    """Six contestants of equal skill: a false verdict in at most 5 % of families, so in 40 hardly ever more than 7."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    false = 0
    for _ in range(40):
        right = rng.random((6, 300)) < 0.8
        pairs = compare_pairs(labels, {f"c{index}": answers(labels, one) for index, one in enumerate(right)})
        false += any(pair.better is not None for pair in pairs)
    assert false <= 7


def test_recipes_give_the_published_numbers():
    """Two SVMs on 100 splits, from scikit-learn: "Statistical comparison of models using grid search".

    Corrected t 0.750, one-sided p 0.227; probability of being better 0.773, of practical equivalence 0.432, of being
    better by more than 0.01 0.500; uncorrected t 2.611.
    """
    images, labels = make_moons(noise=0.352, random_state=1, n_samples=100)
    splits = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    scores = {
        kernel: cross_val_score(SVC(kernel=kernel), images, labels, scoring="roc_auc", cv=splits)
        for kernel in ("rbf", "linear")
    }
    differences = scores["rbf"] - scores["linear"]
    statistic, p, _ = corrected_t(differences, 10 / 90)
    assert [round(statistic, 3), round(p / 2, 3)] == [0.75, 0.227]
    assert round(corrected_t(differences, 0)[0], 3) == 2.611
    pair = compare_recipes(scores, test_rows=10, train_rows=90)[0]
    assert [round(value, 3) for value in (pair.equivalent, pair.a_better)] == [0.432, 0.5]
    plain = compare_recipes(scores, test_rows=10, train_rows=90, equivalence=0)[0]
    assert round(plain.a_better, 3) == 0.773
    assert pair.verdict == "cannot tell"


def test_recipes_that_win_always_and_recipes_that_are_alike():
    rng = np.random.default_rng(0)
    base = 0.9 + 0.01 * rng.normal(size=10)
    strong, twin = base + 0.05 + 0.002 * rng.normal(size=10), base + 1e-4 * rng.normal(size=10)
    first, _, last = compare_recipes({"strong": strong, "base": base, "twin": twin}, test_rows=200, train_rows=800)
    assert first.verdict == "strong is better"
    assert first.improvement == 1
    assert first.a_better + first.equivalent + first.b_better == pytest.approx(1)
    assert (last.a, last.b, last.verdict) == ("base", "twin", "practically equal")
    same = compare_recipes({"a": base, "b": base}, test_rows=200, train_rows=800)[0]
    assert (same.p, same.improvement, same.verdict) == (1, 0.5, "practically equal")
    assert same.equivalent > 0.999
    assert same.smallest_difference > 0
    assert json.loads(json.dumps(same.to_dict(), allow_nan=False))["a"] == "a"


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_equal_recipes_over_few_runs_seldom_cry_wolf(runs):
    """Four equals on test sets of 60 rows, whose scores often tie: at most 5 % of families, in 400 hardly above 32."""
    rng, false = np.random.default_rng(runs), 0
    for _ in range(400):
        skills = 0.9 + 0.02 * rng.normal(size=(4, runs))  # what a seed does
        right = rng.binomial(60, np.clip(skills, 0, 1)) / 60
        pairs = compare_recipes(dict(zip("abcd", right.tolist(), strict=True)), test_rows=60, train_rows=240)
        false += any(pair.verdict not in ("cannot tell", "practically equal") for pair in pairs)
        told_apart(pairs)
    assert false <= 32


def test_two_runs_that_agree_prove_nothing():
    same = compare_recipes({"a": [0.93, 0.95], "b": [0.92, 0.94]}, test_rows=100, train_rows=400)[0]
    assert same.verdict == "cannot tell"
    assert same.p > 0.1
    assert same.smallest_difference > 0.02


@pytest.mark.parametrize("scores", [{"a": [0.9, 0.8]}, {"a": [0.9], "b": [0.8]}, {"a": [0.9, 0.8], "b": [0.9]}])
def test_recipes_without_enough_runs_are_refused(scores):
    with pytest.raises(InputError, match="two or more"):
        compare_recipes(scores, test_rows=1, train_rows=4)


def test_predictions_of_different_test_sets_are_refused():
    labels, first, second = contestants(5, 5, 5, 5)
    with pytest.raises(InputError, match="one shape"):
        compare_pair(labels, first, second[:-1])
    with pytest.raises(InputError, match="softmax"):
        compare_pair(labels, first, second * 3)
