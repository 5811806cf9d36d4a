"""OpenCV's form of HOG: numbers that OpenCV 4's HOGDescriptor gave, for OpenCV 5 has none.

Made with opencv-python-headless 4.14 as `cv2.HOGDescriptor(size, block, step, cell, bins, 1, -1, 0, 0.2, gamma)`
`.compute(image)`, colour images as BGR: every 194th value, and the sum of all.
"""

import keras
import numpy as np
import pytest
from skimage import data

from baselines.gridded import OpenCVHOGFeatures
from baselines.hog_opencv import OpenCVHOG, opencv_hog_features

GREY = data.camera()[100:164, 200:248, None]
COLOUR = data.astronaut()[30:78, 180:244]
PLAIN = ((8, 8), (16, 16), (8, 8), 9)
ODD = ((4, 12), (16, 24), (8, 12), 6)  # rows before columns; OpenCV's sizes are columns before rows
STORED = [
    (GREY, (*PLAIN, True), 173.5307, [0.12253, 0.18275, 0.08105, 0.08783, 0.07485, 0.19201, 0.26065]),
    (GREY, (*PLAIN, False), 176.6706, [0.14048, 0.19703, 0.09378, 0.0823, 0.06469, 0.20574, 0.21648]),
    (COLOUR, (*PLAIN, True), 181.3204, [0.11738, 0.17664, 0.02558, 0.26096, 0.05775, 0.1314, 0.08956]),
    (COLOUR, (*PLAIN, False), 182.6969, [0.12736, 0.15208, 0.03494, 0.25264, 0.08776, 0.13337, 0.1117]),
    (GREY, (*ODD, True), 115.9092, [0.05092, 0.20396, 0.03552, 0.04426, 0.11863, 0.22418]),
]


@pytest.mark.jax
@pytest.mark.parametrize(("image", "settings", "total", "values"), STORED)
def test_gives_opencvs_numbers(image, settings, total, values):
    received = opencv_hog_features(image[None], *settings)[0]
    np.testing.assert_allclose(received[::194], values, atol=3e-4)  # OpenCV's angles are a polynomial's
    assert received.sum() == pytest.approx(total, abs=0.02)


def test_pixels_beyond_the_last_block_only_reach_the_gradients_beside_them():
    wide = data.camera()[100:164, 200:253, None]
    whole, cut = opencv_hog_features(wide[None]), opencv_hog_features(GREY[None])
    assert whole.shape == cut.shape
    np.testing.assert_array_equal(whole[0, : 3 * 7 * 36], cut[0, : 3 * 7 * 36])  # blocks go down, then across
    assert np.abs(whole - cut).max() > 0


@pytest.mark.jax
def test_is_a_layer_of_a_graph_that_keras_can_save(tmp_path):
    inputs = keras.Input(GREY.shape, dtype="uint8")
    layer = OpenCVHOG(*ODD)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "hog.keras")
    loaded = keras.saving.load_model(tmp_path / "hog.keras", safe_mode=True)
    expected = opencv_hog_features(GREY[None], *ODD)
    assert model.output_shape == (None, expected.shape[1])
    np.testing.assert_allclose(loaded.predict(GREY[None], verbose=0), expected, atol=1e-6)


def test_refuses_in_one_line():
    with pytest.raises(ValueError, match=r"at least 16 x 16 pixels, one HOG block. Received: 15 x 48"):
        OpenCVHOGFeatures().fit(GREY[None, :15])
    with pytest.raises(ValueError, match="whole multiples of pixels_per_cell"):
        OpenCVHOG((8, 8), (20, 16))
