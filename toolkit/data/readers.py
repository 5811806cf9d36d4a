"""Image sets that come as arrays in files: IDX, as MNIST is published, and NumPy's .npz. It splits nothing."""

import gzip
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.listing import SPLIT_FOLDERS, Listing, ordered_classes
from toolkit.errors import InputError

IDX_IMAGES = re.compile(r"(?P<set>.*?)(?P<part>train|t10k|test)-images[-.]idx3-ubyte(\.gz)?$")
SPLIT_KEYS = {"train": ("train",), "validation": ("val", "validation", "valid"), "test": ("test",)}


UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


def idx_parts(root: Path) -> dict[str, Path]:
    """The IDX image files of a folder by part, "train" and "test"; empty if there are none."""
    parts: dict[str, Path] = {}
    for path in sorted(root.iterdir(), reverse=True):  # the unpacked file comes last and wins over its .gz
        match = IDX_IMAGES.match(path.name)
        if match is None or not path.is_file():
            continue
        part = "train" if match["part"] == "train" else "test"
        other = parts.get(part)
        if other is not None and other.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
            raise InputError(
                f"Expected one IDX set in '{root}'. Received: {other.name} and {path.name}. Give each its own folder."
            )
        parts[part] = path
    return parts


def idx_folder(root: Path, class_names: tuple[str, ...] | None = None) -> Listing:
    """MNIST's four files (.gz or not); the t10k or test part stays. Without names classes are called by number."""
    images, labels, names, given = [], [], [], []
    parts = idx_parts(root)
    for part in ("train", "test"):
        if part not in parts:
            continue
        path = parts[part]
        label_path = path.with_name(path.name.replace("-images", "-labels").replace("idx3", "idx1"))
        if not label_path.exists():  # the one may be packed and the other not
            plain = label_path.name.removesuffix(".gz")
            label_path = label_path.with_name(plain if label_path.name != plain else plain + ".gz")
        if not label_path.exists():
            raise InputError(
                f"Expected the labels of '{path.name}' beside it. Received: no '{label_path.name}' in '{root}'."
            )
        pixels, numbers = read_idx(path, 3), read_idx(label_path, 1)
        if len(pixels) != len(numbers):
            raise InputError(
                f"Expected a label for each image of '{path.name}'. Received: {len(pixels)} and {len(numbers)}."
            )
        images.append(pixels)
        labels.append(numbers)
        names += [f"{part}/{row:05d}" for row in range(len(pixels))]
        given += [part] * len(pixels)
    if len({part.shape[1:] for part in images}) > 1:
        raise InputError(
            f"Expected one size in '{root}'. Received: {' and '.join(str(part.shape[1:]) for part in images)}."
        )
    return from_arrays(
        np.concatenate(images),
        np.concatenate(labels),
        "IDX",
        names,
        class_names,
        np.array(given) if "train" in parts else None,
    )


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """One IDX file of unsigned bytes with that many axes, gzip-packed or not."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * axes)
            magic = bytes([0, 0, 8, axes])
            if len(head) < 4 + 4 * axes or head[:4] != magic:
                raise InputError(
                    f"Expected '{path.name}' as IDX, {axes} axes of bytes. Received: a start of {head[:4]!r}."
                )
            shape = tuple(int.from_bytes(head[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes))
            data = file.read(math.prod(shape) + 1)
    except (OSError, EOFError, zlib.error) as error:
        start = path.read_bytes()[:12] if path.is_file() else b""
        packed = "gzip-packed " if path.suffix == ".gz" else ""
        raise InputError(
            f"Expected '{path.name}' as {packed}IDX. Received: {error} (it starts with {start!r})."
        ) from error
    if len(data) != math.prod(shape):
        raise InputError(
            f"Expected {math.prod(shape):,} bytes in '{path.name}', as its head says. Received: {len(data):,} or more."
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def npz_file(path: Path) -> Listing:
    """Arrays `images` and `labels`, or Keras' `x_train`, `y_train`, `x_test` and so on.

    As wanted also `names`, `class_names`, `split` and `group`. Nothing is unpickled.
    `from_arrays` says what they may be.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (*UNREADABLE, KeyError, TypeError, AttributeError) as error:  # the last two of one array without a name
        raise InputError(
            f"Expected '{path}' as a NumPy .npz of plain arrays. Received: {' '.join(str(error).split())}."
        ) from error
    class_names = tuple(map(str, arrays["class_names"].tolist())) if "class_names" in arrays else None
    if "images" in arrays and "labels" in arrays:
        optional = {key: arrays[key] for key in ("names", "split", "group") if key in arrays}
        rows = len(np.atleast_1d(arrays["images"]))
        for key, array in optional.items():
            if array.shape != (rows,):
                raise InputError(
                    f"Expected '{key}' in '{path.name}' as {rows} values, one an image. Received: {array.shape}."
                )
        names = list(map(str, optional["names"].tolist())) if "names" in optional else None
        given = _given(optional["split"], path.name) if "split" in optional else None
        columns = {"group": optional["group"].astype(str)} if "group" in optional else {}
        return from_arrays(arrays["images"], arrays["labels"], path.name, names, class_names, given, columns)
    return _keras_layout(arrays, path.name, class_names)


def _keras_layout(arrays: Mapping[str, NDArray[Any]], source: str, class_names: tuple[str, ...] | None) -> Listing:
    images, labels, names, given = [], [], [], []
    for split, keys in SPLIT_KEYS.items():
        key = next((key for key in keys if f"x_{key}" in arrays and f"y_{key}" in arrays), None)
        if key is None:
            continue
        images.append(arrays[f"x_{key}"])
        labels.append(_flat_labels(arrays[f"y_{key}"], source))
        _one_label_each(len(images[-1]), len(labels[-1]), f"x_{key} and y_{key} of '{source}'")
        names += [f"{split}/{row:05d}" for row in range(len(images[-1]))]
        given += [split] * len(images[-1])
    if not images:
        raise InputError(
            f"Expected 'images' and 'labels', or 'x_train' and 'y_train', in '{source}'. "
            f"Received: {', '.join(sorted(arrays)) or 'nothing'}."
        )
    if len({array.shape[1:] for array in images}) > 1 or len({array.dtype for array in images}) > 1:
        received = " and ".join(f"{array.dtype} {array.shape}" for array in images)
        raise InputError(f"Expected one size and type in '{source}'. Received: {received}.")
    return from_arrays(np.concatenate(images), np.concatenate(labels), source, names, class_names, np.array(given))


def from_arrays(
    images: NDArray[Any],
    labels: NDArray[Any],
    source: str,
    names: list[str] | None = None,
    class_names: tuple[str, ...] | None = None,
    given: NDArray[np.str_] | None = None,
    columns: Mapping[str, NDArray[Any]] | None = None,
) -> Listing:
    """Check an array pair.

    Images are (N, H, W) or (N, H, W, C), integers 0..255, C 1 or 3; labels (N,) or (N, 1), integers or strings. With
    `class_names` the labels are numbers into it; without, the distinct labels are the classes, in order.
    """
    pixels, values = _pixels(np.asarray(images), source), _flat_labels(np.asarray(labels), source)
    _one_label_each(len(pixels), len(values), f"'{source}'")
    if names is not None and len(set(names)) < len(names):
        raise InputError(
            f"Expected names in '{source}' to differ. Received: {len(names) - len(set(names))} that repeat."
        )
    if class_names is None:
        class_names = ordered_classes({str(value) for value in np.unique(values).tolist()})
        numbers = {name: number for number, name in enumerate(class_names)}
        distinct, inverse = np.unique(values, return_inverse=True)
        values = np.array([numbers[str(value)] for value in distinct.tolist()], np.int64)[inverse]
    elif len(set(class_names)) < len(class_names):
        twice = next(name for name in class_names if class_names.count(name) > 1)
        raise InputError(f"Expected class_names in '{source}' that differ. Received: '{twice}' more than once.")
    elif values.dtype.kind not in "iu" or (len(values) and not 0 <= values.min() <= values.max() < len(class_names)):
        raise InputError(
            f"Expected labels from 0 to {len(class_names) - 1}, as many as class_names in '{source}'. Received: others."
        )
    return Listing(
        names=tuple(names if names is not None else (f"{row:05d}" for row in range(len(pixels)))),
        labels=values.astype(np.int64),
        class_names=class_names,
        images=pixels,
        given=given,
        columns=columns or {},
    )


def _pixels(images: NDArray[Any], source: str) -> NDArray[np.uint8]:
    hint = ""
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim == 4 and images.shape[3] not in (1, 3) and images.shape[1] in (1, 3):
        hint = " Channels come last: images.transpose(0, 2, 3, 1)."
    elif images.dtype.kind == "f":
        hint = " For values from 0 to 1: (images * 255).round().astype('uint8')."
    if images.ndim != 4 or images.shape[3] not in (1, 3) or images.dtype.kind not in "iu" or 0 in images.shape[1:]:
        raise InputError(
            f"Expected images in '{source}' as uint8 (N, H, W) or (N, H, W, 1 or 3). "
            f"Received: {images.dtype} {images.shape}.{hint}"
        )
    if images.dtype != np.uint8 and len(images) and not 0 <= images.min() <= images.max() <= 255:
        raise InputError(f"Expected pixels in '{source}' from 0 to 255. Received: {images.min()} to {images.max()}.")
    return images.astype(np.uint8, copy=False)


def _flat_labels(labels: NDArray[Any], source: str) -> NDArray[Any]:
    hint = ""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2:
        hint = " From one-hot rows: labels.argmax(axis=1)."
    if labels.ndim != 1 or labels.dtype.kind not in "iuUS":
        raise InputError(
            f"Expected labels in '{source}' as (N,) integers or strings. Received: {labels.dtype} {labels.shape}.{hint}"
        )
    try:
        return np.char.decode(labels, "utf-8") if labels.dtype.kind == "S" else labels
    except UnicodeDecodeError as error:
        raise InputError(f"Expected labels in '{source}' in UTF-8. Received: {error}.") from None


def _one_label_each(images: int, labels: int, where: str) -> None:
    if images != labels:
        raise InputError(f"Expected one label an image in {where}. Received: {images} images and {labels} labels.")


def _given(values: NDArray[Any], source: str) -> NDArray[np.str_]:
    given = np.array([SPLIT_FOLDERS.get(str(value).strip().lower(), "?") for value in values.tolist()])
    if "?" in given:
        odd = values[int(np.argmax(given == "?"))]
        raise InputError(f"Expected splits named train, validation or test in '{source}'. Received: '{odd}'.")
    return given
