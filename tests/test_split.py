"""Splits: disjoint, whole, stratified, seeded, and official parts stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.split import folds, split_rows
from toolkit.errors import InputError

NAMES = ("cat", "dog", "fox")


def labels_of(counts: list[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@given(
    st.lists(st.integers(3, 60), min_size=3, max_size=3), st.floats(0.02, 0.4), st.floats(0.02, 0.4), st.integers(0, 9)
)
def test_every_row_once_and_each_class_in_its_share(
    counts: list[int], validation: float, test: float, seed: int
) -> None:
    labels = labels_of(counts)
    rows = split_rows(labels, NAMES, seed=seed, validation=validation, test=test)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(len(labels)))
    for name, fraction in (("validation", validation), ("test", test)):
        found = np.bincount(labels[rows[name]], minlength=3)
        assert (found >= 1).all()
        assert (abs(found - np.array(counts) * fraction) <= 1).all()


def test_same_seed_same_rows_other_seed_other_rows() -> None:
    labels = labels_of([50, 50, 50])
    one, again, other = (split_rows(labels, NAMES, seed=seed) for seed in (1, 1, 2))
    for name in one:
        np.testing.assert_array_equal(one[name], again[name])
    assert not np.array_equal(one["test"], other["test"])


def test_given_parts_stay_and_the_missing_one_is_drawn_from_train() -> None:
    labels = np.tile([0, 1], 50)
    official = np.array(["train"] * 70 + ["test"] * 30)
    rows = split_rows(labels, NAMES[:2], official, validation=0.1)
    np.testing.assert_array_equal(rows["test"], np.arange(70, 100))
    assert len(rows["validation"]) == 8  # 10 % of 35, each class: 3.5, rounded to 4
    assert rows["validation"].max() < 70


def test_no_validation_is_empty() -> None:
    assert len(split_rows(labels_of([5, 5, 5]), NAMES, validation=0)["validation"]) == 0


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"at least 3 images of each class, one for each split.*Received: 2 of 'dog'"):
        split_rows(labels_of([5, 2, 5]), NAMES)
    with pytest.raises(InputError, match=r"at least two classes\. Received: 1 \(cat\)"):
        split_rows(np.zeros(9, np.int64), ("cat",))
    for validation, test in ((0.5, 0.5), (-0.1, 0.2), (0.1, 0.0), (0.1, float("nan"))):
        with pytest.raises(InputError, match="validation \\+ test < 1"):
            split_rows(labels_of([5, 5, 5]), NAMES, validation=validation, test=test)


def torn(parts: list[np.ndarray], groups: np.ndarray) -> int:
    """How many groups lie in more than one part."""
    held = [set(groups[rows].tolist()) for rows in parts]
    return sum(map(len, held)) - len(set().union(*held))


@given(st.integers(0, 50), st.integers(1, 6))
def test_no_group_is_torn_and_shares_stay_close(seed: int, largest: int) -> None:
    random = np.random.default_rng(seed)
    labels = labels_of([60, 80, 100], seed)
    sizes = random.integers(1, largest + 1, 240)
    groups = random.permutation(np.repeat(np.arange(240), sizes)[:240])
    rows = split_rows(labels, NAMES, groups=groups, seed=seed)
    assert torn(list(rows.values()), groups) == 0
    assert sum(map(len, rows.values())) == 240
    for name, share in (("validation", 0.1), ("test", 0.2)):
        found = np.bincount(labels[rows[name]], minlength=3)
        assert (abs(found - np.array([60, 80, 100]) * share) <= largest).all()


def test_groups_of_one_row_change_nothing() -> None:
    labels = labels_of([20, 30, 40])
    plain = split_rows(labels, NAMES, seed=5)
    alone = split_rows(labels, NAMES, groups=np.arange(90)[::-1], seed=5)
    assert all(len(plain[name]) == len(alone[name]) for name in plain)


def test_groups_that_leave_a_split_empty_are_refused() -> None:
    labels = np.repeat([0, 1], 30)
    groups = np.concatenate([np.repeat([0, 1], 15), np.arange(2, 32)])
    with pytest.raises(InputError, match=r"at least 3 groups .* Received: 2 of 'cat'"):
        split_rows(labels, NAMES[:2], groups=groups)


@pytest.mark.parametrize("each", [3, 4, 5, 6, 8])
@pytest.mark.parametrize("images", [4, 20])
def test_few_large_groups_are_split_where_they_can_be(each: int, images: int) -> None:
    labels = np.repeat([0, 1, 2], each * images)
    for groups in (np.arange(len(labels)) // images, np.arange(len(labels)) % each):  # of one class each, and of all
        rows = split_rows(labels, NAMES, groups=groups, seed=1)
        assert torn(list(rows.values()), groups) == 0
        assert all(len(np.unique(labels[part])) == 3 for part in rows.values())
        assert len(rows["train"]) == max(map(len, rows.values()))


@given(st.integers(2, 6), st.integers(0, 20), st.booleans())
def test_folds_hold_out_each_row_once_and_each_class_in_its_share(count: int, seed: int, grouped: bool) -> None:
    labels = labels_of([31, 47, 60], seed)
    groups = np.arange(138) // 2 if grouped else None
    parts = folds(labels, NAMES, count, groups, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(138))
    for rows in parts:
        assert (
            abs(np.bincount(labels[rows], minlength=3) - np.array([31, 47, 60]) / count) <= (3 if grouped else 1)
        ).all()
    if groups is not None:
        assert torn(parts, groups) == 0


def test_folds_refuse() -> None:
    with pytest.raises(InputError, match=r"two folds or more\. Received: 1"):
        folds(labels_of([5, 5, 5]), NAMES, 1)
    with pytest.raises(InputError, match=r"at least 6 images of each class.* Received: 5 of 'cat'"):
        folds(labels_of([5, 9, 9]), NAMES, 6)
