"""LBP: codes equal to scikit-image's on real photographs, histograms that count them, the same answer in any batch."""

import keras
import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.feature import local_binary_pattern

from baselines.lbp import LBP, METHODS, VARIANCE_BINS, lbp_codes, lbp_features

CAMERA = data.camera()[180:330, 200:361]  # scikit-image's wheel holds these photographs
BRICK = data.brick()[:150, :161]
COLOUR = data.astronaut()[30:151, 150:310]
PHOTOGRAPHS = pytest.mark.parametrize("photograph", [CAMERA, BRICK], ids=["camera", "brick"])
CODES = [method for method in METHODS if method != "var"]


def exact_contrasts(grey, P, R):
    """Samples minus centre in whole multiples of 1e-10: int64 (P, H, W), no rounding at all."""
    height, width = grey.shape
    margin = int(np.ceil(R)) + 1
    padded = np.pad(grey.astype(np.int64), margin)
    angles = 2 * np.pi * np.arange(P) / P
    steps = 10**5  # scikit-image rounds positions to five decimals
    found = []
    for row, column in zip(np.rint(-R * np.sin(angles) * steps), np.rint(R * np.cos(angles) * steps), strict=True):
        (top, down), (left, right) = divmod(int(row), steps), divmod(int(column), steps)

        def moved(rows, columns, top=margin + top, left=margin + left):
            return padded[top + rows : top + rows + height, left + columns : left + columns + width]

        above = (steps - right) * moved(0, 0) + right * moved(0, 1)
        below = (steps - right) * moved(1, 0) + right * moved(1, 1)
        found.append((steps - down) * above + down * below - steps**2 * grey.astype(np.int64))
    return np.array(found)


@pytest.mark.jax
@PHOTOGRAPHS
@pytest.mark.parametrize("method", CODES)
@pytest.mark.parametrize(("P", "R"), [(8, 1), (16, 2), (24, 3)])
def test_codes_equal_scikit_images_but_for_ties(photograph, method, P, R):
    expected = local_binary_pattern(photograph, P, R, method)
    received = lbp_codes(photograph[None, ..., None], P, R, method)[0]
    ties = (exact_contrasts(photograph, P, R) == 0).any(axis=0)  # there scikit-image's rounding decides
    np.testing.assert_array_equal(received[~ties], expected[~ties])
    assert np.mean(received != expected) <= (0 if P == 8 else 0.01)


@pytest.mark.jax
@PHOTOGRAPHS
@pytest.mark.parametrize(("P", "R"), [(8, 1), (16, 2), (24, 3)])
def test_codes_are_those_of_exact_arithmetic_ties_included(photograph, P, R):
    bits = (exact_contrasts(photograph, P, R) >= 0).astype(np.int64)
    expected = np.tensordot(2 ** np.arange(P), bits, axes=1)
    np.testing.assert_array_equal(lbp_codes(photograph[None, ..., None], P, R, "default")[0], expected)


@pytest.mark.jax
@PHOTOGRAPHS
@pytest.mark.parametrize(("P", "R"), [(8, 1), (16, 2), (24, 3)])
def test_variance_equals_scikit_images(photograph, P, R):
    expected = local_binary_pattern(photograph, P, R, "var")
    received = lbp_codes(photograph[None, ..., None], P, R, "var")[0]
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)  # float32; NaN where all samples are equal


def test_a_flat_region_is_one_tie_for_every_level():
    levels = np.repeat(np.arange(256, dtype=np.uint8), 64).reshape(256, 8, 8, 1)
    codes = lbp_codes(levels, 16, 2, "uniform")
    np.testing.assert_array_equal(codes[:, 2:-2, 2:-2], 16)
    assert np.isnan(lbp_codes(levels, 16, 2, "var")[:, 2:-2, 2:-2]).all()


@pytest.mark.jax
@pytest.mark.parametrize("method", METHODS)
def test_histograms_count_the_codes_of_each_cell(method):
    images = np.stack([CAMERA, BRICK])[..., None]
    codes = lbp_codes(images, 8, 1, method)
    if method == "var":
        codes = np.clip(np.floor(np.log2(np.maximum(np.nan_to_num(codes), 0.25))) + 2, 0, VARIANCE_BINS - 1).astype(int)
    elif method == "ror":
        codes = np.searchsorted(np.unique(codes_of_rotations()), codes)
    bins = {"default": 256, "ror": 36, "uniform": 10, "nri_uniform": 59, "var": VARIANCE_BINS}[method]
    received = lbp_features(images, 8, 1, method, grid=(2, 3)).reshape(2, 2, 3, bins)
    for image, row, column in np.ndindex(2, 2, 3):
        cell = codes[image, 75 * row : 75 * row + 75, 53 * column : 53 * column + 53]  # 150 // 2 and 161 // 3
        expected = np.bincount(cell.ravel(), minlength=bins) / cell.size
        np.testing.assert_allclose(received[image, row, column], expected, atol=1e-6)


def codes_of_rotations():
    return [min((code >> turn | code << (8 - turn)) & 255 for turn in range(8)) for code in range(256)]


@pytest.mark.jax
def test_colour_becomes_grey_as_by_pillow():
    grey = np.asarray(Image.fromarray(COLOUR).convert("L"))
    np.testing.assert_array_equal(lbp_codes(COLOUR[None]), lbp_codes(grey[None, ..., None]))


@pytest.mark.jax
def test_an_image_has_the_same_features_in_any_batch_and_from_a_memory_map(tmp_path):
    images = np.stack(
        [CAMERA[row : row + 40, column : column + 36] for row in range(0, 100, 3) for column in range(0, 120, 4)]
    )
    images = images[..., None]
    np.save(tmp_path / "images.npy", images)
    expected = lbp_features(images, grid=(2, 2))
    assert len(images) > 1000  # more than one block
    np.testing.assert_array_equal(lbp_features(np.load(tmp_path / "images.npy", mmap_mode="r"), grid=(2, 2)), expected)
    for start, stop in ((0, 1), (3, 5), (900, 971)):
        np.testing.assert_allclose(lbp_features(images[start:stop], grid=(2, 2)), expected[start:stop], atol=1e-6)
    np.testing.assert_array_equal(lbp_features(images.astype(np.float32), grid=(2, 2)), expected)
    assert lbp_features(images[:0]).shape == (0, 10)


@pytest.mark.jax
@pytest.mark.parametrize("method", METHODS)
def test_is_a_layer_of_a_graph_that_keras_can_save(tmp_path, method):
    inputs = keras.Input(COLOUR.shape, dtype="uint8")
    layer = LBP(8, 1.5, method, (2, 2))
    model = keras.Model(inputs, layer(inputs))
    expected = lbp_features(COLOUR[None], 8, 1.5, method, (2, 2))
    assert model.output_shape == (None, expected.shape[1])
    model.save(tmp_path / "lbp.keras")
    loaded = keras.saving.load_model(tmp_path / "lbp.keras", safe_mode=True)
    assert loaded.layers[-1].get_config() == layer.get_config()
    np.testing.assert_allclose(loaded.predict(COLOUR[None], verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((2, 28, 28), {}, r"as \(N, H, W, C\)\. Received: uint8 \(2, 28, 28\)"),
        ((2, 28, 28, 2), {}, "1 or 3 channels. Received: 2"),
        ((2, 3, 28, 1), {"grid": (4, 4)}, "at least 4 x 4 pixels, .* Received: 3 x 28"),
        ((2, 28, 28, 1), {"method": "uniforme"}, "method as one of default, .* Received: 'uniforme'"),
        ((2, 28, 28, 1), {"P": 1}, "2 <= P <= 30"),
        ((2, 28, 28, 1), {"P": 24, "R": 3, "method": "ror"}, "P <= 16 for histograms by 'ror'. Received: 24"),
    ],
)
def test_refuses_in_one_line(shape, settings, message):
    with pytest.raises(ValueError, match=message) as refused:
        lbp_features(np.zeros(shape, np.uint8), **settings)
    assert "\n" not in str(refused.value)
