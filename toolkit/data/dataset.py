"""Labelled images as they flow through the house: splits, their dataset, and the manifest that names every row.

It reads no file and knows no format; `load.py` builds these.
"""

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """N labelled images; row i of every field is the same image."""

    images: NDArray[np.uint8]  # (N, H, W, C), C 1 or 3, RGB, 0..255; read-only, possibly a memory map
    labels: NDArray[np.int64]  # (N,), 0..K-1
    names: NDArray[np.str_]  # (N,), relative to the source
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # (N, ...) each: "group", "box", ...

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Any) -> "Split":
        """The rows of a slice (a view) or of an index array (a copy)."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Split(self.images[rows], self.labels[rows], self.names[rows], columns)


@dataclass(frozen=True)
class Manifest:
    """Where every row came from, how it was split and what was left out; plain values, JSON both ways."""

    source: str
    seed: int
    sizes: Mapping[str, int]  # rows of train, validation, test
    sha256: str  # `fingerprint` over names, labels and splits
    settings: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[tuple[str, str], ...] = ()  # (name, reason)
    passed_over: Mapping[str, int] = field(default_factory=dict)  # "hidden", or a suffix that is no image's -> files
    notes: tuple[str, ...] = ()  # what was found or decided and a reader should know

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "source": self.source,
            "seed": self.seed,
            "sizes": dict(self.sizes),
            "sha256": self.sha256,
            "settings": dict(self.settings),
            "left_out": [list(entry) for entry in self.left_out],
            "passed_over": dict(self.passed_over),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The manifest that `as_json` wrote."""
        left_out = tuple((str(name), str(reason)) for name, reason in values["left_out"])
        return cls(**{**values, "left_out": left_out, "notes": tuple(values["notes"])})


@dataclass(frozen=True)
class Dataset:
    """Three splits of one labelled set. Train fits, validation chooses, test reports."""

    train: Split
    validation: Split  # may be empty
    test: Split
    class_names: tuple[str, ...]  # K, in the order of the labels
    manifest: Manifest

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def classes(self) -> int:
        """K."""
        return len(self.class_names)

    @cached_property
    def pixels(self) -> str:
        """A digest of every image in turn, which the manifest does not name: the same names may come to hold others."""
        digest = hashlib.blake2b(digest_size=16)
        for split in (self.train, self.validation, self.test):
            step = max(1, (1 << 24) // max(1, math.prod(split.images.shape[1:])))
            for start in range(0, len(split.images), step):
                digest.update(np.ascontiguousarray(split.images[start : start + step]).data)
        return digest.hexdigest()

    @property
    def fitting(self) -> Split:
        """Train and validation rows together, for where nothing is chosen: a view of what `load` made, else a copy."""
        return joined(self.train, self.validation)


def joined(first: Split, second: Split) -> Split:
    """The rows of both. Images that lie side by side in one array stay a view of it, unread; others are copied."""
    columns = {name: np.concatenate([first.columns[name], second.columns[name]]) for name in first.columns}
    return Split(
        _joined_images(first.images, second.images),
        np.concatenate([first.labels, second.labels]),
        np.concatenate([first.names, second.names]),
        columns,
    )


def _joined_images(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not len(second):
        return first
    alike = first.shape[1:] == second.shape[1:] and first.flags.c_contiguous and second.flags.c_contiguous
    if alike and len(first) and _owner(first) is _owner(second) and _address(first) + first.nbytes == _address(second):
        view = np.lib.stride_tricks.as_strided(first, (len(first) + len(second), *first.shape[1:]), writeable=False)
        return view
    return np.concatenate([first, second])


def _owner(array: Any) -> Any:
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def fingerprint(splits: Mapping[str, Split], class_names: tuple[str, ...]) -> str:
    """SHA-256 that two loads share exactly when they hold the same names, labels and splits in the same order.

    Hashed, as ASCII: one JSON line `["touchstone manifest",1]`, one with the list of class names, then for train,
    validation and test in that order and for each row in its order `[split, class name, name]`, each line ended by a
    newline, without spaces. Names are relative to the source, with `/` between folders, in Unicode's NFC: the same on
    every machine. Pixels and settings are not in it.
    """
    digest = hashlib.sha256()

    def add(line: list[Any]) -> None:
        digest.update(json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n")

    add(["touchstone manifest", 1])
    add([plain_name(name) for name in class_names])
    for split_name in SPLITS:
        split = splits[split_name]
        for label, name in zip(split.labels.tolist(), split.names.tolist(), strict=True):
            add([split_name, plain_name(class_names[label]), plain_name(name)])
    return digest.hexdigest()


def plain_name(name: str) -> str:
    """The name in NFC, bytes that are no UTF-8 written as escapes: so it prints and hashes alike everywhere."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "backslashreplace").decode("utf-8"))
