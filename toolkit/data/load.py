"""The one door for labelled images: whatever the source is, out comes a `Dataset`. It trains and evaluates nothing."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.dataset import SPLITS, Dataset, Manifest, Split, fingerprint
from toolkit.data.decode import FITS, Fit, resize
from toolkit.data.listing import Listing, class_folders
from toolkit.data.named import NAMED
from toolkit.data.readers import idx_folder, idx_parts, npz_file
from toolkit.data.split import check_fractions, split_rows
from toolkit.data.store import decode_files
from toolkit.errors import InputError, unknown


def load(
    source: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None = None,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.2,
    skip_bad: bool = False,
    fit: Fit = "crop",
) -> Dataset:
    """Load, split and describe a labelled image set.

    `source` is a name (`digits`, `textures`), a folder of class folders with or without train, validation and test above them, a
    folder with MNIST's IDX files, or an `.npz`. A name wins over a folder called the same; write `./digits` for the folder.
    `image_size` is (height, width), or one number for both; without it all images must have one size. `fit` says what happens to
    other proportions: `crop`, `pad` or `squash`. Official parts stay; what is missing is drawn, stratified by class, by `seed`.
    `skip_bad` goes on past unreadable files; `manifest.left_out` names them with the reason. `InputError` says what to mend.
    """
    size = _image_size(image_size)
    check_fractions(validation, test)
    if fit not in FITS:
        raise unknown("fit", fit, FITS)
    listing, left_out = _with_pixels(_find(source), size, fit, skip_bad)
    rows = split_rows(listing.labels, listing.class_names, listing.given, seed=seed, validation=validation, test=test)
    settings = {"image_size": list(size) if size else None, "fit": fit, "validation": validation, "test": test}
    return _assemble(listing, rows, left_out, os.fspath(source), seed, settings)


def _image_size(value: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if value is None:
        return None
    size = (value, value) if isinstance(value, int) else tuple(value)
    if len(size) != 2 or not all(isinstance(edge, int) and 1 <= edge <= 16384 for edge in size):
        raise InputError(
            f"Expected image_size as one number of pixels or (height, width), 1 to 16384. Received: {value!r}."
        )
    return size[0], size[1]


def _find(source: str | os.PathLike[str]) -> Listing:
    if isinstance(source, str) and source in NAMED:
        return NAMED[source]()
    path = Path(source)
    if path.is_dir():
        return idx_folder(path) if idx_parts(path) else class_folders(path)
    if path.is_file():
        if path.suffix.lower() == ".npz":
            return npz_file(path)
        raise InputError(f"Expected a folder or an .npz file. Received: '{path}'. Unpack archives first.")
    if len(path.parts) == 1 and not path.suffix:
        raise unknown(
            "data set", str(source), NAMED, f"There is no such folder; known by name: {', '.join(sorted(NAMED))}."
        )
    raise InputError(f"Expected a folder or file of images. Received: '{path}', which is not there.")


def _with_pixels(
    listing: Listing, size: tuple[int, int] | None, fit: Fit, skip_bad: bool
) -> tuple[Listing, dict[str, str]]:
    """Decode files, or resize arrays; return the rows that have pixels and why the others have none."""
    if listing.images is None:
        images, bad = decode_files(listing.files, listing.names, size, fit, skip_bad)
    else:
        images, bad = listing.images, {}
        if size is not None and images.shape[1:3] != size:
            images = np.stack([resize(image, size, fit) for image in images])
    kept = np.array([row for row in range(len(listing.names)) if row not in bad], np.int64)
    left_out = {listing.names[row]: reason for row, reason in bad.items()}
    return dataclasses.replace(_rows(listing, kept), images=images), left_out


def _rows(listing: Listing, rows: NDArray[np.int64]) -> Listing:
    """The listing of some rows; pixels are not touched."""
    if len(rows) == len(listing.names):
        return listing
    return dataclasses.replace(
        listing,
        names=tuple(listing.names[row] for row in rows),
        labels=listing.labels[rows],
        given=None if listing.given is None else listing.given[rows],
        columns={name: column[rows] for name, column in listing.columns.items()},
    )


def _assemble(
    listing: Listing,
    rows: Mapping[str, NDArray[np.int64]],
    left_out: Mapping[str, str],
    source: str,
    seed: int,
    settings: Mapping[str, Any],
) -> Dataset:
    """Lay the rows out as train, validation, test in one array, of which the splits are views."""
    order = np.concatenate([rows[name] for name in SPLITS])
    images = listing.images if np.array_equal(order, np.arange(len(listing.images))) else listing.images[order]
    images.flags.writeable = False
    names = np.array(listing.names)
    whole = Split(
        images, listing.labels[order], names[order], {name: column[order] for name, column in listing.columns.items()}
    )
    splits, start = {}, 0
    for name in SPLITS:
        splits[name] = whole.take(slice(start, start + len(rows[name])))
        start += len(rows[name])
    manifest = Manifest(
        source=source,
        seed=seed,
        sizes={name: len(split) for name, split in splits.items()},
        sha256=fingerprint(splits, listing.class_names),
        settings=settings,
        left_out=tuple(left_out.items()),
        passed_over=listing.passed_over,
        notes=listing.notes,
    )
    return Dataset(splits["train"], splits["validation"], splits["test"], listing.class_names, manifest)
