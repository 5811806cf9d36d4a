"""Pairs: the exact test against published numbers, Holm, letters, and verdicts that do not cry wolf."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from toolkit.errors import InputError
from toolkit.evaluation import Pair, compare_pair, compare_pairs, groups
from toolkit.evaluation.paired import holm, mcnemar, smallest_difference


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


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-12)


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


@pytest.mark.jax
def test_a_clear_difference_and_none():
    better = compare_pair(*contestants(50, 30, 5, 15), names=("cnn", "hog_svm"))
    assert (better.difference, better.only_a, better.only_b) == (0.25, 30, 5)
    assert 0 < better.low < 0.25 < better.high < 0.5
    assert better.verdict == "cnn is better"
    assert compare_pair(*contestants(50, 5, 30, 15), names=("cnn", "hog_svm")).verdict == "hog_svm is better"
    same = compare_pair(*contestants(90, 0, 0, 10))
    assert (same.p, same.difference, same.verdict, same.better) == (1, 0, "cannot tell", None)


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


def pair(a, b, better):
    verdict = "cannot tell" if better is None else f"{better} is better"
    return Pair(a, b, 100, 0, 0, 0.0 if better is None else (1.0 if better == a else -1.0), 0, 0, 1, 1, 0.1, verdict)


def test_letters_are_shared_exactly_by_those_that_cannot_be_told_apart():
    accuracies = {"low": 0.7, "high": 0.9, "middle": 0.8}
    pairs = [pair("high", "middle", None), pair("middle", "low", None), pair("high", "low", "high")]
    assert groups(accuracies, pairs) == {"high": "a", "middle": "ab", "low": "b"}
    assert groups(accuracies, []) == {"high": "a", "middle": "a", "low": "a"}


@given(st.integers(1, 7), st.randoms())
def test_letters_say_what_the_pairs_say(count, random):
    names = [f"c{index}" for index in range(count)]
    pairs = [pair(a, b, random.choice([None, a])) for i, a in enumerate(names) for b in names[i + 1 :]]
    letters = groups({name: -i for i, name in enumerate(names)}, pairs)
    assert all(letters.values())
    for one in pairs:
        assert bool(set(letters[one.a]) & set(letters[one.b])) == (one.better is None)


def test_predictions_of_different_test_sets_are_refused():
    labels, first, second = contestants(5, 5, 5, 5)
    with pytest.raises(InputError, match="one shape"):
        compare_pair(labels, first, second[:-1])
    with pytest.raises(InputError, match="softmax"):
        compare_pair(labels, first, second * 3)
