"""A linear head solved to its optimum: what scikit-learn finds, at any scale, and as strong as unseen rows say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression

from toolkit.training.linear import STRENGTHS, Rows, chosen, solved


def blobs(rows=90, width=6, spread=1.0, seed=0):
    """Three classes with centres of their own, features float32 (rows, width), far from zero, and labels."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    centres = np.random.default_rng(1).normal(0, 1, (3, width))
    return (5 + centres[labels] + generator.normal(0, spread, (rows, width))).astype(np.float32), labels


def seen(features, labels, passes=1, **told):
    shares = np.eye(3, dtype=np.float32)[labels]
    return Rows.of(np.stack([features] * passes), np.stack([shares] * passes), **told)


def chances(head, rows):
    values = np.exp(head.logits(rows) - head.logits(rows).max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("strength", [1.0, 30.0])
def test_it_is_what_scikit_learn_finds_on_standardised_features(strength):
    features, labels = blobs()
    standard = (features - features.mean(axis=0)) / np.sqrt(features.var(axis=0).sum())
    peer = LogisticRegression(C=strength, tol=1e-8, max_iter=1000).fit(standard, labels)
    rows = seen(features, labels)
    assert_allclose(chances(solved(rows, strength), rows), peer.predict_proba(standard), atol=5e-3)  # our TOLERANCE


def test_scale_and_offset_of_the_features_and_the_beginning_do_not_matter():
    features, labels = blobs()
    rows, moved = seen(features, labels), seen(100 * features - 3, labels)
    plain = chances(solved(rows, 10.0), rows)
    assert_allclose(chances(solved(moved, 10.0), moved), plain, atol=5e-3)
    assert_allclose(chances(solved(rows, 10.0, solved(rows, 100.0)), rows), plain, atol=5e-3)


def test_passes_count_as_one():
    features, labels = blobs()
    once, thrice = seen(features, labels), seen(features, labels, 3)
    assert len(thrice.targets) == 3 * thrice.images
    assert_allclose(chances(solved(thrice, 10.0), once), chances(solved(once, 10.0), once), atol=5e-3)


def test_balanced_classes_count_the_same_and_smoothing_keeps_chances_from_one():
    features, labels = blobs(spread=3.0)
    few = np.concatenate([np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:4]])
    plain, balanced = (seen(features[few], labels[few], balanced=told) for told in (False, True))
    rare = [chances(solved(rows, 10.0), rows)[:, 2].mean() for rows in (plain, balanced)]
    assert_allclose(rare[0], 4 / len(few), atol=0.01)  # a free bias answers as often as a class is
    assert rare[1] > 2 * rare[0]
    easy, labels = blobs(spread=0.1)
    smooth = seen(easy, labels, smoothing=0.3)
    assert_allclose(chances(solved(smooth, 1000.0), smooth).max(axis=1).mean(), 0.8, atol=0.03)  # 1 - 0.3 + 0.3 / 3


def test_the_strength_is_small_where_rows_say_little_and_large_where_they_say_much():
    loud, quiet = blobs(60, 40, spread=8.0), blobs(600, 6, spread=0.2)
    assert chosen(seen(*loud)).strength == STRENGTHS[0]
    assert chosen(seen(*quiet)).strength > 10
    assert chosen(seen(*quiet), 3)[:3] == chosen(seen(*quiet), 3)[:3]


def test_features_that_are_all_alike_give_the_classes_shares():
    labels = np.array([0, 0, 1, 2])
    rows = seen(np.ones((4, 2), np.float32), labels)
    assert_allclose(chances(solved(rows, 10.0), rows), [[0.5, 0.25, 0.25]] * 4, atol=5e-3)
    assert chosen(rows).strength in STRENGTHS
