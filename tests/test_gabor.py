"""Gabor energies: scikit-image's filters by matrix products, their mirrored borders included, on images of any size."""

import keras
import numpy as np
import pytest
from skimage import data
from skimage.filters import gabor

from baselines.gabor import Gabor, gabor_features

CAMERA = data.camera()[200:248, 200:261]
FREQUENCIES, ORIENTATIONS = (0.08, 0.3), 3


def magnitudes(image, bandwidth):
    """(frequencies, orientations, H, W)."""
    angles = np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS
    found = [[gabor(image / 255.0, one, angle, bandwidth) for angle in angles] for one in FREQUENCIES]
    return np.hypot(*np.moveaxis(np.array(found), 2, 0))


@pytest.mark.jax
@pytest.mark.parametrize(
    ("image", "grid", "bandwidth"),
    [(CAMERA, (1, 1), 1.0), (CAMERA, (2, 3), 1.4), (CAMERA[:9, :12], (1, 1), 1.0)],
    ids=["whole", "grid", "smaller than the filter"],
)
def test_means_and_deviations_are_those_of_scikit_images_filters(image, grid, bandwidth):
    height, width = image.shape[0] // grid[0], image.shape[1] // grid[1]
    cells = magnitudes(image, bandwidth)[..., : grid[0] * height, : grid[1] * width]
    cells = cells.reshape(2, 3, grid[0], height, grid[1], width).transpose(2, 4, 0, 1, 3, 5)
    expected = np.stack([cells.mean(axis=(-2, -1)), cells.std(axis=(-2, -1))], axis=-1)
    received = gabor_features(image[None, ..., None], FREQUENCIES, ORIENTATIONS, bandwidth, grid)
    np.testing.assert_allclose(received, expected.reshape(1, -1), rtol=1e-4, atol=1e-6)  # float32


def test_the_filter_along_the_stripes_answers_the_most():
    waves = 127.5 + 120 * np.sin(2 * np.pi * 0.1 * np.arange(64))
    stripes = np.stack([np.tile(waves, (64, 1)), np.tile(waves[:, None], (1, 64))]).astype(np.uint8)[..., None]
    means = gabor_features(stripes, (0.1, 0.3), 4).reshape(2, 2, 4, 2)[..., 0]
    assert [divmod(int(one.argmax()), 4) for one in means.reshape(2, -1)] == [(0, 0), (0, 2)]


@pytest.mark.jax
def test_is_a_layer_of_a_graph_that_keras_can_save(tmp_path):
    inputs = keras.Input((48, 61, 1), dtype="uint8")
    layer = Gabor((0.1,), 2, 1.2, (2, 2))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "gabor.keras")
    loaded = keras.saving.load_model(tmp_path / "gabor.keras", safe_mode=True)
    expected = gabor_features(CAMERA[None, ..., None], (0.1,), 2, 1.2, (2, 2))
    assert model.output_shape == (None, expected.shape[1])
    np.testing.assert_allclose(loaded.predict(CAMERA[None, ..., None], verbose=0), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frequencies": (0.6,)}, "up to 0.5 waves a pixel. Received: "),
        ({"orientations": 0}, "orientations >= 1"),
        ({"grid": (49, 1)}, "at least 49 x 1 pixels, one a cell of the Gabor grid. Received: 48 x 61"),
    ],
)
def test_refuses_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message) as refused:
        gabor_features(CAMERA[None, ..., None], **settings)
    assert "\n" not in str(refused.value)
