"""Files decoded once, in parallel, into one array of pixels. It knows names for its messages, but no label and no split."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.data.decode import MAX_BYTES, Fit, Unreadable, decode, quiet
from toolkit.errors import InputError
from toolkit.progress import bar


def decode_files(
    files: Sequence[Path], names: Sequence[str], size: tuple[int, int] | None, fit: Fit, skip_bad: bool
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Decode every file: uint8 (N, H, W, 1 if all are grey, else 3), and the reason for each row that is no picture.

    The first bad file is an `InputError`, unless `skip_bad`.
    """
    bad: dict[int, str] = {}
    pictures: list[NDArray[np.uint8]] = []
    first = ""
    with quiet(), bar("Decoding", len(files)) as advance, ThreadPoolExecutor(os.cpu_count()) as threads:
        for row, picture in enumerate(threads.map(lambda path: _try(path, size, fit), files)):
            advance()
            if isinstance(picture, str):
                bad[row] = picture
                if not skip_bad:
                    threads.shutdown(cancel_futures=True)
                    raise InputError(
                        f"Cannot read '{names[row]}': {picture}. Mend or remove it, or leave bad files out with skip_bad (--skip-bad)."
                    )
                continue
            if pictures and picture.shape[:2] != pictures[0].shape[:2]:
                here, there = (
                    f"'{name}' {shape[1]} x {shape[0]}"
                    for name, shape in ((names[row], picture.shape), (first, pictures[0].shape))
                )
                raise InputError(
                    f"Expected images of one size, or image_size (--image-size) to bring them to. Received: {there} and {here}."
                )
            first = first or names[row]
            pictures.append(picture)
    if not pictures:
        raise InputError(
            f"Expected images that can be read. Received: {len(bad)} that cannot, such as '{names[0]}': {bad[0]}."
        )
    grey = all((p[..., 0] == p[..., -1]).all() and (p[..., 0] == p[..., p.shape[2] // 2]).all() for p in pictures)
    return np.stack([p[..., :1] if grey else np.broadcast_to(p, (*p.shape[:2], 3)) for p in pictures]), bad


def _try(path: Path, size: tuple[int, int] | None, fit: Fit) -> NDArray[np.uint8] | str:
    try:
        return decode(read_bytes(path), size, fit).pixels
    except Unreadable as error:
        return str(error)


def read_bytes(path: Path) -> bytes:
    """A file's content, or `Unreadable` when it is gone, forbidden or far too large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Unreadable(f"a file of {path.stat().st_size:,} bytes, more than the {MAX_BYTES:,} allowed")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
