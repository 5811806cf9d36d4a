"""Co-occurrence: every property that scikit-image has, cell by cell, without its matrix where none is needed."""

import keras
import numpy as np
import pytest
from skimage import data
from skimage.feature import graycomatrix, graycoprops

from baselines.glcm import GLCM, PROPERTIES, QUARTERS, glcm_features

BRICK = data.brick()[:60, :75]
DISTANCES, ANGLES = (1, 3), (0.0, np.pi / 4, 2.0)


def by_scikit_image(image, levels):
    """(properties, distances, angles)."""
    quantised = (image.astype(int) * levels // 256).astype(np.uint8)
    matrix = graycomatrix(quantised, DISTANCES, ANGLES, levels, symmetric=True, normed=True)
    return np.stack([graycoprops(matrix, name) for name in PROPERTIES])


@pytest.mark.jax
@pytest.mark.parametrize(("levels", "grid"), [(16, (1, 1)), (8, (2, 3))])
def test_properties_are_scikit_images(levels, grid):
    images = np.stack([BRICK, data.camera()[200:260, 200:275]])
    received = glcm_features(images[..., None], DISTANCES, ANGLES, levels, tuple(PROPERTIES), grid)
    received = received.reshape(2, *grid, len(PROPERTIES), len(DISTANCES), len(ANGLES))
    height, width = 60 // grid[0], 75 // grid[1]
    for number, row, column in np.ndindex(2, *grid):
        cell = images[number, row * height : (row + 1) * height, column * width : (column + 1) * width]
        expected = by_scikit_image(cell, levels)
        np.testing.assert_allclose(received[number, row, column], expected, rtol=1e-4, atol=1e-5)  # float32


@pytest.mark.jax
def test_a_flat_image_is_as_by_scikit_image():
    flat = np.full((60, 75), 200, np.uint8)
    received = glcm_features(flat[None, ..., None], DISTANCES, ANGLES, 16, tuple(PROPERTIES))
    np.testing.assert_allclose(received.reshape(len(PROPERTIES), 2, 3), by_scikit_image(flat, 16), atol=1e-5)


@pytest.mark.jax
def test_is_a_layer_of_a_graph_that_keras_can_save(tmp_path):
    inputs = keras.Input((60, 75, 1), dtype="uint8")
    layer = GLCM((2,), QUARTERS, 12, ("contrast", "ASM"), (2, 2))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "glcm.keras")
    loaded = keras.saving.load_model(tmp_path / "glcm.keras", safe_mode=True)
    expected = glcm_features(BRICK[None, ..., None], (2,), QUARTERS, 12, ("contrast", "ASM"), (2, 2))
    assert model.output_shape == (None, expected.shape[1])
    np.testing.assert_allclose(loaded.predict(BRICK[None, ..., None], verbose=0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": 1}, "2 <= levels <= 256. Received: 1"),
        ({"properties": ("contrst",)}, "properties among contrast, .* Received: 'contrst'"),
        ({"distances": ()}, "one distance of at least 1"),
        (
            {"distances": (40,), "grid": (2, 1)},
            "at least 82 x 41 pixels for pairs .* Received: 60 x 75",
        ),
    ],
)
def test_refuses_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message) as refused:
        glcm_features(BRICK[None, ..., None], **settings)
    assert "\n" not in str(refused.value)
