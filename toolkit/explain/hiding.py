"""Occlusion and RISE: what happens to the answer where the image is hidden. Any predict_proba; it knows no model."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.classifier import check_images
from toolkit.errors import InputError
from toolkit.explain.form import Images, Maps, columns_of, scaled

PredictProba = Callable[[Images], NDArray[np.floating[Any]]]


def occlusion(
    predict_proba: PredictProba,
    images: Images,
    columns: Sequence[int] | None = None,
    *,
    patch: int | None = None,
    stride: int | None = None,
    batch: int = 256,
) -> Maps:
    """How much the class's probability falls where a square of the image's mean colour lies; serves both sides alike.

    `patch` is the square's side in pixels, a quarter of the shorter side unless given, `stride` half of it. Zeiler &
    Fergus (ECCV 2014), arXiv:1311.2901; falls of all squares over a pixel are averaged, rises count as 0.
    """
    check_images(images)
    height, width = images.shape[1:3]
    patch = patch or max(1, min(height, width) // 4)
    stride = stride or max(1, patch // 2)
    if not 1 <= patch <= min(height, width) or stride < 1:
        raise InputError(
            f"Expected a patch of 1 to {min(height, width)} pixels, a stride of 1 or more. Received: {patch}, {stride}."
        )
    corners = [(y, x) for y in _starts(height, patch, stride) for x in _starts(width, patch, stride)]
    keep = np.ones((len(corners), height, width), bool)
    for mask, (y, x) in zip(keep, corners, strict=True):
        mask[y : y + patch, x : x + patch] = False
    before, after = _masked_answers(predict_proba, images, keep, columns, batch)
    falls = np.maximum(before[:, None] - after, 0)  # (N, M)
    covered = ~keep
    sums = np.einsum("nm,mhw->nhw", falls, covered.astype(np.float32))
    return scaled(sums / covered.sum(axis=0))


def rise(
    predict_proba: PredictProba,
    images: Images,
    columns: Sequence[int] | None = None,
    *,
    masks: int = 400,
    cells: int = 7,
    keep: float = 0.5,
    seed: int = 0,
    batch: int = 256,
) -> Maps:
    """RISE: the mean of random soft masks, weighed by the class's probability under each; serves both sides alike.

    Petsiuk, Das & Saenko (BMVC 2018), arXiv:1806.07421; hidden is the image's mean colour and not black, and the
    smallest value of each map is taken off, as its level says nothing.
    """
    check_images(images)
    if masks < 1 or cells < 1 or not 0 < keep < 1:
        raise InputError(
            f"Expected masks and cells of 1 or more, keep between 0 and 1. Received: {masks}, {cells}, {keep}."
        )
    height, width = images.shape[1:3]
    shown = _random_masks(masks, cells, keep, (height, width), np.random.default_rng(seed))
    _, after = _masked_answers(predict_proba, images, shown, columns, batch)
    maps = np.einsum("nm,mhw->nhw", after.astype(np.float32), shown) / np.maximum(shown.sum(axis=0), 1e-6)
    return scaled(maps - maps.min(axis=(1, 2), keepdims=True))


def _starts(length: int, patch: int, stride: int) -> list[int]:
    """Where squares begin so that every pixel lies under one."""
    return sorted({*range(0, length - patch + 1, stride), length - patch})


def _random_masks(
    masks: int, cells: int, keep: float, size: tuple[int, int], random: np.random.Generator
) -> NDArray[np.float32]:
    """float32 (masks, H, W) in 0..1: coarse random grids, enlarged and shifted by less than a cell."""
    import cv2

    height, width = size
    cell = (math.ceil(height / cells), math.ceil(width / cells))
    found = np.empty((masks, height, width), np.float32)
    for mask in found:
        coarse = (random.random((cells + 1, cells + 1)) < keep).astype(np.float32)
        large = cv2.resize(coarse, ((cells + 1) * cell[1], (cells + 1) * cell[0]), interpolation=cv2.INTER_LINEAR)
        y, x = (int(random.integers(0, side)) for side in cell)
        mask[:] = large[y : y + height, x : x + width]
    return found


def _masked_answers(
    predict_proba: PredictProba, images: Images, keep: NDArray[Any], columns: Sequence[int] | None, batch: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Probability of the explained class for the images (N,) and under each mask (N, M); `keep` (M, H, W) in 0..1."""
    answers = np.asarray(predict_proba(images))
    wanted = columns_of(columns, answers)
    after = np.empty((len(images), len(keep)))
    for row, image in enumerate(images):
        fill = image.mean(axis=(0, 1))
        for start in range(0, len(keep), batch):
            masks = keep[start : start + batch, ..., None].astype(np.float32)
            hidden = np.rint(masks * image + (1 - masks) * fill).astype(np.uint8)
            after[row, start : start + batch] = np.asarray(predict_proba(hidden))[:, wanted[row]]
    return answers[np.arange(len(images)), wanted], after
