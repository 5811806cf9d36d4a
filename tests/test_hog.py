"""HOG: equal to scikit-image's on real photographs, the same answer in any batch, a layer that Keras can save."""

import keras
import numpy as np
import pytest
from skimage import data
from skimage.feature import _hoghistogram
from skimage.feature import hog as skimage_hog

from baselines.hog import BLOCK_NORMS, HOG, hog_features

GREY = data.camera()[180:330, 200:361, None]  # scikit-image's wheel holds these photographs
COLOUR = data.astronaut()[30:151, 150:310]
GEOMETRIES = [(9, (8, 8), (3, 3)), (8, (5, 7), (2, 1)), (12, (16, 16), (1, 1)), (18, (6, 6), (2, 3))]
PHOTOGRAPHS = pytest.mark.parametrize("photograph", [GREY, COLOUR], ids=["grey", "colour"])


@pytest.mark.jax
@pytest.mark.parametrize(
    ("photograph", "block_norm", "geometry"),
    [(COLOUR, norm, geometry) for norm in BLOCK_NORMS for geometry in GEOMETRIES]
    + [(GREY, norm, geometry) for norm, geometry in zip(BLOCK_NORMS, GEOMETRIES, strict=True)],
    ids=lambda value: str(value) if not isinstance(value, np.ndarray) else str(value.shape),
)
def test_equals_scikit_image_on_photographs(photograph, block_norm, geometry):
    orientations, cell, block = geometry
    expected = skimage_hog(photograph, orientations, cell, block, block_norm, channel_axis=-1)
    received = hog_features(photograph[None], orientations, cell, block, block_norm)
    assert received.dtype == np.float32
    np.testing.assert_allclose(received[0], expected, rtol=0, atol=1e-5)  # float32 against float64


@pytest.mark.jax
@pytest.mark.parametrize("orientations", [1, 4, 7, 9, 12, 36])
def test_every_gradient_of_whole_levels_falls_into_scikit_images_bin(orientations):
    """Also those exactly on an edge: whole gradients can lie on no other edges than 0, 45, 90 and 135 degrees."""
    steps = np.arange(-255, 256)
    rows, columns = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    images = np.zeros((rows.size, 3, 3, 1), np.uint8)  # only the centre has a gradient
    images[:, 0, 1, 0], images[:, 2, 1, 0] = np.maximum(-rows, 0), np.maximum(rows, 0)
    images[:, 1, 0, 0], images[:, 1, 2, 0] = np.maximum(-columns, 0), np.maximum(columns, 0)
    received = hog_features(images, orientations, (3, 3), (1, 1), "L2")
    expected = np.zeros((511, 511, orientations))
    gradients = columns.reshape(511, 511).astype(float), rows.reshape(511, 511).astype(float)
    _hoghistogram.hog_histograms(*gradients, 1, 1, 511, 511, 511, 511, orientations, expected)
    expected = expected.reshape(-1, orientations)
    np.testing.assert_array_equal(received > 0, expected > 0)


@PHOTOGRAPHS
def test_roots_of_levels_differ_only_where_an_angle_lies_on_an_edge(photograph):
    """Differences of roots are no whole numbers: float32 may put 45 degrees on the other side of 45 than float64."""
    settings = (12, (4, 4), (1, 1), "L2")
    expected = skimage_hog(photograph, *settings, transform_sqrt=True, channel_axis=-1)
    received = hog_features(photograph[None], *settings, transform_sqrt=True)[0]
    differs = np.abs(received - expected) > 1e-5
    assert differs.mean() < 0.002
    both = (received + np.roll(received, 1))[differs] - (expected + np.roll(expected, 1))[differs]
    neighbours = (received + np.roll(received, -1))[differs] - (expected + np.roll(expected, -1))[differs]
    assert np.minimum(np.abs(both), np.abs(neighbours)).max(initial=0) < 0.1  # a vote moved to the bin beside


@pytest.mark.jax
def test_an_image_has_the_same_features_in_any_batch_and_from_a_memory_map(tmp_path):
    images = np.stack(
        [GREY[row : row + 40, column : column + 36] for row in range(0, 100, 3) for column in range(0, 120, 4)]
    )
    np.save(tmp_path / "images.npy", images)
    expected = hog_features(images)
    assert len(images) > 1000  # more than one block
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    np.testing.assert_array_equal(hog_features(mapped), expected)
    for start, stop in ((0, 1), (3, 5), (900, 971)):
        np.testing.assert_allclose(hog_features(images[start:stop]), expected[start:stop], atol=1e-6)
    np.testing.assert_array_equal(hog_features(images.astype(np.float32)), expected)
    assert hog_features(images[:0]).shape == (0, expected.shape[1])


@pytest.mark.jax
def test_is_a_layer_of_a_graph_that_keras_can_save(tmp_path):
    inputs = keras.Input(COLOUR.shape, dtype="uint8")
    layer = HOG(8, (10, 12), (2, 2), "L1-sqrt", transform_sqrt=True, padding=3, levels=2)
    model = keras.Model(inputs, layer(inputs))
    expected = hog_features(COLOUR[None], 8, (10, 12), (2, 2), "L1-sqrt", transform_sqrt=True, padding=3, levels=2)
    assert model.output_shape == (None, expected.shape[1])
    model.save(tmp_path / "hog.keras")
    loaded = keras.saving.load_model(tmp_path / "hog.keras", safe_mode=True)
    assert loaded.layers[-1].get_config() == layer.get_config()
    np.testing.assert_allclose(loaded.predict(COLOUR[None], verbose=0), expected, atol=1e-5)  # roots of sums


@pytest.mark.jax
@PHOTOGRAPHS
def test_a_level_is_hog_on_cells_of_twice_the_side(photograph):
    """145 pixels: 29, 14 and 7 cells down, so that each level leaves something out."""
    image = photograph[None, :145]
    settings = {"cells_per_block": (2, 3), "transform_sqrt": True, "padding": 1}
    alone = [hog_features(image, pixels_per_cell=(side, side), **settings) for side in (5, 10, 20)]
    together = hog_features(image, pixels_per_cell=(5, 5), levels=3, **settings)
    np.testing.assert_allclose(together, np.concatenate(alone, axis=1), atol=1e-5)  # sums in another order


def test_a_level_without_a_block_is_left_out():
    image = GREY[None, :40, :40]
    expected = hog_features(image, pixels_per_cell=(8, 8), cells_per_block=(2, 2), levels=2)  # 5 and 2 cells across
    received = hog_features(image, pixels_per_cell=(8, 8), cells_per_block=(2, 2), levels=7)
    assert expected.shape == (1, (16 + 1) * 4 * 9)
    np.testing.assert_array_equal(received, expected)


def test_padding_mirrors():
    mirrored = np.pad(GREY, ((3, 3), (3, 3), (0, 0)), mode="symmetric")
    np.testing.assert_allclose(hog_features(GREY[None], padding=3), hog_features(mirrored[None]), atol=1e-6)


def test_a_flat_image_has_no_gradient():
    assert not hog_features(np.full((2, 24, 24, 3), 77, np.uint8)).any()


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        (np.zeros((2, 28, 28), np.uint8), {}, r"as \(N, H, W, C\)\. Received: uint8 \(2, 28, 28\)"),
        (np.zeros((2, 20, 28, 1), np.uint8), {}, "at least 24 x 24 pixels .* Received: 20 x 28"),
        (np.zeros((2, 20, 28, 1), np.uint8), {"padding": 1}, "at least 22 x 22 pixels .* Received: 20 x 28"),
        (np.zeros((2, 28, 28, 1), np.uint8), {"block_norm": "L3"}, "block_norm as one of L1, .* Received: 'L3'"),
        (np.zeros((2, 28, 28, 1), np.uint8), {"orientations": 0}, "orientations >= 1"),
        (np.zeros((2, 28, 28, 1), np.uint8), {"levels": 0}, "levels >= 1. Received: 9, 0, 0"),
        (np.zeros((2, 28, 28, 1), np.uint8), {"pixels_per_cell": (8, 0)}, "pixels_per_cell as one or two positive"),
    ],
)
def test_refuses_in_one_line(images, settings, message):
    with pytest.raises(ValueError, match=message) as refused:
        hog_features(images, **settings)
    assert "\n" not in str(refused.value)
