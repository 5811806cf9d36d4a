"""The decode-once store: files decoded in parallel into one memory map, kept by content and settings.

It knows files and pixels, but no label and no split. A store is a folder `stores/KEY` of the cache with `images.npy`,
`rows.jsonl` (what each file said, or why it is no picture) and `store.json`. It is built as `KEY.partial` under a lock,
row after row, and renamed when it is whole; a build that was killed goes on after the last row that both files hold.
"""

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from toolkit.data import decode as decoding
from toolkit.data.content import Content, chunks, contents, in_order, read_bytes
from toolkit.data.decode import Fit, Unreadable, decode
from toolkit.errors import InputError
from toolkit.progress import bar

VERSION = 2  # of the pixels that a store holds for a file; grows when decoding or resizing changes
HEAD = 128  # bytes of images.npy before its first row
TASK_BYTES = 4 * 2**20  # of pixels in one task at most, unless a single picture has more
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class Store:
    """Decoded pictures of a list of files."""

    images: NDArray[np.uint8]  # (M, H, W, C), read-only memory map, in the order of the files
    rows: NDArray[np.int64]  # (M,), which of the files each is
    bad: Mapping[int, str]  # which file -> why it is no picture
    folder: Path


class Fact(NamedTuple):
    """What a file said about itself: one line of rows.jsonl."""

    bytes: int
    format: str = ""
    mode: str = ""
    width: int = 0  # of the picture the right way up, before it was brought to size
    height: int = 0
    grey: bool = False
    reason: str = ""  # why it is no picture


def open_store(
    files: Sequence[Path], names: Sequence[str], size: tuple[int, int] | None, fit: Fit, cache: Path, threads: int = 0
) -> Store:
    """The store of these files at (height, width), from the cache or built now; without a size all must have one.

    `InputError` if sizes differ, if no file is a picture, if files change meanwhile, or if the disk is full; then
    nothing half-built stays. `threads=0` takes as many as there are cores.
    """
    import joblib

    threads = threads or joblib.cpu_count()
    settings = {"version": VERSION, "size": size, "fit": fit if size else None, "max_pixels": decoding.MAX_PIXELS}
    with _room_on(cache):
        known = contents(files, cache, threads)
        identity = json.dumps([settings, [content.digest for content in known]])
        folder = cache / "stores" / hashlib.sha256(identity.encode("ascii")).hexdigest()[:32]
        if store := _opened(folder):
            return store
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            if store := _opened(folder):  # another process has built it meanwhile
                return store
            shutil.rmtree(folder, ignore_errors=True)  # damaged, by a power cut for example
            source = os.path.commonpath([path.absolute().parent for path in files])
            _Builder(folder.with_suffix(".partial"), files, names, known, size, fit, threads).build(
                {**settings, "source": source}
            )
            folder.with_suffix(".partial").rename(folder)
            store = _opened(folder)
    if store is None:
        raise InputError(
            f"Expected to read back the store '{folder}'. Received: damage. Clear the cache and run again."
        )
    return store


def facts(folder: Path) -> list[Fact]:
    """What each file of a store said about itself, in the order of the files."""
    with (folder / "rows.jsonl").open(encoding="ascii") as lines:
        return [Fact(*json.loads(line)) for line in lines]


def _opened(folder: Path) -> Store | None:
    try:
        found = facts(folder)
        images = np.load(folder / "images.npy", mmap_mode="r")  # refused if the file is shorter than its head says
    except (OSError, ValueError, TypeError):
        return None
    bad = {row: fact.reason for row, fact in enumerate(found) if fact.reason}
    rows = np.array([row for row in range(len(found)) if row not in bad], np.int64)
    return Store(images, rows, bad, folder) if len(images) == len(rows) else None


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    lock = FileLock(folder.with_suffix(".lock"))
    with bar("Waiting for another process that builds the same store", None):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _room_on(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"Expected to write the decoded images to '{cache}'. Received: {error.strerror or error}. "
            "Free some space, or give a cache folder elsewhere (cache=, --cache)."
        ) from error


@dataclass
class _Builder:
    folder: Path
    files: Sequence[Path]
    names: Sequence[str]
    known: Sequence[Content]
    size: tuple[int, int] | None
    fit: Fit
    threads: int
    shape: tuple[int, int] = (0, 0)  # (height, width) of every row

    def build(self, settings: Mapping[str, Any]) -> None:
        """Decode what is not there yet, then finish. A full disk or bad input leaves no folder."""
        self.folder.mkdir(exist_ok=True)
        try:
            with decoding.quiet():
                self.shape = self.size or self._first_size()
                self._finish(self._decode_rest(), settings)
        except (InputError, OSError) as error:
            if isinstance(error, InputError) or error.errno in FULL:
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _first_size(self) -> tuple[int, int]:
        for row in range(len(self.files)):
            fact, picture = self._decoded(row)
            if picture is not None:
                return fact.height, fact.width
        raise self._none_readable(self._decoded(0)[0].reason)

    def _offset(self, row: int) -> int:
        return HEAD + row * self.shape[0] * self.shape[1] * 3

    def _decode_rest(self) -> list[Fact]:
        """Rows are written in place by the threads that decode them, and journalled in order when they are there."""
        pixels = self.folder / "images.npy"
        pixels.touch()
        with (self.folder / "rows.jsonl").open("a+b") as journal, bar("Decoding", len(self.files)) as advance:
            done = self._resumed(journal, pixels.stat().st_size)
            advance(len(done))
            needed, free = self._offset(len(self.files) - len(done)), shutil.disk_usage(self.folder).free
            if needed > free:
                raise OSError(errno.ENOSPC, f"{free / 1e6:,.0f} MB free, {needed / 1e6:,.0f} MB needed")
            task = max(1, min(16, TASK_BYTES // (self._offset(1) - HEAD)))
            for piece in in_order(self._decode, chunks(len(self.files), task, start=len(done)), self.threads):
                journal.write(b"".join(json.dumps(fact).encode("ascii") + b"\n" for fact in piece))
                journal.flush()
                done += piece
                advance(len(piece))
        return done

    def _resumed(self, journal: IO[bytes], available: int) -> list[Fact]:
        """The facts of the rows that a killed build left whole; the journal is cut to them."""
        journal.seek(0)
        done: list[Fact] = []
        kept = 0
        for line in journal:
            if not line.endswith(b"\n") or self._offset(len(done) + 1) > available:
                break
            done.append(Fact(*json.loads(line)))
            kept += len(line)
        journal.truncate(kept)
        journal.seek(0, os.SEEK_END)
        return done

    def _decode(self, rows: range) -> list[Fact]:
        found = []
        with (self.folder / "images.npy").open("r+b", buffering=0) as file:
            file.seek(self._offset(rows.start))
            for row in rows:
                fact, picture = self._decoded(row)
                if picture is not None and picture.shape[:2] != self.shape:
                    raise self._sizes_differ(row, fact)
                file.write(bytes(self._offset(1) - HEAD) if picture is None else picture.data)
                found.append(fact)
        return found

    def _decoded(self, row: int) -> tuple[Fact, NDArray[np.uint8] | None]:
        """A file's facts and its pixels as three channels, or the reason alone."""
        path, known = self.files[row], self.known[row]
        if known.size < 0:
            return Fact(-1, reason=known.digest[1:]), None
        try:
            data = read_bytes(path)
            if (len(data), path.stat().st_mtime_ns) != (known.size, known.changed):
                raise OSError
        except (OSError, Unreadable):
            raise InputError(
                f"Expected files that stay as they are. Received: '{self.names[row]}' changed meanwhile. Run again."
            ) from None
        try:
            decoded = decode(data, self.size, self.fit)
        except Unreadable as error:
            return Fact(known.size, reason=str(error)), None
        pixels, header = decoded.pixels, decoded.header
        grey = pixels.shape[2] == 1 or _is_grey(pixels)
        fact = Fact(known.size, header.format, header.mode, header.width, header.height, grey)
        return fact, np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))

    def _none_readable(self, reason: str) -> InputError:
        return InputError(
            f"Expected images that can be read. Received: {len(self.files)} that cannot, such as "
            f"'{self.names[0]}': {reason}."
        )

    def _sizes_differ(self, row: int, fact: Fact) -> InputError:
        height, width = self.shape
        return InputError(
            f"Expected images of one size, or image_size (--image-size) to bring them to. Received: "
            f"{width} x {height}, and '{self.names[row]}' with {fact.width} x {fact.height}."
        )

    def _finish(self, found: list[Fact], settings: Mapping[str, Any]) -> None:
        """Drop the rows without a picture, and two channels if all are grey; then the array's head and the settings."""
        good = np.array([row for row, fact in enumerate(found) if not fact.reason], np.int64)
        if not len(good):
            raise self._none_readable(found[0].reason)
        channels = 1 if all(fact.grey for fact in found if not fact.reason) else 3
        path = self.folder / "images.npy"
        if channels == 1 or len(good) < len(found):
            rows = np.memmap(path, np.uint8, "r", HEAD, (len(found), *self.shape, 3))
            partial = path.with_suffix(".compact")
            with partial.open("wb") as file:
                file.write(bytes(HEAD))
                for piece in chunks(len(good), max(1, TASK_BYTES // (self._offset(1) - HEAD))):
                    kept = rows[good[piece.start : piece.stop], ..., :channels]
                    file.write(np.ascontiguousarray(kept).data)
            partial.replace(path)
        with path.open("r+b") as file:
            file.write(_head((len(good), *self.shape, channels)))
        (self.folder / "store.json").write_text(json.dumps(settings, indent=1), "ascii")


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    row = pixels[len(pixels) // 2]  # one row tells nearly always; all are looked at if it does not
    return all((part[..., 0] == part[..., channel]).all() for part in (row, pixels) for channel in (1, 2))


def _head(shape: tuple[int, ...]) -> bytes:
    """The first bytes of an .npy of uint8."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue().ljust(HEAD, b"\n")
