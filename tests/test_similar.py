"""Copies: the same picture is found however it was saved again, and different pictures are kept apart."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from toolkit.data import similar
from toolkit.data.similar import copies, equal_pairs, groups, near_pairs, thumbnails

Pictures = NDArray[np.uint8]


def crops(count: int = 60, side: int = 96) -> Pictures:
    """Different pieces of photographs."""
    random = np.random.default_rng(0)
    photographs = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    found = []
    for row in range(count):
        photograph = photographs[row % 4]
        top, left = random.integers(0, np.array(photograph.shape[:2]) - side)
        found.append(photograph[top : top + side, left : left + side])
    return np.stack(found)


def again(picture: Pictures, quality: int = 60, scale: float = 1.0) -> Pictures:
    """The picture as a JPEG of that quality and scale, brought back to its size."""
    image = Image.fromarray(picture)
    buffer = io.BytesIO()
    image.resize((int(image.width * scale), int(image.height * scale))).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).resize(image.size))


CHANGES = {
    "recompressed": lambda picture: again(picture, 70),
    "shrunk": lambda picture: again(picture, 90, 0.5),
    "brighter": lambda picture: np.clip(picture.astype(int) * 0.9 + 20, 0, 255).astype(np.uint8),
    "grey": lambda picture: cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
}


@pytest.mark.parametrize("change", CHANGES)
def test_near_copies_are_found_and_nothing_else(change: str) -> None:
    pictures = crops()
    changed = np.stack([CHANGES[change](picture) for picture in pictures[:20]])
    equal, near = copies(np.concatenate([pictures, changed]))
    assert len(equal) == 0
    alone = {tuple(pair) for pair in copies(pictures)[1].tolist()}
    found = {tuple(pair) for pair in near.tolist()}
    assert {(row, 60 + row) for row in range(20)} <= found
    assert len(alone) <= 2  # pieces of one photograph may overlap


def test_equal_pictures_are_found_even_if_blank() -> None:
    pictures = crops(10)
    pictures[3] = pictures[7] = 0
    pictures[8] = pictures[1]
    np.testing.assert_array_equal(equal_pairs(pictures, thumbnails(pictures)), [[3, 7], [1, 8]])
    assert near_pairs(thumbnails(pictures)).tolist() == [[1, 8]]


def test_near_pairs_are_those_of_a_plain_search(monkeypatch: pytest.MonkeyPatch) -> None:
    thumbs = thumbnails(crops(80))
    vectors = thumbs.reshape(80, -1).astype(float)
    correlations = np.corrcoef(vectors)
    for alike in (0.5, 0.8, 0.95):
        expected = np.argwhere(np.triu(correlations >= alike, 1))
        np.testing.assert_array_equal(near_pairs(thumbs, alike), expected)


def test_no_pictures_and_one() -> None:
    for count in (0, 1):
        equal, near = copies(crops(4)[:count])
        assert equal.shape == near.shape == (0, 2)


def test_groups_join_chains() -> None:
    numbers = groups(6, [np.array([[0, 3], [3, 5]]), np.empty((0, 2), np.int64), np.array([[1, 2]])])
    assert numbers[0] == numbers[3] == numbers[5]
    assert numbers[1] == numbers[2]
    assert len(set(numbers.tolist())) == 3


def test_what_was_found_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.concatenate([crops(10), crops(3)])
    first = copies(pictures, tmp_path / "copies.npz")
    monkeypatch.setattr(similar, "thumbnails", lambda _: pytest.fail("looked again"))
    for one, other in zip(first, copies(pictures, tmp_path / "copies.npz"), strict=True):
        np.testing.assert_array_equal(one, other)
    (tmp_path / "copies.npz").write_text("damaged")
    monkeypatch.undo()
    assert len(copies(pictures, tmp_path / "copies.npz")[0]) == 3
