"""Explanations find what was hidden on purpose, on both sides and both backends; they leave the model as it was."""

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

from toolkit import explain
from toolkit.errors import InputError

SIDE = 32


def spots(rows=4, side=SIDE, channels=1):
    """Dark images, each with one bright square of 8 pixels; returns them and where the square is, (N, H, W) bool."""
    images = np.full((rows, side, side, channels), 20, np.uint8)
    where = np.zeros((rows, side, side), bool)
    for row in range(rows):
        y, x = (4, 20)[row % 2], (20, 4)[row // 2 % 2]
        images[row, y : y + 8, x : x + 8] = 230
        where[row, y : y + 8, x : x + 8] = True
    return images, where


def bright(images):
    """Probability of the second of two classes: how many bright pixels there are."""
    share = (images > 128).mean(axis=(1, 2, 3)) * 12
    return np.stack([1 - share, share], axis=1)


def cnn(side=SIDE, nested=False):
    """A network whose second answer is the brightness that its one filter sees."""
    inputs = keras.Input((side, side, 1))
    tensor = layers.Rescaling(1 / 255)(inputs)
    tensor = layers.Conv2D(1, 3, padding="same", kernel_initializer="ones", name="map")(tensor)
    tensor = layers.AveragePooling2D(2, name="half")(tensor)
    if nested:
        inner = keras.Model(inputs, tensor, name="inner")
        inputs = keras.Input((side, side, 1))
        tensor = inner(inputs)
    pooled = layers.GlobalAveragePooling2D()(tensor)
    kernel = keras.initializers.Constant(np.array([[-1.0, 1.0]]))
    return keras.Model(inputs, layers.Dense(2, kernel_initializer=kernel, name="logits")(pooled))


def vit(side=SIDE, patch=8):
    """Attention that looks where it is bright: one head, the class token asks, the patches' brightness answers."""
    inputs = keras.Input((side, side, 1))
    patches = layers.AveragePooling2D(patch)(layers.Rescaling(1 / 255)(inputs))
    tokens = layers.Reshape((-1, 1))(patches)
    tokens = layers.ZeroPadding1D((1, 0))(tokens)
    attention = layers.MultiHeadAttention(1, 1, kernel_initializer="ones", bias_initializer="ones", name="attention")
    tokens = attention(8 * tokens, 8 * tokens)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(tokens)))


def inside(maps, where):
    """Share of the heat that lies on the square; the square is a sixteenth of the image."""
    return (maps * where).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))


def check_form(maps, images):
    assert maps.dtype == np.float32
    assert maps.shape == images.shape[:3]
    assert maps.min() >= 0
    assert_allclose(maps.max(axis=(1, 2)), 1, rtol=1e-6)


@pytest.mark.jax
@pytest.mark.parametrize("layer", [None, "map"])
@pytest.mark.parametrize("nested", [False, True])
def test_grad_cam_finds_the_square(layer, nested):
    images, where = spots()
    model = cnn(nested=nested)
    before = model.predict(images, verbose=0)
    maps = explain.grad_cam(model, images, layer, [1] * len(images))
    check_form(maps, images)
    background = maps[~where].mean()
    assert (maps * where).sum() / where.sum() > 3 * background
    assert_array_equal(model.predict(images, verbose=0), before)  # nothing was left behind in the model
    assert not explain.grad_cam(model, images, layer, [0] * len(images)).any()  # brightness speaks against the other


@pytest.mark.jax
def test_grad_cam_is_the_class_activation_map_where_that_exists():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 16, 16, 1)).astype(np.uint8)
    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 16, 1))
    tensor = layers.Conv2D(4, 3, activation="relu", padding="same", name="map")(layers.Rescaling(1 / 255)(inputs))
    dense = layers.Dense(3, name="logits")
    model = keras.Model(inputs, dense(layers.GlobalAveragePooling2D()(tensor)))
    values = keras.ops.convert_to_numpy(keras.Model(inputs, tensor)(images.astype(np.float32)))
    weights = keras.ops.convert_to_numpy(dense.kernel)
    expected = np.maximum(values @ weights[:, 2], 0)  # Zhou et al. (CVPR 2016): average pooling, then a dense layer
    expected /= expected.max(axis=(1, 2), keepdims=True)
    assert_allclose(explain.grad_cam(model, images, "map", [2, 2, 2]), expected, atol=1e-4)  # float32 sums


@pytest.mark.jax
@pytest.mark.parametrize("grid", [None, (4, 4)])
def test_attention_rollout_finds_the_square(grid):
    images, where = spots()
    maps = explain.attention_rollout(vit(), images, grid=grid)
    check_form(maps, images)
    assert (maps.reshape(len(images), -1).argmax(axis=1) >= 0).all()
    for one, square in zip(maps, where, strict=True):
        assert one[square].mean() > 1.5 * one[~square].mean()


@pytest.mark.jax
def test_rollout_of_one_layer_is_half_its_attention():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 1)).astype(np.uint8)
    maps = explain.attention_rollout(vit(side=4, patch=1), images, ["attention"])
    pixels = images.reshape(2, 16) / 255
    # The class token is zeros: query and key are 1 + 8 * 0 and 1 + 8 * brightness, one number each.
    attention = np.exp(1 + 8 * pixels)
    attention /= attention.max(axis=1, keepdims=True)
    assert_allclose(maps.reshape(2, 16), attention, rtol=1e-4)  # the skip connection adds to the token itself alone


@pytest.mark.parametrize("method", [explain.occlusion, explain.rise])
def test_the_methods_for_both_sides_find_the_square(method):
    images, where = spots(channels=3)
    maps = method(bright, images, [1] * len(images))
    check_form(maps, images)
    assert (inside(maps, where) > 0.13).all()  # a sixteenth by chance
    assert where.reshape(len(images), -1)[np.arange(len(images)), maps.reshape(len(images), -1).argmax(axis=1)].all()
    again = method(bright, images, [1] * len(images), batch=7)
    assert_allclose(again, maps, atol=1e-6)  # whatever the batches


def test_rise_is_seeded():
    images, _ = spots(1)
    first, same, other = (explain.rise(bright, images, masks=30, seed=seed) for seed in (0, 0, 1))
    assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.01


def test_occlusion_leaves_no_pixel_out():
    images, where = spots(1, side=30)
    maps = explain.occlusion(bright, images, [1], patch=7, stride=5)
    assert np.isfinite(maps).all()
    assert inside(maps, where)[0] > 0.2


def test_hog_glyphs_and_lbp_codes():
    images, where = spots(2, channels=3)
    glyphs = explain.hog_glyphs(images, pixels_per_cell=(4, 4), cells_per_block=(2, 2))
    check_form(glyphs, images)
    assert glyphs[0][where[0]].mean() > 5 * glyphs[0][:, 12:20].mean()  # strokes at the square's edges alone
    codes = explain.lbp_codes(images)
    assert codes.shape == images.shape[:3]
    assert set(np.unique(np.round(codes * 9))) <= set(range(10))
    assert_allclose(codes[0, 15:18, 15:18], 8 / 9)  # flat: all eight neighbours are at least as bright


def test_wrong_input_is_one_line():
    images, _ = spots(2)
    model = cnn()
    calls = {
        "Did you mean 'map'": lambda: explain.grad_cam(model, images, "maps"),
        r"output \(B, h, w, c\)": lambda: explain.grad_cam(model, images, "logits"),
        "2 columns from 0 to 1": lambda: explain.grad_cam(model, images, columns=[0, 2]),
        "Expected images as uint8": lambda: explain.grad_cam(model, images.astype(float)),
        "without any": lambda: explain.attention_rollout(model, images),
        "Expected a grid of 17": lambda: explain.attention_rollout(vit(), images, grid=(3, 3)),
        "Expected a patch": lambda: explain.occlusion(bright, images, patch=33),
        "Expected masks": lambda: explain.rise(bright, images, keep=0.0),
    }
    for words, call in calls.items():
        with pytest.raises(InputError, match=words) as caught:
            call()
        assert len(str(caught.value).splitlines()) == 1


class Bright:
    """A contestant with what the duel needs, and no more."""

    classes_ = np.arange(2)

    def fit(self, images, labels):
        return self

    def predict_proba(self, images):
        return bright(images)


def test_any_contestant_is_explained_by_hiding_parts(tmp_path):
    images, where = spots(channels=3)
    explain.keep_explanations(tmp_path, Bright(), images, [4, 7, 1, 0])
    with np.load(tmp_path / "explanations.npz") as stored:
        assert sorted(stored.files) == ["occlusion", "rows"]
        assert stored["rows"].tolist() == [4, 7, 1, 0]
        assert stored["occlusion"].dtype == np.uint8
        assert inside(stored["occlusion"].astype(float), where).min() > 0.25
    assert [path.name for path in tmp_path.iterdir()] == ["explanations.npz"]


@pytest.mark.jax
@pytest.mark.parametrize(("network", "method"), [(cnn, "grad_cam"), (vit, "attention_rollout")])
def test_a_network_adds_what_its_layers_say(network, method):
    contestant = Bright()
    contestant.network = network()
    images, where = spots()
    found = explain.explain_contestant(contestant, images)
    assert sorted(found) == sorted(["occlusion", method])
    assert found[method].shape == images.shape[:3]
    assert inside(found[method].astype(float), where).min() > 2 / 16  # twice what would be there by chance
    contestant.network = keras.Sequential([keras.Input((SIDE, SIDE, 1)), layers.Flatten(), layers.Dense(2)])
    assert list(explain.explain_contestant(contestant, images)) == ["occlusion"]


def test_classical_features_are_drawn():
    from baselines.features import HOGFeatures, LBPFeatures

    contestant, images = Bright(), np.zeros((2, 24, 20, 3), np.uint8)
    contestant.get_params = lambda deep: {"features__hog": HOGFeatures(), "features__lbp": LBPFeatures(), "C": 1.0}
    found = explain.explain_contestant(contestant, images)
    assert sorted(found) == ["hog_glyphs", "lbp_codes", "occlusion"]
    assert found["hog_glyphs"].shape == (2, 154, 128, 3)  # drawn larger than the images, or nobody could see a stroke
    assert found["lbp_codes"].shape == (2, 24, 20, 3)
    assert found["occlusion"].shape == (2, 24, 20)


def test_maps_of_large_images_are_kept_small():
    images = np.zeros((1, 300, 150, 1), np.uint8)
    images[:, 100:200, 50:100] = 255
    assert explain.explain_contestant(Bright(), images)["occlusion"].shape == (1, 96, 48)
