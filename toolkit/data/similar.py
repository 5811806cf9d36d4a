"""Copies among pictures: equal pixels, and near copies by what a small thumbnail shows. Arrays in, pairs out.

A near copy is the same picture saved again: recompressed, resized, brightened. Its thumbnail of 16 x 16 greys, brought
to mean zero and length one, correlates by `ALIKE` or more with the original's. On real sets that keeps different
pictures apart: no two of 12,500 CIFAR-10 images and no two of 800 flowers come so near, one pair of 1,797 digits does,
and 1,111 of the 70,000 plain pictures of Fashion-MNIST. Mirrored, turned and strongly cropped copies are not found.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.data.content import chunks, in_order, release
from toolkit.progress import bar

SIDE = 16
ALIKE = 0.995  # correlation of two thumbnails from which on they show one picture
FLAT = 3.0  # standard deviation in 0..255 below which a thumbnail shows too little to be compared
AXES = 12  # that the search tree looks at

Pairs = NDArray[np.int64]


def thumbnails(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (N, H, W, C) -> uint8 (N, 16, 16), greys averaged over areas; a memory map is read once, piece by piece."""

    def look(rows: range) -> NDArray[np.uint8]:
        return np.stack([thumbnail(image) for image in np.asarray(images[rows.start : rows.stop])])

    with bar("Looking for copies", len(images)) as advance:
        found = [np.empty((0, SIDE, SIDE), np.uint8)]
        for piece in in_order(look, chunks(len(images), 64), threads=2):
            found.append(piece)
            release(images)
            advance(len(piece))
    return np.concatenate(found)


def copies(images: NDArray[np.uint8], kept: Path | None = None) -> tuple[Pairs, Pairs]:
    """Pairs of rows (M, 2), the smaller first: equal pixels, and near copies (an equal pair may be in both).

    What was found is kept in the file `kept` and read from there the next time.
    """
    if kept is not None:
        with suppress(OSError, ValueError, KeyError, BadZipFile), np.load(kept) as file:
            return file["equal"], file["near"]
    thumbs = thumbnails(images)
    equal, near = equal_pairs(images, thumbs), near_pairs(thumbs)
    if kept is not None:
        partial = kept.with_suffix(f".{os.getpid()}.npz")
        with suppress(OSError):  # only time would be saved
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(partial, equal=equal, near=near)
            partial.replace(kept)
    return equal, near


def equal_pairs(images: NDArray[np.uint8], thumbs: NDArray[np.uint8]) -> Pairs:
    """Rows of equal pixels, each paired with the first of its kind. Only rows with equal thumbnails are looked at."""
    keys = np.ascontiguousarray(thumbs).reshape(-1, SIDE * SIDE).view(f"V{SIDE * SIDE}")[:, 0]
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    first: dict[bytes, int] = {}
    pairs = []
    for count, row in enumerate(np.flatnonzero(counts[inverse] > 1).tolist()):
        digest = hashlib.sha256(np.ascontiguousarray(images[row]).data).digest()
        if first.setdefault(digest, row) != row:
            pairs.append((first[digest], row))
        if count % 64 == 63:
            release(images)
    return np.array(pairs, np.int64).reshape(-1, 2)


def near_pairs(thumbs: NDArray[np.uint8], alike: float = ALIKE) -> Pairs:
    """Rows whose thumbnails correlate by `alike` or more; flat ones are left out."""
    from scipy.spatial import cKDTree

    vectors, kept = _normalised(thumbs)
    # The axes are orthonormal, so a distance along a few of them is never longer than the whole: no pair is missed.
    tree = cKDTree(vectors @ _widest_axes(vectors), leafsize=40)
    found = tree.query_pairs(np.sqrt(2 * (1 - alike)) + 1e-5, output_type="ndarray")
    near = np.zeros(len(found), bool)
    for start in range(0, len(found), 1 << 16):
        one, other = found[start : start + (1 << 16)].T
        near[start : start + (1 << 16)] = np.einsum("pd,pd->p", vectors[one], vectors[other]) >= alike
    pairs: Pairs = np.sort(kept[found[near]].astype(np.int64), axis=1)
    return pairs[np.lexsort(pairs.T[::-1])]


def groups(rows: int, pairs: Sequence[Pairs]) -> NDArray[np.int64]:
    """A number for each row, (N,), the same for rows that any chain of pairs connects."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(rows, rows))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, 1 or 3) -> uint8 (16, 16), greys averaged over areas."""
    grey = image[:, :, 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _normalised(thumbs: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """float32 (M, 256) of mean zero and length one, and which rows they are; flat ones are left out."""
    values = thumbs.reshape(-1, SIDE * SIDE).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(values, axis=1)
    kept = np.flatnonzero(lengths >= FLAT * SIDE)
    return values[kept] / lengths[kept, None], kept


def _widest_axes(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(256, AXES): the orthonormal directions along which the thumbnails differ most."""
    return np.linalg.eigh(vectors.T @ vectors)[1][:, : -AXES - 1 : -1].astype(np.float32)
