"""What files hold, as SHA-256, remembered by size and time of change, so that a set is read once. No pixels here."""

import hashlib
import json
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from toolkit.data.decode import Unreadable
from toolkit.progress import bar

MAX_BYTES = 512 * 2**20  # of one file: more is no picture, and would not fit beside the others
Piece = TypeVar("Piece")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Content:
    """One file as it was when it was read."""

    digest: str  # SHA-256, or "!" and the reason why it cannot be read
    size: int = -1
    changed: int = -1  # nanoseconds, as the file system counts


def in_order(
    work: Callable[[Piece], Result], pieces: Iterable[Piece], threads: int, ahead: int | None = None
) -> Iterator[Result]:
    """`map` over threads, results in order, with a few pieces `ahead` (two a thread) and no more, so that memory stays
    bounded.
    """
    ahead = 2 * threads if ahead is None else ahead
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Result]] = deque()
    try:
        for piece in pieces:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def chunks(rows: int, size: int, start: int = 0) -> Iterator[range]:
    """The rows from `start` on, in ranges of at most `size`: one task for many small files costs less than many."""
    for first in range(start, rows, size):
        yield range(first, min(rows, first + size))


def release(array: object) -> None:
    """Let go of a memory map's pages that were read: the system keeps them cached, but they count as ours no more."""
    mapping = getattr(array, "_mmap", None)
    if isinstance(mapping, mmap.mmap) and hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)


def read_bytes(path: Path) -> bytes:
    """A file's content, or `Unreadable` when it is gone, forbidden or far too large."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise Unreadable(f"a file of {size:,} bytes, more than the {MAX_BYTES:,} allowed")
            return file.readall()
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error


def contents(files: Sequence[Path], cache: Path, threads: int) -> list[Content]:
    """The content of each file. What has the size and time of change of the last call is not read again."""
    root = Path(os.path.commonpath([path.absolute() for path in files])) if files else Path()
    index = cache / "contents" / (hashlib.sha256(os.fsencode(root)).hexdigest()[:32] + ".json")
    known = _read_index(index)
    found: list[Content] = []

    def look(rows: range) -> list[Content]:
        return [_content(files[row], known.get(str(files[row]))) for row in rows]

    with bar("Reading", len(files)) as advance:
        for piece in in_order(look, chunks(len(files), 32), threads):
            found += piece
            advance(len(piece))
    entries = {str(path): content for path, content in zip(files, found, strict=True) if content.size >= 0}
    if entries != known:
        _write_index(index, entries)
    return found


def _content(path: Path, known: Content | None) -> Content:
    try:
        status = path.stat()
        if known is not None and (known.size, known.changed) == (status.st_size, status.st_mtime_ns):
            return known
        return Content(hashlib.sha256(read_bytes(path)).hexdigest(), status.st_size, status.st_mtime_ns)
    except OSError as error:
        return Content("!" + (error.strerror or str(error)))
    except Unreadable as error:
        return Content("!" + str(error))


def _read_index(path: Path) -> dict[str, Content]:
    try:
        entries = json.loads(path.read_text("ascii"))
        return {name: Content(*values) for name, values in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # an index only saves time


def _write_index(path: Path, entries: dict[str, Content]) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({name: [c.digest, c.size, c.changed] for name, c in entries.items()}), "ascii")
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
