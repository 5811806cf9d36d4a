"""Explanations beside a run: heat maps laid over thumbnails. It computes no explanation."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toolkit.errors import InputError
from toolkit.report.reading import Run
from toolkit.report.thumbnails import SIDE
from toolkit.runs import read_arrays

FILE = "explanations.npz"  # `rows` int64 (R,), and for each method uint8 (R, h, w), heat, or (R, h, w, 3), a picture
FINE = 128  # pixels of the longer side of a picture that is strokes
# Dark violet over red to pale yellow, rising in lightness all the way, so that it reads in grey as well.
RAMP = np.array([[13, 8, 60], [86, 15, 110], [160, 40, 96], [222, 82, 56], [248, 154, 40], [252, 240, 160]], np.float32)


@dataclass(frozen=True)
class Explanation:
    """What one contestant's answer to one image rests on, by one method."""

    entrant: str
    method: str
    map: NDArray[np.uint8]  # (h, w), heat laid over the image, or (h, w, 3), a picture in its place


def read_explanations(run: Run) -> dict[int, list[Explanation]]:
    """Row of the test set -> what the contestants that explained it say."""
    found: dict[int, list[Explanation]] = {}
    for entrant in run.entrants:
        path = run.folder / str(entrant.values.get("folder", entrant.name)) / FILE
        if not path.is_file():
            continue
        stored = read_arrays(path, "; delete it.")
        rows = stored.pop("rows", np.zeros(0, np.int64)).tolist()
        for method, maps in stored.items():
            form = maps.ndim == 3 or (maps.ndim == 4 and maps.shape[3] == 3)
            if not form or len(maps) != len(rows) or maps.dtype != np.uint8:
                raise InputError(
                    f"Expected maps uint8 (R, h, w) or (R, h, w, 3) for {len(rows)} rows in {path}. "
                    f"Received: {method}, {maps.dtype} {maps.shape}; delete it."
                )
            for row, one in zip(rows, maps, strict=True):
                found.setdefault(int(row), []).append(Explanation(entrant.name, method, one))
    return found


def drawn(webp: bytes, explanation: Explanation) -> bytes:
    """The explanation of a thumbnail as WebP: heat over the picture, or a picture of its own."""
    if explanation.map.ndim == 3:
        return _encoded(_longest(Image.fromarray(explanation.map), FINE))
    return overlay(webp, explanation.map.astype(np.float32) / np.float32(255))


def overlay(webp: bytes, heat: NDArray[np.float32]) -> bytes:
    """A thumbnail under its heat map in 0..1, as WebP: the hotter, the less of the picture shows."""
    picture = _longest(Image.open(io.BytesIO(webp)).convert("L"), SIDE)
    grown = Image.fromarray(np.clip(heat, 0, 1).astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    heat = np.asarray(grown, np.float32)[..., None]
    place = np.clip(heat[..., 0], 0, 1) * (len(RAMP) - 1)
    low = np.minimum(place.astype(np.int64), len(RAMP) - 2)
    colour = RAMP[low] + (place - low)[..., None] * (RAMP[low + 1] - RAMP[low])
    weight = 0.2 + 0.6 * heat
    mixed = (1 - weight) * np.asarray(picture, np.float32)[..., None] + weight * colour
    return _encoded(Image.fromarray(mixed.clip(0, 255).astype(np.uint8)))


def _longest(picture: Image.Image, side: int) -> Image.Image:
    """The picture with a longer side of `side` pixels; enlarged pixels stay squares."""
    factor = side / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS)


def _encoded(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, "WEBP", quality=70, method=2)
    return written.getvalue()
