"""Colour histograms: counts equal to scikit-image's and NumPy's, by whole numbers, the same in any batch."""

import keras
import numpy as np
import pytest
from skimage import data
from skimage.color import rgb2hsv

from baselines.colour import SPACES, ColourHistogram, colour_histograms

PHOTOGRAPH = data.astronaut()[30:130, 150:271]
GRID = (2, 3)
CELLS = [
    (slice(50 * row, 50 * row + 50), slice(40 * column, 40 * column + 40)) for row in range(2) for column in range(3)
]


def whole_steps(image, space, bins):
    """Each channel's step by integer arithmetic: int64 (H, W, 3)."""
    red, green, blue = np.moveaxis(image.astype(np.int64), -1, 0)
    if space == "rgb":
        return np.stack([channel * bins // 256 for channel in (red, green, blue)], -1)
    if space == "opponent":
        first, second, third = red - green + 255, red + green - 2 * blue + 510, red + green + blue
        return np.stack([first * bins // 511, second * bins // 1021, third * bins // 766], -1)
    value, chroma = image.max(-1).astype(np.int64), np.ptp(image, axis=-1).astype(np.int64)
    sixths = np.select(
        [red == value, green == value], [green - blue, 2 * chroma + blue - red], 4 * chroma + red - green
    )
    hue = np.where(chroma == 0, 0, np.mod(sixths, 6 * np.maximum(chroma, 1)) * bins // (6 * np.maximum(chroma, 1)))
    saturation = np.minimum(chroma * bins // np.maximum(value, 1), bins - 1)
    return np.stack([hue, saturation, value * bins // 256], -1)


@pytest.mark.jax
@pytest.mark.parametrize("space", SPACES)
def test_counts_each_channel_of_each_cell_by_whole_numbers(space):
    steps = whole_steps(PHOTOGRAPH, space, 7)
    received = colour_histograms(PHOTOGRAPH[None], space, 7, GRID).reshape(6, 3, 7)
    for cell, own in zip(CELLS, received, strict=True):
        expected = [np.bincount(steps[cell][..., channel].ravel(), minlength=7) / 2000 for channel in range(3)]
        np.testing.assert_allclose(own, expected, atol=1e-6)


@pytest.mark.jax
def test_joint_histograms_count_the_three_steps_together():
    steps = whole_steps(PHOTOGRAPH, "hsv", 5)
    received = colour_histograms(PHOTOGRAPH[None], "hsv", 5, GRID, joint=True).reshape(6, 125)
    for cell, own in zip(CELLS, received, strict=True):
        expected = np.histogramdd(steps[cell].reshape(-1, 3), bins=[np.arange(6)] * 3)[0].ravel() / 2000
        np.testing.assert_allclose(own, expected, atol=1e-6)


def test_hsv_is_scikit_images():
    channels = rgb2hsv(PHOTOGRAPH).reshape(-1, 3)
    received = colour_histograms(PHOTOGRAPH[None], "hsv", 8).reshape(3, 8)
    expected = [np.histogram(channel, 8, (0, 1))[0] / len(channels) for channel in channels.T]
    np.testing.assert_allclose(received, expected, atol=2e-3)  # its float64 puts values on an edge to either side
    assert received[:, 1:].max() > 0.05


def test_grey_images_have_their_levels_in_any_space():
    grey = data.camera()[None, :64, :64, None]
    expected = np.bincount(grey.ravel() // 32, minlength=8) / 4096
    for space in SPACES:
        np.testing.assert_allclose(colour_histograms(grey, space)[0], expected, atol=1e-6)


@pytest.mark.jax
@pytest.mark.parametrize("joint", [False, True])
def test_is_a_layer_of_a_graph_that_keras_can_save(tmp_path, joint):
    inputs = keras.Input(PHOTOGRAPH.shape, dtype="uint8")
    layer = ColourHistogram("opponent", 6, GRID, joint)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "colour.keras")
    loaded = keras.saving.load_model(tmp_path / "colour.keras", safe_mode=True)
    assert loaded.layers[-1].get_config() == layer.get_config()
    expected = colour_histograms(PHOTOGRAPH[None], "opponent", 6, GRID, joint)
    assert model.output_shape == (None, expected.shape[1])
    np.testing.assert_allclose(loaded.predict(PHOTOGRAPH[None], verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"space": "lab"}, "space as one of rgb, hsv, opponent. Received: 'lab'"),
        ({"bins": 1}, "2 <= bins <= 256. Received: 1"),
        ({"bins": 50, "joint": True}, r"bins\*\*3 <= 65,536 with joint=True. Received: bins=50"),
        ({"grid": (101, 1)}, "at least 101 x 1 pixels, one a cell of the colour grid. Received: 100 x 121"),
    ],
)
def test_refuses_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message) as refused:
        colour_histograms(PHOTOGRAPH[None], **settings)
    assert "\n" not in str(refused.value)
