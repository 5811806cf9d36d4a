"""What a reader finds before anything is split: names, labels, and either pixels or files. It decodes nothing."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.dataset import plain_name
from toolkit.errors import InputError

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in [
        "apng",
        "avif",
        "avifs",
        "bmp",
        "dib",
        "fits",
        "gif",
        "ico",
        "j2k",
        "jfif",
        "jp2",
        "jpe",
        "jpeg",
        "jpg",
        "mpo",
        "pbm",
        "pcx",
        "pfm",
        "pgm",
        "png",
        "pnm",
        "ppm",
        "psd",
        "qoi",
        "ras",
        "sgi",
        "tga",
        "tif",
        "tiff",
        "webp",
        "xbm",
    ]
)

WRITTEN = ("run.json", "audit.json", "comparison.json")  # in a folder of results: its pictures are no data


@dataclass(frozen=True)
class Listing:
    """N rows of a source in a fixed order; `images` or `files` holds the pictures."""

    names: tuple[str, ...]  # N, relative to the source
    labels: NDArray[np.int64]  # (N,), 0..K-1
    class_names: tuple[str, ...]  # K
    images: NDArray[np.uint8] | None = None  # (N, H, W, C)
    files: tuple[Path, ...] = ()  # N
    given: NDArray[np.str_] | None = None  # (N,), "train", "validation", "test", or "" for what is still to be split
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # (N, ...) each
    passed_over: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def class_folders(root: Path) -> Listing:
    """A folder of class folders, or of train, validation (val) and test folders of class folders.

    A class is a folder; pictures in folders below it are its own. Hidden files and files that are no images by their
    suffix are counted.
    """
    passed_over: Counter[str] = Counter()
    above = frozenset({_identity(root)})
    found = {path.name: list(images_below(path, passed_over, above)) for path in _subfolders(root, passed_over)}
    splits = {name: SPLIT_FOLDERS[name.lower()] for name in found if name.lower() in SPLIT_FOLDERS}
    nested = {name: {path.relative_to(root / name).parts[0] for path in files} for name, files in found.items()}
    layered = "train" in splits.values() and all(
        len(classes) >= 1 and all((root / name / entry).is_dir() for entry in classes)
        if name in splits
        else not classes
        for name, classes in nested.items()
    )
    if splits and not layered and all(name in splits for name, files in found.items() if files):
        raise _half_layered(root, nested, splits)
    rows: list[tuple[str, str, Path]] = []  # split, class, file
    for name, files in found.items():
        for path in files:
            label = path.relative_to(root / name).parts[0] if layered else name
            rows.append((splits[name] if layered else "", label, path))
    if not rows:
        raise _no_images(root, passed_over)
    class_names = ordered_classes({label for _, label, _ in rows})
    alike = Counter(map(plain_name, class_names)).most_common(1)[0]
    if alike[1] > 1:
        raise InputError(f"Expected class folders of '{root}' that differ. Received: '{alike[0]}' in two spellings.")
    if len(class_names) < 2:
        raise _one_class(root / class_names[0], root)
    names = [plain_name(path.relative_to(root).as_posix()) for _, _, path in rows]
    order = sorted(range(len(rows)), key=lambda row: names[row])
    numbers = {name: number for number, name in enumerate(class_names)}
    empty = sorted(name for name, files in found.items() if not files)
    return Listing(
        names=tuple(names[row] for row in order),
        labels=np.array([numbers[rows[row][1]] for row in order], np.int64),
        class_names=tuple(plain_name(name) for name in class_names),
        files=tuple(rows[row][2] for row in order),
        given=np.array([rows[row][0] for row in order]) if layered else None,
        passed_over=dict(sorted(passed_over.items())),
        notes=(f"Folders without images, taken for no class: {', '.join(map(plain_name, empty))}.",) if empty else (),
    )


def ordered_classes(names: set[str]) -> tuple[str, ...]:
    """By number if all are numbers ("2" before "10"), else by code point, so that every machine agrees."""
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names, key=lambda name: (plain_name(name), name)))


def _subfolders(root: Path, passed_over: Counter[str]) -> list[Path]:
    folders = []
    for path in sorted(root.iterdir()):
        if path.name.startswith("."):
            passed_over["hidden"] += 1
        elif path.is_dir():
            folders.append(path)
        else:
            passed_over[f"in no class folder ({path.suffix.lower() or 'no suffix'})"] += 1
    return folders


def images_below(folder: Path, passed_over: Counter[str], above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """Files with an image's suffix below a folder, links followed; a folder that lies below itself is passed over."""
    identity = _identity(folder)
    if identity in above:
        passed_over["links in a loop"] += 1
        return
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"Expected a folder that can be read. Received: {folder}, {error.strerror}.") from None
    if any(entry.name in WRITTEN for entry in found):
        passed_over["folders that this program wrote"] += 1
        return
    for entry in found:
        suffix = os.path.splitext(entry.name)[1].lower()
        if entry.name.startswith("."):
            passed_over["hidden"] += 1
        elif entry.is_dir():
            yield from images_below(Path(entry.path), passed_over, above | {identity})
        elif suffix in SUFFIXES:
            yield Path(entry.path)
        else:
            passed_over[suffix or "no suffix"] += 1


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _half_layered(root: Path, nested: Mapping[str, set[str]], splits: Mapping[str, str]) -> InputError:
    """Of a folder of train, validation or test folders that do not all hold class folders."""
    flat = [
        f"{name}/{entry}" for name in splits for entry in sorted(nested[name]) if not (root / name / entry).is_dir()
    ]
    received = f"'{plain_name(flat[0])}'" if flat else f"no train folder beside {', '.join(map(plain_name, splits))}"
    return InputError(
        f"Expected class folders in each of train, validation and test below '{root}', and no picture beside them. "
        f"Received: {received}. Put it into its class, or leave what has no labels out of the folder."
    )


def _one_class(folder: Path, root: Path) -> InputError:
    inside = (
        sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        if folder.is_dir()
        else []
    )
    hint = f" Its classes seem to lie one folder down: give '{folder}'." if len(inside) > 1 else ""
    return InputError(
        f"Expected at least two class folders below '{root}'. Received: one ({plain_name(folder.name)}).{hint}"
    )


def _no_images(root: Path, passed_over: Mapping[str, int]) -> InputError:
    seen = ", ".join(f"{count} {kind}" for kind, count in sorted(passed_over.items()))
    return InputError(
        f"Expected class folders with images in '{root}'. Received: {'only ' + seen if seen else 'an empty folder'}. "
        "Put the images of each class into a folder of its own."
    )
