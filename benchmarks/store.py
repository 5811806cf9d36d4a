"""The decode-once store against bare OpenCV on as many threads: python benchmarks/store.py [FOLDER].

Without a folder, 200 JPEGs of 1,280 x 960 pixels made from scikit-image's photographs: far larger than the target.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from skimage import data

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


def made(folder: Path, count: int = 200) -> Path:
    """Write JPEGs of 1,280 x 960 pixels, each another crop of an enlarged photograph; return their folder."""
    for number in range(count):
        picture = cv2.resize((data.astronaut(), data.coffee(), data.rocket())[number % 3], (1400, 1050))
        top, left = number % 90, number % 120
        cut = picture[top : top + 960, left : left + 1280, ::-1]
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), cut, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return folder


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
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as place:
            main(made(Path(place)))
