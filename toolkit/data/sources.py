"""Which reader a source is for: names, folders, files, arrays. It reads no pixel itself and splits nothing."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.cache import default_cache
from toolkit.data.cifar import cifar_folder, is_cifar
from toolkit.data.decode import Fit
from toolkit.data.fetch import KERAS_SETS, hugging_face_set, keras_set, tfds_set
from toolkit.data.listing import Listing, class_folders
from toolkit.data.named import NAMED
from toolkit.data.readers import from_arrays, idx_folder, idx_parts, npz_file
from toolkit.data.tables import table_file
from toolkit.errors import InputError, unknown

TABLES = (".csv", ".tsv", ".parquet", ".pq")
Source = str | os.PathLike[str] | tuple[NDArray[Any], NDArray[Any]]


def find(source: Source, size: tuple[int, int] | None = None, fit: Fit = "crop", cache: Path | None = None) -> Listing:
    """The rows of a source, still unsplit and files still undecoded. Only tfds: and hf: look at size and fit."""
    if isinstance(source, tuple):
        return _pair(source)
    name = os.fspath(source)
    if name in NAMED:
        return NAMED[name]()
    if name in KERAS_SETS:
        return keras_set(name, cache or default_cache())
    for prefix, fetch in (("tfds:", tfds_set), ("hf:", hugging_face_set)):
        if name.startswith(prefix):
            return fetch(name.removeprefix(prefix), size, fit)
    path = Path(source)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return _file(path)
    if len(path.parts) == 1 and not path.suffix:
        known = [*NAMED, *KERAS_SETS]
        raise unknown("data set", name, known, f"There is no such folder; known by name: {', '.join(sorted(known))}.")
    raise InputError(f"Expected a folder or file of images. Received: '{path}', which is not there.")


def describe(source: Source) -> str:
    """The source as a manifest names it."""
    return "arrays" if isinstance(source, tuple) else os.fspath(source)


def _pair(source: tuple[Any, ...]) -> Listing:
    if len(source) != 2:
        raise InputError(f"Expected a pair of arrays, (images, labels). Received: {len(source)}.")
    return from_arrays(np.asarray(source[0]), np.asarray(source[1]), "the arrays")


def _folder(path: Path) -> Listing:
    if idx_parts(path):
        return idx_folder(path)
    return cifar_folder(path) if is_cifar(path) else class_folders(path)


def _file(path: Path) -> Listing:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return npz_file(path)
    if suffix in TABLES:
        return table_file(path)
    raise InputError(f"Expected a folder, .npz, .csv or .parquet. Received: '{path}'. Unpack archives first.")
