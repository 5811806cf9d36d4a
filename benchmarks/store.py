"""The decode-once store against bare OpenCV on as many threads: python benchmarks/store.py FOLDER."""

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from toolkit.data.store import open_store

THREADS, SIZE, ROUNDS = 2, 224, 5


def bare(path: Path) -> None:
    """What a loop over OpenCV does at least."""
    cv2.resize(cv2.imread(str(path), cv2.IMREAD_COLOR), (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def bare_seconds(files: list[Path]) -> float:
    """Seconds for all files on two threads; nothing is kept."""
    cv2.setNumThreads(1)
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(bare, files):
            pass
    return time.perf_counter() - start


def store_seconds(files: list[Path]) -> float:
    """Seconds to build and open the store in an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        open_store(files, [path.name for path in files], (SIZE, SIZE), "squash", Path(cache), threads=THREADS)
        return time.perf_counter() - start


def main(folder: Path) -> None:
    """Print images a second of both, and the median ratio over alternating rounds."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    bare_seconds(files[:100])
    store_seconds(files[:100])
    pairs = [(bare_seconds(files), store_seconds(files)) for _ in range(ROUNDS)]
    ratios = [one / other for one, other in pairs]
    rates = [len(files) / np.median([pair[side] for pair in pairs]) for side in (0, 1)]
    print(f"{len(files)} files to {SIZE} x {SIZE}, {THREADS} threads, {ROUNDS} rounds")
    print(f"bare OpenCV {rates[0]:.0f} images/s, store {rates[1]:.0f} images/s")
    print(f"ratio {np.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
