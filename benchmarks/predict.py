"""Labelling JPEGs with a saved hog_svm against decoding them alone, on as many threads: python benchmarks/predict.py.

Bare decoding is OpenCV's `imread` and `resize` to the model's size, by the area filter; what our own `decode` to that
size takes of it, at reduced scale where a JPEG is far larger, is told beside it. Sizes are a photograph's brought down
for a screen, of public sets, and a thumbnail's, which is the hard case: the features of 128 pixels cost as much as
before, and there is next to nothing to decode. Seconds of the processor hardly mind a shared machine.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

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


def opencv_all(paths: list[str], side: int) -> None:
    """Every file by OpenCV alone, squashed to the model's size."""

    def read(path: str) -> None:
        cv2.resize(cv2.imread(path), (side, side), interpolation=cv2.INTER_AREA)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(read, paths):
            pass


def seconds(work: Callable[[], object]) -> NDArray[np.float64]:
    """On the wall, and of the processor (all threads)."""
    start = np.array([time.perf_counter(), time.process_time()])
    work()
    return np.array([time.perf_counter(), time.process_time()]) - start


def compare(predictor: Predictor, distinct: list[str], files: int, rounds: int) -> None:
    """Print files a second of each way, and the ratio of medians of alternating rounds."""
    paths = (distinct * -(-files // len(distinct)))[:files]
    side = predictor.image_shape[0]
    ways: dict[str, Callable[[], object]] = {
        "OpenCV to size": lambda: opencv_all(paths, side),
        "our decode to size": lambda: decode_all(paths, side),
        "predict": lambda: sum(1 for _ in predictor.predict(paths)),
    }
    list(predictor.predict(paths[:600]))  # compiles
    told = [{name: seconds(way) for name, way in ways.items()} for _ in range(rounds)]
    middle = {name: np.median([each[name] for each in told], axis=0) for name in ways}
    for name, (wall, processor) in middle.items():
        print(
            f"  {name:18} {files / wall:8,.0f} files a second, {1e6 * processor / files:6,.0f} us of the processor each"
        )
    for name in ("OpenCV to size", "our decode to size"):
        wall, processor = middle[name] / middle["predict"]
        print(f"  predict against {name}: {wall:.2f} of its speed, {processor:.2f} by processor time", flush=True)


def main() -> None:
    """Each size of picture in its turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=128, help="pixels that the model sees")
    parser.add_argument(
        "--sizes", nargs="+", default=["1280x960", "640x480", "500x375", "160x120"], help="WIDTHxHEIGHT of the JPEGs"
    )
    told = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        predictor = saved_model(Path(folder), told.side)
        for size in told.sizes:
            width, height = map(int, size.split("x"))
            (Path(folder) / size).mkdir()
            distinct = made_photographs(Path(folder) / size, min(told.files, 1000), height, width)
            large = sum(os.path.getsize(path) for path in distinct) / len(distinct)
            print(
                f"{told.files} JPEGs of {size}, {large / 1e3:.0f} kB each; model of {told.side}; {os.cpu_count()} cores"
            )
            compare(predictor, distinct, told.files, told.rounds)


if __name__ == "__main__":
    main()
