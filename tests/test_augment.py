"""Augmentation: each part does what its name says, one resampling is enough, and both paths give the same pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data
from skimage.transform import resize, warp

from toolkit.errors import InputError
from toolkit.pipeline import POLICIES, Policy, policy_of, show_augmented
from toolkit.pipeline.augment import augment
from toolkit.pipeline.device import augment_on_device
from toolkit.pipeline.plan import Plan, draw, mixed_targets

PARTS = {
    "flip_horizontal": 0.5, "flip_vertical": 0.5, "rotation": 25, "zoom": 0.3, "translation": 0.2, "crop": 0.6,
    "brightness": 0.3, "contrast": 0.5, "colour": 0.5, "erasing": 1.0, "rand_augment": 3, "mixup": 1.0, "cutmix": 1.0,
}  # fmt: skip


def photographs(channels=3, height=40, width=56):
    pictures = (data.astronaut(), data.coffee(), data.chelsea(), data.astronaut()[::-1])
    small = [resize(picture, (height, width), anti_aliasing=True, preserve_range=True) for picture in pictures * 2]
    return np.stack(small).astype(np.uint8)[..., :channels]


def varied(images, policy, seed=0):
    plan = draw(policy_of(policy), len(images), images.shape[1:], np.random.default_rng(seed))
    return augment(images, plan), plan


def test_none_changes_nothing():
    images = photographs()
    assert_array_equal(varied(images, "none")[0], images)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_changes_something_and_nothing_in_place(part):
    images = photographs()
    before = images.copy()
    result, _ = varied(images, {part: PARTS[part]})
    assert result.dtype == np.uint8
    assert result.shape == images.shape
    assert not np.array_equal(result, images)
    assert_array_equal(images, before)


@pytest.mark.jax
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", [*POLICIES, *PARTS])
def test_the_device_gives_the_pictures_of_the_cpu(policy, channels):
    images = photographs(channels)
    result, plan = varied(images, policy if policy in POLICIES else {policy: PARTS[policy]})
    difference = np.abs(result.astype(int) - np.asarray(augment_on_device(images, plan)))
    # rounding, and the sub-pixel steps of OpenCV 4: a level or two; a few pixels cross the threshold of solarize
    assert np.mean(difference > 3) < 0.005
    assert difference.mean() < 0.5


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_generator_gives_the_same_pictures(policy):
    images = photographs()
    assert_array_equal(varied(images, policy, seed=4)[0], varied(images, policy, seed=4)[0])
    if policy != "none":
        assert not np.array_equal(varied(images, policy, seed=4)[0], varied(images, policy, seed=5)[0])


def test_flips_are_exact():
    images = photographs()
    assert_array_equal(varied(images, {"flip_horizontal": 1.0})[0], images[:, :, ::-1])
    assert_array_equal(varied(images, {"flip_vertical": 1.0})[0], images[:, ::-1])


def test_composed_geometry_is_one_bilinear_resampling():
    images = photographs()
    result, plan = varied(
        images, {"flip_horizontal": 0.5, "rotation": 30, "zoom": 0.3, "translation": 0.2, "crop": 0.4}
    )
    for image, matrix, mine in zip(images, plan.geometry, result, strict=True):
        square = np.vstack([matrix, [0, 0, 1]])
        peer = warp(image.astype(float), square, order=1, mode="symmetric", preserve_range=True)
        difference = np.abs(mine - peer)
        assert np.mean(difference > 8) < 0.01  # steps of 1/32 pixel (OpenCV 4) across hard edges
        assert difference.mean() < 1


def test_linear_colour_is_the_formula():
    images = photographs()
    grey = images @ np.array([0.299, 0.587, 0.114])
    plan = draw(Policy(colour=1.0), 8, images.shape[1:], np.random.default_rng(0))
    factor = (plan.colour[:, 0, 0] - 0.299) / 0.701  # on the diagonal stands f + (1 - f) * 0.299
    expected = grey[..., None] + factor[:, None, None, None] * (images - grey[..., None])
    assert_allclose(augment(images, plan), np.clip(expected, 0, 255), atol=1)  # OpenCV counts in fixed point here
    assert_array_equal(varied(photographs(1), {"colour": 1.0})[0], photographs(1))  # grey has none


def test_brightness_and_contrast_are_the_formula():
    images = photographs()
    matrix = np.eye(3, 4, dtype=np.float32)
    matrix[:, 3] = 20
    brighter = Plan(colour=np.tile(matrix, (8, 1, 1)))
    assert_array_equal(augment(images, brighter), np.clip(images.astype(int) + 20, 0, 255))
    plan = draw(Policy(contrast=0.5), 8, images.shape[1:], np.random.default_rng(0))
    factor = plan.colour[:, 0, 0][:, None, None, None]
    assert (np.abs(factor - 1) <= 0.5).all()
    assert_allclose(augment(images, plan), np.clip(127.5 + factor * (images - 127.5), 0, 255), atol=0.51)


@settings(max_examples=50)
@given(
    height=st.integers(8, 64),
    width=st.integers(8, 64),
    seed=st.integers(0, 2**32 - 1),
    mixup=st.sampled_from([0.0, 0.3, 1.0]),
    cutmix=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_labels_are_mixed_as_the_pixels_are(height, width, seed, mixup, cutmix):
    # images of one value each: the mean of a mixed image is the label's mixture of the two values
    values = np.array([0, 60, 120, 180, 240])
    images = np.tile(values[:, None, None, None], (1, height, width, 1)).astype(np.uint8)
    plan = draw(Policy(mixup=mixup, cutmix=cutmix), 5, (height, width, 1), np.random.default_rng(seed))
    targets = mixed_targets(np.eye(5, dtype=np.float32), plan)
    assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    assert_allclose(augment(images, plan).mean(axis=(1, 2, 3)), targets @ values, atol=0.51)  # rounded to whole levels


def test_erasing_fills_one_box_of_the_size_asked():
    images = np.full((400, 32, 32, 1), 7, np.uint8)
    result, plan = varied(images, {"erasing": 0.5})
    share = (result != 7).mean(axis=(1, 2, 3))
    assert share.max() <= 0.27  # 25 %, and half a pixel on each side
    assert 0.4 < np.mean(plan.erased[:, 1] > plan.erased[:, 0]) < 0.6
    first = int(np.argmax(share > 0))
    rows, columns = np.nonzero(result[first, ..., 0] != 7)
    assert (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1) == len(rows)


@pytest.mark.parametrize("seed", range(3))
def test_crop_and_rotation_stay_within_what_was_asked(seed):
    plan = draw(Policy(rotation=20), 500, (32, 32, 3), np.random.default_rng(seed))
    angles = np.degrees(np.arctan2(plan.geometry[:, 1, 0], plan.geometry[:, 0, 0]))
    assert np.abs(angles).max() <= 20.001
    assert np.abs(angles).max() > 19
    plan = draw(Policy(crop=0.5), 500, (32, 32, 3), np.random.default_rng(seed))
    area = plan.geometry[:, 0, 0] * plan.geometry[:, 1, 1]
    assert area.min() >= 0.499
    corners = np.array([[-0.5, -0.5, 1], [31.5, 31.5, 1]]).T  # outer edges of the result land inside the image
    assert (plan.geometry @ corners >= -0.501).all()
    assert (plan.geometry @ corners <= 31.501).all()


def test_policies_by_name_part_and_error():
    assert policy_of("light") is POLICIES["light"]
    assert policy_of({"rotation": 15}) == Policy(rotation=15)
    with pytest.raises(InputError, match="Did you mean 'standard'"):
        policy_of("standart")
    with pytest.raises(InputError, match="Did you mean 'rotation'"):
        policy_of({"rotations": 15})
    with pytest.raises(InputError, match="'flip_horizontal' from 0 to 1"):
        Policy(flip_horizontal=2)


def test_grid_shows_each_image_and_its_variations():
    images = photographs()
    grid = show_augmented(images, "standard", rows=3, columns=5)
    assert grid.shape == (3 * 40 + 2 * 2, 5 * 56 + 4 * 2, 3)
    assert_array_equal(grid[42:82, :56], images[1])
    assert (grid[40:42] == 255).all()
