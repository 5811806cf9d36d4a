"""The transformers: what they refuse, what they choose and show, and that scikit-learn can handle them."""

import pickle

import numpy as np
import pytest
from skimage import data
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from baselines.features import HOGFeatures, LBPFeatures, PixelFeatures
from baselines.gridded import ColourFeatures, GaborFeatures, GLCMFeatures, OpenCVHOGFeatures
from baselines.hog import hog_features
from baselines.lbp import lbp_features

IMAGES = np.stack([data.astronaut()[50:114, start : start + 80] for start in (100, 130, 160)])  # (3, 64, 80, 3)
TRANSFORMERS = pytest.mark.parametrize(
    "transformer",
    [
        HOGFeatures(),
        LBPFeatures(),
        PixelFeatures(),
        ColourFeatures(),
        GLCMFeatures(distances=(1,), levels=8, properties=("contrast",)),
        GaborFeatures(frequencies=(0.2,), orientations=2),
        OpenCVHOGFeatures(),
    ],
    ids=repr,
)


@TRANSFORMERS
def test_gives_float32_rows_and_keeps_its_input(transformer):
    images = IMAGES.copy()
    images.flags.writeable = False
    features = clone(transformer).fit_transform(images)
    assert features.dtype == np.float32
    assert features.ndim == 2
    assert len(features) == 3
    np.testing.assert_array_equal(images, IMAGES)


@TRANSFORMERS
def test_can_be_cloned_and_pickled_fitted(transformer):
    fitted = clone(transformer).fit(IMAGES[:1])
    expected = fitted.transform(IMAGES)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(IMAGES), expected)
    assert len(pickle.dumps(fitted)) < 1000  # the shape and the parameters, no network


@TRANSFORMERS
def test_says_that_it_is_not_fitted(transformer):
    with pytest.raises(NotFittedError):
        clone(transformer).transform(IMAGES)


@TRANSFORMERS
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.astype(np.float32), r"Expected images as uint8 \(N, H, W, C\) .* Received: float32 \(3, 64, 80, 3\)"),
        (IMAGES[..., 0], r"Received: uint8 \(3, 64, 80\)"),
        (IMAGES[..., :2], r"Received: uint8 \(3, 64, 80, 2\)"),
        ([[1, 2]], r"Received: list \(\)"),
    ],
)
def test_refuses_what_is_no_image_and_says_what_came(transformer, images, message):
    with pytest.raises(ValueError, match=message):
        clone(transformer).fit(images)
    with pytest.raises(ValueError, match=message):
        clone(transformer).fit(IMAGES).transform(images)


@TRANSFORMERS
def test_refuses_another_shape_than_in_fit(transformer):
    with pytest.raises(ValueError, match=r"shape \(64, 80, 3\) as in fit\. Received: \(64, 79, 3\)"):
        clone(transformer).fit(IMAGES).transform(IMAGES[:, :, 1:])


def test_features_are_those_of_the_functions():
    hog = HOGFeatures(8, (9, 7), (2, 1), "L1", True, 3, levels=2).fit(IMAGES)
    np.testing.assert_array_equal(hog.transform(IMAGES), hog_features(IMAGES, 8, (9, 7), (2, 1), "L1", True, 3, 2))
    lbp = LBPFeatures(12, 1.5, "nri_uniform", (2, 3)).fit(IMAGES)
    np.testing.assert_array_equal(lbp.transform(IMAGES), lbp_features(IMAGES, 12, 1.5, "nri_uniform", (2, 3)))


@pytest.mark.parametrize(("side", "cell"), [(16, 4), (28, 4), (32, 4), (64, 8), (96, 12), (224, 28), (500, 62)])
def test_cells_follow_the_size_of_the_image_and_are_shown(side, cell):
    fitted = HOGFeatures(cells_across=8).fit(np.zeros((1, side, side + 20, 1), np.uint8))
    assert fitted.pixels_per_cell_ == (cell, cell)


def test_refuses_images_smaller_than_a_block_in_fit():
    with pytest.raises(ValueError, match=r"at least 8 x 8 pixels for one HOG block .* Received: 7 x 28") as refused:
        HOGFeatures().fit(np.zeros((1, 7, 28, 1), np.uint8))
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="at least 5 x 5 pixels, one a cell of the LBP grid"):
        LBPFeatures(grid=(5, 5)).fit(np.zeros((1, 28, 4, 1), np.uint8))


def test_pixels_shrink_by_a_whole_factor_to_means():
    fitted = PixelFeatures(scale=0.5, longest=40).fit(IMAGES)
    assert fitted.factor_ == 2
    expected = IMAGES.reshape(3, 32, 2, 40, 2, 3).mean(axis=(2, 4)) / 255 / 2
    np.testing.assert_allclose(fitted.transform(IMAGES), expected.reshape(3, -1), atol=1e-6)
    roots = PixelFeatures(scale=0.5, longest=40, transform_sqrt=True).fit_transform(IMAGES)
    np.testing.assert_allclose(roots, np.sqrt(expected.reshape(3, -1) * 2) / 2, atol=1e-6)
