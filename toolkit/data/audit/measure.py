"""One pass over all pictures: what each file says and how each picture looks, as columns. It judges nothing.

Files are read once, decoded in parallel and at reduced size, and forgotten: what stays of a picture is a row of some
150 bytes and a thumbnail of 256.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.data.content import chunks, in_order, read_bytes
from toolkit.data.dataset import SPLITS, Dataset
from toolkit.data.decode import Unreadable, decode, quiet, read_header
from toolkit.data.listing import Listing
from toolkit.data.similar import SIDE, thumbnail
from toolkit.progress import bar

LOOK_EDGE = 256  # pixels of the longer side at which pictures are looked at; smaller ones as they are
FINE = 4  # `detail` is what goes missing at a quarter of the size
ROW = np.dtype(
    [
        ("readable", bool),
        ("digest", "S32"),  # of the file's bytes or the array's pixels: 128 bits of SHA-256
        ("format", "U12"),  # Pillow's; empty for arrays, as are mode and orientation
        ("mode", "U8"),
        ("orientation", np.int8),
        ("width", np.int32),
        ("height", np.int32),
        ("brightness", np.float32),  # mean grey, 0..255
        ("contrast", np.float32),  # standard deviation of the greys
        ("darkest", np.uint8),  # 1 of 100 pixels is darker
        ("lightest", np.uint8),  # 1 of 100 pixels is lighter
        ("detail", np.float32),  # share of the contrast that is lost at a quarter of the size
    ]
)


@dataclass(frozen=True)
class Source:
    """N labelled pictures, in files or in arrays, and what is known of them beforehand."""

    title: str
    names: tuple[str, ...]
    labels: NDArray[np.int64]  # (N,)
    class_names: tuple[str, ...]
    splits: NDArray[np.str_] | None  # (N,), "" for none
    files: tuple[Path, ...] = ()
    images: tuple[NDArray[np.uint8], ...] = ()  # arrays of N rows together
    left_out: tuple[tuple[str, str], ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def pixels(self, row: int, edge: int) -> NDArray[np.uint8]:
        """The picture of a row, uint8 (H, W, 1 or 3), its longer side at most `edge`; `Unreadable` with the reason."""
        if self.files:
            return _look(read_bytes(self.files[row]), edge)[0]
        for array in self.images:
            if row < len(array):
                return _reduced(array[row], edge)
            row -= len(array)
        raise IndexError(row)


@dataclass(frozen=True)
class Pictures:
    """What the pass brought home; row i belongs to name i of the source."""

    rows: NDArray[Any]  # (N,) of ROW
    thumbs: NDArray[np.uint8]  # (N, 16, 16), see `similar.thumbnail`
    reasons: Mapping[int, str]  # row -> why it cannot be read


def from_listing(listing: Listing, title: str) -> Source:
    """A listing as a source; its splits are those that were given."""
    images = () if listing.images is None else (listing.images,)
    return Source(
        title=title,
        names=listing.names,
        labels=listing.labels,
        class_names=listing.class_names,
        splits=listing.given,
        files=listing.files,
        images=images,
        passed_over=listing.passed_over,
        notes=listing.notes,
    )


def from_dataset(dataset: Dataset) -> Source:
    """A loaded dataset as a source: its pixels as they were brought to size, and its splits, given or drawn."""
    parts = [getattr(dataset, name) for name in SPLITS]
    return Source(
        title=dataset.manifest.source,
        names=tuple(str(name) for part in parts for name in part.names),
        labels=np.concatenate([part.labels for part in parts]),
        class_names=dataset.class_names,
        splits=np.repeat(np.array(SPLITS), [len(part) for part in parts]),
        images=tuple(part.images for part in parts),
        left_out=dataset.manifest.left_out,
        passed_over=dataset.manifest.passed_over,
        notes=dataset.manifest.notes,
    )


def measure(source: Source) -> Pictures:
    """Look at every picture once, in parallel, with a progress bar."""
    total = len(source.names)
    pictures = Pictures(np.zeros(total, ROW), np.zeros((total, SIDE, SIDE), np.uint8), {})
    reasons: dict[int, str] = {}

    def look(rows: range) -> None:  # every row is written by one thread only
        for row in rows:
            try:
                pixels = _described(source, row, pictures.rows)
            except Unreadable as error:
                reasons[row] = str(error)
                continue
            _judge(pixels, pictures.rows[row])
            pictures.thumbs[row] = thumbnail(pixels)

    with quiet(), bar("Auditing", total) as advance:
        for rows, _ in zip(chunks(total, 16), in_order(look, chunks(total, 16), os.cpu_count() or 1), strict=True):
            advance(len(rows))
    return Pictures(pictures.rows, pictures.thumbs, dict(sorted(reasons.items())))


def _described(source: Source, row: int, rows: NDArray[Any]) -> NDArray[np.uint8]:
    """The picture at the size at which it is looked at; what its file says goes into the row."""
    record = rows[row]
    if not source.files:
        pixels = source.pixels(row, 2**31)
        record["digest"] = hashlib.sha256(pixels.tobytes()).hexdigest()[:32]
        record["height"], record["width"] = pixels.shape[:2]
        pixels = _reduced(pixels, LOOK_EDGE)
    else:
        data = read_bytes(source.files[row])
        record["digest"] = hashlib.sha256(data).hexdigest()[:32]
        pixels, header = _look(data, LOOK_EDGE)
        for name in ("format", "mode", "orientation", "width", "height"):
            record[name] = getattr(header, name)
    record["readable"] = True
    return pixels


def _look(data: bytes, edge: int) -> tuple[NDArray[np.uint8], Any]:
    header = read_header(data)
    return decode(data, _fitting(header.height, header.width, edge), "squash").pixels, header


def _reduced(pixels: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    height, width = _fitting(pixels.shape[0], pixels.shape[1], edge)
    if (height, width) == pixels.shape[:2]:
        return pixels
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return small.reshape(height, width, pixels.shape[2])


def _fitting(height: int, width: int, edge: int) -> tuple[int, int]:
    scale = min(1.0, edge / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _judge(pixels: NDArray[np.uint8], record: Any) -> None:
    grey = pixels[:, :, 0] if pixels.shape[2] == 1 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    shares = np.cumsum(np.bincount(grey.ravel(), minlength=256)) / grey.size
    record["darkest"], record["lightest"] = np.searchsorted(shares, (0.01, 0.99))
    mean, deviation = cv2.meanStdDev(grey)
    record["brightness"], record["contrast"] = mean[0, 0], deviation[0, 0]
    height, width = grey.shape
    coarse = cv2.resize(grey, (-(-width // FINE), -(-height // FINE)), interpolation=cv2.INTER_AREA)
    back = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    lost = cv2.norm(grey, back, cv2.NORM_L2) / np.sqrt(grey.size)
    record["detail"] = lost / max(float(deviation[0, 0]), 1e-6)
