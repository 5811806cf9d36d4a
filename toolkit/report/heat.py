"""Explanations beside a run: heat maps laid over thumbnails. It computes no explanation."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toolkit.errors import InputError
from toolkit.report.reading import Run
from toolkit.report.thumbnails import SIDE

FILE = "explanations.npz"  # RUN/NAME/explanations.npz: `rows` int64 (R,), and a map (R, H, W) for each method
# Dark violet over red to pale yellow, rising in lightness all the way, so that it reads in grey as well.
RAMP = np.array([[13, 8, 60], [86, 15, 110], [160, 40, 96], [222, 82, 56], [248, 154, 40], [252, 240, 160]], np.float32)


def read_explanations(run: Run) -> dict[int, list[tuple[str, str, NDArray[np.float32]]]]:
    """Row of the test set -> (contestant, method, map (H, W) in 0..1) of whoever has explained it."""
    found: dict[int, list[tuple[str, str, NDArray[np.float32]]]] = {}
    for entrant in run.entrants:
        path = run.folder / str(entrant.values.get("folder", entrant.name)) / FILE
        if not path.is_file():
            continue
        stored = _arrays(path)
        rows = stored.pop("rows", np.zeros(0, np.int64)).tolist()
        for method, maps in stored.items():
            if maps.ndim != 3 or len(maps) != len(rows):
                raise InputError(
                    f"Expected maps (R, H, W) for {len(rows)} rows in {path}. Received: {method} {maps.shape}."
                )
            scale = 255.0 if maps.dtype == np.uint8 else 1.0
            for row, heat in zip(rows, maps, strict=True):
                found.setdefault(int(row), []).append((entrant.name, method, heat.astype(np.float32) / scale))
    return found


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"Expected an .npz of plain arrays. {path} cannot be read: {error}; delete it.") from None


def overlay(webp: bytes, heat: NDArray[np.float32]) -> bytes:
    """A thumbnail under its heat map in 0..1, as WebP: the hotter, the less of the picture shows."""
    picture = Image.open(io.BytesIO(webp)).convert("L")
    if max(picture.size) < SIDE:
        factor = SIDE / max(picture.size)
        picture = picture.resize(
            (round(picture.width * factor), round(picture.height * factor)), Image.Resampling.NEAREST
        )
    grown = Image.fromarray(np.clip(heat, 0, 1).astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    heat = np.asarray(grown, np.float32)[..., None]
    place = np.clip(heat[..., 0], 0, 1) * (len(RAMP) - 1)
    low = np.minimum(place.astype(np.int64), len(RAMP) - 2)
    colour = RAMP[low] + (place - low)[..., None] * (RAMP[low + 1] - RAMP[low])
    weight = 0.2 + 0.6 * heat
    mixed = (1 - weight) * np.asarray(picture, np.float32)[..., None] + weight * colour
    written = io.BytesIO()
    Image.fromarray(mixed.clip(0, 255).astype(np.uint8)).save(written, "WEBP", quality=70, method=2)
    return written.getvalue()
