"""The SVM baselines keep the contract of every contestant."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from baselines.svm import hog_lbp_svm, hog_svm, lbp_svm, pixels_svm

DIGITS = load_digits()
IMAGES = np.kron(DIGITS.images[:300] * 15.9375, np.ones((4, 4))).astype(np.uint8)[..., None]  # 8 x 8 -> 32 x 32
LABELS = DIGITS.target[:300].astype(np.int64)
PIPELINES = [hog_svm, lbp_svm, hog_lbp_svm, pixels_svm]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_probabilities_of_real_digits(pipeline):
    classifier = clone(pipeline(seed=0))
    assert classifier.fit(IMAGES[:200], LABELS[:200]) is classifier
    probabilities = classifier.predict_proba(IMAGES[200:])
    assert probabilities.shape == (100, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert np.mean(classifier.classes_[probabilities.argmax(axis=1)] == LABELS[200:]) > 0.8
