"""The folder where decoded images are kept between runs: where it is, what it holds, and how to empty it."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from toolkit.data.content import chunks, release

IN_MEMORY = 256 * 2**20  # bytes: what is smaller is gathered there, what is larger in a file beside the store
TASK_BYTES = 16 * 2**20
KEPT = 2  # orders of one store that stay on disk


def default_cache() -> Path:
    """The user's cache folder on this system."""
    return platformdirs.user_cache_path("touchstone")


@dataclass(frozen=True)
class Entry:
    """A store in the cache."""

    key: str
    source: str  # the folder it was first built from
    shape: tuple[int, ...]  # (N, H, W, C); empty for one that was never finished
    bytes: int  # on disk, with its copies in other orders


def entries(cache: Path) -> list[Entry]:
    """The stores of a cache, largest first."""
    folders = [path for path in (cache / "stores").glob("*") if path.is_dir()]
    return sorted((_entry(folder) for folder in folders), key=lambda entry: (-entry.bytes, entry.key))


def clear(cache: Path, keys: Sequence[str] = ()) -> int:
    """Remove these stores, or all and the notes on files; return the bytes freed. Running programs keep theirs."""
    freed = 0
    for entry in entries(cache):
        if not keys or entry.key in keys:
            for path in (cache / "stores").glob(f"{entry.key}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            freed += entry.bytes
    for notes in () if keys else ("contents", "copies"):
        freed += sum(path.stat().st_size for path in (cache / notes).glob("*"))
        shutil.rmtree(cache / notes, ignore_errors=True)
    return freed


def gathered(images: NDArray[np.uint8], order: NDArray[np.int64], folder: Path | None) -> NDArray[np.uint8]:
    """The rows in that order, read-only: a view if they lie so, else a copy in memory or, if large, in `folder`."""
    if len(order) and np.array_equal(order, np.arange(order[0], order[0] + len(order))):
        found = images[order[0] : order[0] + len(order)]
    elif folder is None or len(order) * images[:1].nbytes <= IN_MEMORY:
        found = np.asarray(images)[order]
    else:
        found = _gathered_on_disk(images, order, folder)
    found.flags.writeable = False
    return found


def _gathered_on_disk(images: NDArray[np.uint8], order: NDArray[np.int64], folder: Path) -> NDArray[np.uint8]:
    path = folder / f"order-{hashlib.sha256(order.tobytes()).hexdigest()[:16]}.npy"
    with suppress(OSError, ValueError):  # not there, or cut short by a power failure
        found = np.load(path, mmap_mode="r")
        path.touch()
        return found
    descriptor, partial = tempfile.mkstemp(suffix=".partial", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            header: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": (len(order), *images.shape[1:])}
            np.lib.format.write_array_header_1_0(file, header)
            for piece in chunks(len(order), max(1, TASK_BYTES // images[:1].nbytes)):
                file.write(images[order[piece.start : piece.stop]].data)
                release(images)
        found = np.load(partial, mmap_mode="r")
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    _forget_old_orders(folder)
    return found


def _forget_old_orders(folder: Path) -> None:
    orders = sorted(folder.glob("order-*.npy"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in orders[KEPT:]:
        with suppress(OSError):  # where an open file cannot be removed, it stays until the next time
            path.unlink()


def _entry(folder: Path) -> Entry:
    size = sum(path.stat().st_size for path in folder.glob("*"))
    try:
        settings = json.loads((folder / "store.json").read_text("ascii"))
        shape = np.load(folder / "images.npy", mmap_mode="r").shape
    except (OSError, ValueError):
        return Entry(folder.stem, "", (), size)
    return Entry(folder.stem, str(settings["source"]), shape, size)
