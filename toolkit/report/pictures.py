"""Where a run's thumbnails come from: given images, those kept beside the run, or the files it was loaded from."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.decode import Unreadable, decode, quiet
from toolkit.report import thumbnails
from toolkit.report.gallery import by_interest, chapters
from toolkit.report.reading import Run

BUDGET = 3_600_000  # bytes of WebP in a page, 4.8 MB as text: a page stays below 8 MB
MOST_FILES = 1_500  # source files opened for one run


def wanted(run: Run) -> list[int]:
    """Rows of the test set whose pictures are wanted, the gallery first."""
    shown = [row for chapter in chapters(run) for row in chapter.rows]
    return list(dict.fromkeys([*shown, *by_interest(run).tolist()]))


def pictures(run: Run, images: Any, budget: int = BUDGET) -> dict[int, bytes]:
    """Row of the test set -> WebP, as many as `budget` bytes hold; empty where no source has them."""
    rows = wanted(run)
    if images is not None:
        thumbnails.check_thumbnail_source(images, len(run.labels))
        return thumbnails.encoded(images, rows, budget)
    kept = thumbnails.read(run.folder, len(run.labels))
    if kept:
        return within({row: kept[row] for row in rows if row in kept}, budget)
    return _from_files(run, rows[:MOST_FILES], budget)


def keep_pictures(run: Run, images: Any, budget: int = BUDGET) -> None:
    """Write thumbnails of the test images uint8 (N, H, W, C) beside the run, for reports to come."""
    thumbnails.check_thumbnail_source(images, len(run.labels))
    thumbnails.write(run.folder, thumbnails.encoded(images, wanted(run), budget))


def within(found: Mapping[int, bytes], budget: int) -> dict[int, bytes]:
    """The first of the pictures, as many as `budget` bytes hold."""
    ends = np.cumsum([len(webp) for webp in found.values()])
    return dict(list(found.items())[: int(np.searchsorted(ends, budget, side="right"))])


def _from_files(run: Run, rows: Iterable[int], budget: int) -> dict[int, bytes]:
    """Pictures from the folder that the run was loaded from, where it still is; unreadable files are left out."""
    root = Path(str(run.data.get("source", ""))).expanduser()
    found: dict[int, bytes] = {}
    if not root.is_dir():
        return found
    root, spent = root.resolve(), 0
    with quiet():
        for row in rows:
            path = (root / str(run.names[row])).resolve()
            if not path.is_relative_to(root) or not path.is_file():
                continue
            try:
                found[row] = thumbnails.encode(decode(path.read_bytes()).pixels)
            except (Unreadable, OSError):
                continue
            spent += len(found[row])
            if spent > budget:
                break
    return found
