"""How fast HOG and LBP are beside scikit-image (and OpenCV 4, where it is installed), side by side in one run.

    python benchmarks/features.py [--sizes 28 64 128 224] [--rounds 7]

Images are crops of the photographs that come with scikit-image. Every round times each contestant once; the table shows
medians. Our LBP makes the codes (8, 1) uniform and a 4 x 4 grid of their histograms, scikit-image's the codes alone.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray
from skimage import data
from skimage.feature import hog, local_binary_pattern

from baselines.hog import hog_features
from baselines.lbp import lbp_features

Timed = Callable[[], Any]


def photographs(size: int, count: int) -> NDArray[np.uint8]:
    """Crops, uint8 (count, size, size, 1)."""
    sources = [data.camera(), data.brick(), data.grass(), data.gravel()]
    random = np.random.default_rng(0)
    corners = random.integers(0, 512 - size, (count, 2))
    crops = [sources[i % 4][row : row + size, column : column + size] for i, (row, column) in enumerate(corners)]
    return np.stack(crops)[..., None]


def seconds(function: Timed) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def opencv_hog(images: NDArray[np.uint8]) -> Timed | None:
    """OpenCV 4's descriptor with scikit-image's default cells and blocks on all cores; OpenCV 5 has none."""
    if not hasattr(cv2, "HOGDescriptor"):
        return None
    side = images.shape[1] // 8 * 8
    descriptors = [cv2.HOGDescriptor((side, side), (24, 24), (8, 8), (8, 8), 9) for _ in range(os.cpu_count() or 1)]
    parts = np.array_split(images[:, :side, :side, 0], len(descriptors))

    def compute(descriptor: Any, part: NDArray[np.uint8]) -> None:
        for image in part:
            descriptor.compute(np.ascontiguousarray(image))

    def run() -> None:
        with ThreadPoolExecutor(len(descriptors)) as pool:
            list(pool.map(compute, descriptors, parts))

    return run


def measure(size: int, rounds: int) -> list[str]:
    """Lines of the table for one size."""
    images = photographs(size, count=max(512, 2**23 // size**2))
    few = images[: max(16, 2**18 // size**2), ..., 0]
    peers: dict[str, dict[str, tuple[Timed, int]]] = {
        "HOG": {
            "ours": (lambda: hog_features(images), len(images)),
            "scikit-image": (lambda: [hog(image) for image in few], len(few)),
        },
        "LBP": {
            "ours": (lambda: lbp_features(images, 8, 1, "uniform", (4, 4)), len(images)),
            "scikit-image": (lambda: [local_binary_pattern(image, 8, 1, "uniform") for image in few], len(few)),
        },
    }
    opencv = opencv_hog(images)
    if opencv:
        peers["HOG"]["OpenCV"] = (opencv, len(images))
    lines = []
    for feature, contestants in peers.items():
        contestants["ours"][0]()  # compiles
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, (function, count) in contestants.items():
                times[name].append(seconds(function) / count * 1e6)
        ours = np.array(times.pop("ours"))
        line = f"{feature}  {size:4d}  {ours.min():9.1f}"
        for name, peer in times.items():
            ratios = np.array(peer) / ours
            times_faster = f"{min(peer) / ours.min():5.1f} times ({ratios.min():.1f}..{ratios.max():.1f})"
            line += f"  {name} {min(peer):9.1f} = {times_faster}"
        lines.append(line)
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[28, 64, 128, 224], help="pixels along a side")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    names = ("keras", keras.backend.backend(), "scikit-image", "opencv-python-headless", "numpy")
    print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()},")
    print(", ".join(f"{name} {version(name)}" for name in names))
    if not hasattr(cv2, "HOGDescriptor"):
        print("This OpenCV has no HOGDescriptor (OpenCV 5 dropped it): its column is left out.")
    print("\nfeature  pixels  microseconds an image, ours and others'")
    for size in arguments.sizes:
        print("\n".join(measure(size, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
