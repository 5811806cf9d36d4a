"""CIFAR-10 and CIFAR-100 as published (Krizhevsky 2009), in Python's or binary batches. It runs nothing of a pickle."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.listing import Listing
from toolkit.data.readers import from_arrays
from toolkit.errors import InputError

SIDE = 32
PIXELS = 3 * SIDE * SIDE
Batch = tuple[NDArray[np.uint8], list[int]]  # (N, 3072) and N labels
TEN = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
HUNDRED = {"train": ["train"], "test": ["test"]}
# What NumPy's arrays and Python 2's strings need in a pickle. The rest is refused, for a pickle can run any code.
HARMLESS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def is_cifar(root: Path) -> bool:
    """Whether a folder holds CIFAR's batches."""
    return any((root / name).is_file() for name in ("data_batch_1", "data_batch_1.bin", "train.bin")) or (
        (root / "train").is_file() and (root / "meta").is_file()
    )


def cifar_folder(root: Path) -> Listing:
    """Either set in either form, one train batch at least; the test part stays. CIFAR-100 has its fine labels."""
    hundred = not any((root / name).is_file() for name in ("data_batch_1", "data_batch_1.bin"))
    binary = (root / ("train.bin" if hundred else "data_batch_1.bin")).is_file()
    read: Callable[[Path, bool], Batch] = _binary if binary else _pickled
    images, labels, names, given = [], [], [], []
    for part, batches in (HUNDRED if hundred else TEN).items():
        paths = [root / (batch + ".bin" * binary) for batch in batches]
        rows = 0
        for path in filter(Path.is_file, paths):
            pixels, numbers = read(path, hundred)
            images.append(pixels)
            labels += numbers
            names += [f"{part}/{row:05d}" for row in range(rows, rows + len(pixels))]
            rows += len(pixels)
        given += [part] * rows
    pixels = np.concatenate(images).reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    class_names = _class_names(root, hundred, binary)
    return from_arrays(
        np.ascontiguousarray(pixels), np.array(labels, np.int64), root.name, names, class_names, np.array(given)
    )


def _binary(path: Path, hundred: bool) -> Batch:
    data = np.fromfile(path, np.uint8)
    width = PIXELS + 1 + hundred
    if not len(data) or len(data) % width:
        raise InputError(f"Expected '{path.name}' in rows of {width} bytes. Received: {len(data):,} bytes.")
    rows = data.reshape(-1, width)
    return rows[:, 1 + hundred :], rows[:, int(hundred)].tolist()


def _pickled(path: Path, hundred: bool) -> Batch:
    with path.open("rb") as file:
        content = _unpickled(file, path.name)
    try:
        pixels = np.asarray(content[b"data"])
        labels = [int(label) for label in content[b"fine_labels" if hundred else b"labels"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"Expected data and labels in '{path.name}'. Received: no {error}.") from error
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), PIXELS):
        raise InputError(
            f"Expected uint8 ({len(labels)}, {PIXELS}) in '{path.name}'. Received: {pixels.dtype} {pixels.shape}."
        )
    return pixels, labels


def _unpickled(file: IO[bytes], name: str) -> Any:
    try:
        return _ArraysOnly(file, encoding="bytes").load()
    except Exception as error:  # broken pickles raise nearly anything
        raise InputError(f"Expected '{name}' as CIFAR's pickle of arrays. Received: {error}.") from error


def _class_names(root: Path, hundred: bool, binary: bool) -> tuple[str, ...] | None:
    """The names that lie beside the batches; without them classes are called by number."""
    texts, pickles = ("fine_label_names.txt", "meta") if hundred else ("batches.meta.txt", "batches.meta")
    path = root / (texts if binary else pickles)
    if not path.is_file():
        return None
    if binary:
        return tuple(path.read_text("utf-8").split())
    with path.open("rb") as file:
        names = _unpickled(file, path.name)[b"fine_label_names" if hundred else b"label_names"]
    return tuple(name.decode("utf-8") for name in names)
