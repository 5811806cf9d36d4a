"""The one door for labelled images: whatever the source is, out comes a `Dataset`. It trains and evaluates nothing."""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.data.cache import default_cache, gathered
from toolkit.data.dataset import SPLITS, Dataset, Manifest, Split, fingerprint
from toolkit.data.decode import FITS, Fit, resize
from toolkit.data.listing import Listing
from toolkit.data.similar import copies, groups
from toolkit.data.sources import Source, describe, find
from toolkit.data.split import check_fractions, split_rows
from toolkit.data.store import Store, open_store
from toolkit.errors import InputError, unknown

REMEMBERED = 10_000  # rows from which on it pays to keep on disk which of them are copies
DUPLICATES = ("together", "ignore")
LARGEST = 16_384  # pixels of an edge


def load(
    source: Source,
    image_size: int | tuple[int, int] | None = None,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.2,
    skip_bad: bool = False,
    fit: Fit = "crop",
    duplicates: Literal["together", "ignore"] = "together",
    cache: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load, split and describe a labelled image set.

    Args:
        source: a name (`digits`, `textures`, `mnist`, `fashion_mnist`, `cifar10`, `cifar100`, `tfds:NAME`, `hf:NAME`);
            a folder of class folders with or without train, validation and test above them; a folder of IDX files or
            CIFAR batches; an `.npz`; a CSV or Parquet table; or a pair of arrays. A name wins over a folder called the
            same: write `./digits` for the folder. `data/README.md` has the formats.
        image_size: (height, width), or one number for both; without it all images must have one size.
        seed: draws the splits. Official parts stay; what is missing is drawn, stratified by class.
        validation: the fraction of each class that chooses, 0 for none.
        test: the fraction of each class that reports.
        skip_bad: go on past unreadable files; `manifest.left_out` names them with the reason.
        fit: what happens to other proportions: `crop` what sticks out, `pad` with black, or `squash`.
        duplicates: copies and near copies of a picture are drawn into one split `together`, as rows of one group are;
            or `ignore` that they are copies.
        cache: the folder where files are kept decoded; by default the user's cache folder.

    Raises:
        InputError: in one line, what should be, what came and what to mend.
    """
    size = _image_size(image_size)
    check_fractions(validation, test)
    for setting, value, known in (("fit", fit, FITS), ("duplicates", duplicates, DUPLICATES)):
        if value not in known:
            raise unknown(setting, value, known)
    place = Path(cache) if cache else default_cache()
    found = find(source, size, fit, place)
    listing, images, store = _decoded(found, size, fit, place, skip_bad)
    together, notes = _together(listing, images, duplicates, _copies_file(images, store, place))
    rows = split_rows(
        listing.labels, listing.class_names, listing.given, together, seed=seed, validation=validation, test=test
    )
    settings = {"image_size": list(size) if size else None, "fit": fit, "validation": validation, "test": test}
    order = np.concatenate([rows[name] for name in SPLITS])
    pixels = gathered(images, order, store.folder if store else None)
    splits = _splits(_take(listing, order), pixels, [len(rows[name]) for name in SPLITS])
    manifest = Manifest(
        source=describe(source),
        seed=seed,
        sizes={name: len(split) for name, split in splits.items()},
        sha256=fingerprint(splits, listing.class_names),
        settings={**settings, "duplicates": duplicates},
        left_out=tuple((found.names[row], reason) for row, reason in store.bad.items()) if store else (),
        passed_over=listing.passed_over,
        notes=(*listing.notes, *notes),
    )
    return Dataset(**splits, class_names=listing.class_names, manifest=manifest)


def _image_size(value: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if value is None:
        return None
    size = (value, value) if isinstance(value, int) else tuple(value)
    if len(size) != 2 or not all(isinstance(edge, int) and 1 <= edge <= LARGEST for edge in size):
        raise InputError(
            f"Expected image_size as one number of pixels or (height, width), 1 to {LARGEST}. Received: {value!r}."
        )
    return size[0], size[1]


def _decoded(
    found: Listing, size: tuple[int, int] | None, fit: Fit, place: Path, skip_bad: bool
) -> tuple[Listing, NDArray[np.uint8], Store | None]:
    """The rows that have pixels, their pixels at the size, and the store if they came from files."""
    if found.images is not None:
        images = found.images
        if size is not None and images.shape[1:3] != size:
            images = np.stack([resize(image, size, fit) for image in images])
        return found, images, None
    store = open_store(found.files, found.names, size, fit, place)
    if store.bad and not skip_bad:
        row, reason = next(iter(store.bad.items()))
        more = f" (and {len(store.bad) - 1} more)" if len(store.bad) > 1 else ""
        raise InputError(
            f"Cannot read '{found.names[row]}': {reason}{more}. "
            "Mend or remove it, or leave unreadable files out with skip_bad (--skip-bad)."
        )
    return _take(found, store.rows), store.images, store


def _copies_file(images: NDArray[np.uint8], store: Store | None, place: Path) -> Path | None:
    if store:
        return store.folder / "copies.npz"
    if len(images) < REMEMBERED:
        return None
    return place / "copies" / (hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()[:32] + ".npz")


def _together(
    listing: Listing, images: NDArray[np.uint8], duplicates: str, kept: Path | None
) -> tuple[NDArray[np.int64] | None, list[str]]:
    """A number for each row, equal for rows that must share a split, and what a reader should know of it."""
    pairs = list(copies(images, kept)) if duplicates == "together" else []
    notes = []
    alike = len(np.unique(np.concatenate(pairs))) if pairs else 0
    if alike:
        notes.append(f"{alike} images are copies or near copies of others; those that are drawn share a split.")
    if "group" in listing.columns:
        pairs.append(_same_group(listing.columns["group"]))
    together = groups(len(listing.names), pairs)
    if listing.given is not None:
        torn = _torn(together, listing.given)
        if torn:
            notes.append(f"{torn} images share a group or are copies across the given splits, which stay as they are.")
    return together, notes


def _same_group(values: NDArray[np.str_]) -> NDArray[np.int64]:
    """Pairs of neighbouring rows of each named group; rows without a name are alone."""
    order = np.argsort(values, kind="stable")
    same = (values[order][1:] == values[order][:-1]) & (values[order][1:] != "")
    return np.stack([order[:-1][same], order[1:][same]], axis=1)


def _torn(together: NDArray[np.int64], given: NDArray[np.str_]) -> int:
    """How many rows have a partner in another of the given splits."""
    named = np.flatnonzero(given != "")
    seen = np.unique(np.stack([together[named], np.unique(given[named], return_inverse=True)[1]], axis=1), axis=0)
    splits = np.bincount(seen[:, 0], minlength=len(together))
    return int((splits[together[named]] > 1).sum())


def _take(listing: Listing, rows: NDArray[np.int64]) -> Listing:
    """Some rows of a listing, in that order; pixels and files are dropped."""
    return dataclasses.replace(
        listing,
        names=tuple(listing.names[row] for row in rows),
        labels=listing.labels[rows],
        given=None if listing.given is None else listing.given[rows],
        columns={name: column[rows] for name, column in listing.columns.items()},
        images=None,
        files=(),
    )


def _splits(listing: Listing, images: NDArray[np.uint8], sizes: list[int]) -> dict[str, Split]:
    """Train, validation and test as views that lie side by side in `images`."""
    whole = Split(images, listing.labels, np.array(listing.names), listing.columns)
    stops = np.cumsum([0, *sizes])
    return {name: whole.take(slice(stops[part], stops[part + 1])) for part, name in enumerate(SPLITS)}
