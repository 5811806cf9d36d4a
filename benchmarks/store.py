"""The decode-once store against bare OpenCV on as many threads: python benchmarks/store.py FOLDER."""

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from toolkit.data.store import open_store

THREADS, SIZE, ROUNDS = 2, 224, 5


def bare(path: Path) -> None:
    """What a loop over OpenCV does at least."""
    cv2.resize(cv2.imread(str(path), cv2.IMREAD_COLOR), (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def bare_all(files: list[Path]) -> None:
    """All files on two threads; nothing is kept."""
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(bare, files):
            pass


def store_all(files: list[Path], cache: Path) -> None:
    """The store built and opened in an empty cache."""
    open_store(files, [path.name for path in files], (SIZE, SIZE), "squash", cache, threads=THREADS)


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def main(folder: Path) -> None:
    """Print images a second of both, and the median ratio over alternating rounds."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    rounds = []
    for _ in range(ROUNDS + 1):
        with tempfile.TemporaryDirectory() as cache:
            rounds.append((seconds(lambda: bare_all(files)), seconds(lambda: store_all(files, Path(cache)))))
    print(f"{len(files)} files to {SIZE} x {SIZE}, {THREADS} threads, {ROUNDS} rounds after one to warm up")
    for number, clock in enumerate(("wall", "processor")):
        peer, ours = (np.array([pair[side][number] for pair in rounds[1:]]) for side in (0, 1))
        ratio, rates = peer / ours, [len(files) / np.median(side) for side in (peer, ours)]
        print(f"{clock}: bare OpenCV {rates[0]:.0f} images/s, store {rates[1]:.0f}; ", end="")
        print(f"ratio {np.median(ratio):.2f} ({ratio.min():.2f}..{ratio.max():.2f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
