"""Small pictures inside the page: as many as the byte budget holds, most wanted first. It knows no run."""

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toolkit.errors import InputError

SIDE = 96  # pixels of the longer side at most
PIXELS = 40  # up to this side every pixel is kept and shown as a square
FILE = "thumbnails.npz"  # in the folder of a run


def encode(image: NDArray[np.uint8], side: int = SIDE) -> bytes:
    """uint8 (H, W, C), C 1 or 3 -> WebP with a longer side of `side` pixels at most; small images keep every pixel."""
    small = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    lossless = max(small.size) <= PIXELS
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    small.save(written, "WEBP", quality=72, lossless=lossless, method=2)
    return written.getvalue()


def encoded(images: Any, rows: Iterable[int], budget: int) -> dict[int, bytes]:
    """Thumbnails of these rows of uint8 (N, H, W, C), in their order until `budget` bytes are spent."""
    found: dict[int, bytes] = {}
    spent = 0
    for row in rows:
        found[int(row)] = encode(np.asarray(images[int(row)]))
        spent += len(found[int(row)])
        if spent > budget:
            found.pop(int(row))
            break
    return found


def check_thumbnail_source(images: Any, rows: int) -> None:
    """Refuse images that are not uint8 (N, H, W, C) with one for each of the test rows."""
    dtype, shape = getattr(images, "dtype", type(images).__name__), tuple(getattr(images, "shape", ()))
    if dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3) or shape[0] != rows:
        raise InputError(f"Expected the {rows} test images as uint8 (N, H, W, C), C 1 or 3. Received: {dtype} {shape}.")


def write(folder: Path, thumbnails: Mapping[int, bytes]) -> None:
    """Keep thumbnails beside a run, so that its report can be written again without the images."""
    rows = np.array(sorted(thumbnails), np.int64)
    lengths = np.array([len(thumbnails[row]) for row in rows.tolist()], np.int64)
    joined = np.frombuffer(b"".join(thumbnails[row] for row in rows.tolist()), np.uint8)
    partial = folder / f"{FILE}.partial.npz"
    np.savez(partial, rows=rows, lengths=lengths, webp=joined)
    partial.replace(folder / FILE)


def read(folder: Path, rows: int) -> dict[int, bytes]:
    """The thumbnails kept beside a run, empty where there are none; damaged ones raise InputError."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            numbers, lengths, joined = stored["rows"].tolist(), stored["lengths"], stored["webp"].tobytes()
    except Exception as error:  # NumPy raises half a dozen kinds for a damaged archive
        raise InputError(f"Expected thumbnails in {path}. It cannot be read ({error}); delete it.") from None
    ends = np.cumsum(lengths).tolist()
    pieces = [joined[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return {row: piece for row, piece in zip(numbers, pieces, strict=False) if 0 <= row < rows}


def image_size(webp: bytes) -> tuple[int, int]:
    """Width and height of a thumbnail."""
    with Image.open(io.BytesIO(webp)) as picture:
        return picture.size


def inline(webp: bytes) -> str:
    """The bytes as they stand in a data: address, which begins with `PREFIX`."""
    return base64.b64encode(webp).decode("ascii")


PREFIX = "data:image/webp;base64,"
