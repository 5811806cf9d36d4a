"""Labelling JPEGs with a saved hog_svm against decoding them alone, on as many threads: python benchmarks/predict.py.

Both decode by `toolkit.data.decode` to the model's size; OpenCV's bare decoding at full size is told beside it.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

import toolkit
from baselines import hog_svm
from toolkit.data.decode import decode
from toolkit.prediction import Predictor


def made_photographs(folder: Path, count: int, height: int, width: int) -> list[str]:
    """JPEGs of soft shapes and some grain, about as large as photographs of that size are."""
    generator = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = generator.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        soft = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        grain = cv2.resize(generator.normal(0, 25, (height // 2, width // 2, 1)).astype(np.float32), (width, height))
        pixels = np.clip(soft + grain[..., None], 0, 255).astype(np.uint8)
        paths.append(str(folder / f"{number:05d}.jpg"))
        cv2.imwrite(paths[-1], pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return paths


def saved_model(folder: Path, side: int) -> Predictor:
    """A hog_svm of 1,000 made-up pictures in ten classes."""
    generator = np.random.default_rng(1)
    labels = np.arange(1000) % 10
    own = generator.integers(80, 170, (10, side, side, 3))
    images = np.clip(own[labels] + generator.normal(0, 40, (1000, side, side, 3)), 0, 255).astype(np.uint8)
    model = toolkit.save(hog_svm().fit(images, labels), folder / "model")
    return Predictor.of(toolkit.load_model(model), toolkit.read_card(model))


def decode_all(paths: list[str], side: int) -> None:
    """Every file to the model's size; nothing is kept."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda path: decode(Path(path).read_bytes(), (side, side)), paths, chunksize=16):
            pass


def opencv_all(paths: list[str]) -> None:
    """Every file as it is, by OpenCV alone."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(cv2.imread, paths):
            pass


def seconds(work: Callable[[], object]) -> float:
    """Wall time."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print files a second of each way, and the ratio of medians of alternating rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=128, help="pixels that the model sees")
    parser.add_argument("--height", type=int, default=375)
    parser.add_argument("--width", type=int, default=500)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        predictor = saved_model(Path(folder), told.side)
        distinct = made_photographs(Path(folder), min(told.files, 1000), told.height, told.width)
        paths = (distinct * -(-told.files // len(distinct)))[: told.files]
        ways: dict[str, Callable[[], object]] = {
            "decode to size": lambda: decode_all(paths, told.side),
            "OpenCV, full size": lambda: opencv_all(paths),
            "predict": lambda: sum(1 for _ in predictor.predict(paths)),
        }
        list(predictor.predict(paths[:600]))  # compiles
        cv2.setNumThreads(1)
        rounds = [{name: seconds(way) for name, way in ways.items()} for _ in range(told.rounds)]
        size = sum(os.path.getsize(path) for path in distinct) / len(distinct)
        print(f"{told.files} JPEGs of {told.width} x {told.height}, {size / 1e3:.0f} kB each; {os.cpu_count()} cores")
        middle = {name: statistics.median(each[name] for each in rounds) for name in ways}
        for name, wall in middle.items():
            print(f"{name:18} {told.files / wall:8,.0f} files a second")
        for name in ("decode to size", "OpenCV, full size"):
            print(f"predict against {name}: {middle[name] / middle['predict']:.2f} of its speed")


if __name__ == "__main__":
    main()
