"""How fast images are fed and augmented, as ratios against peers in the same run: python benchmarks/pipeline.py

It measures images a second at 224 pixels on two threads, the median of five rounds in which the peers take turns:
1. from a memory map against decoding JPEGs with tf.data in each epoch: photographs of 448 and of 256 pixels, brought
   to 224, and photographs that have 224 already;
2. flip + rotation + zoom + translation against the four Keras layers in tf.data, and albumentations where installed;
3. the policy `strong` against keras.layers.RandAugment.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from skimage import data

from toolkit.pipeline import Batches, Policy

SIDE, BATCH, THREADS, ROUNDS = 224, 64, 2, 5
SIDES = (448, 256, SIDE)  # of the JPEGs; those of 224 need no resizing, the best case for decoding
GEOMETRY = Policy(flip_horizontal=0.5, rotation=20, zoom=0.2, translation=0.1)


def photograph(number: int, side: int) -> NDArray[np.uint8]:
    """uint8 (side, side, 3): a crop of one of scikit-image's bundled photographs, another for each number.

    At 224 pixels the detail is the camera's; for 448 most of them have to be enlarged, which makes their JPEGs smaller
    and quicker to decode than real ones.
    """
    generator = np.random.default_rng(number)
    picture = (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())[number % 4]
    factor = max(1.0, (side + 32) / min(picture.shape[:2]))
    picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_LANCZOS4)
    top, left = (int(generator.integers(0, length - side)) for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def write_files(folder: Path, count: int) -> NDArray[np.uint8]:
    """Write a folder of JPEGs for each of `SIDES`; return those of 224 pixels, uint8 (count, 224, 224, 3)."""
    for side in SIDES:
        (folder / str(side)).mkdir()
        for number in range(count):
            path = str(folder / str(side) / f"{number:06d}.jpg")
            cv2.imwrite(path, photograph(number, side)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return np.stack([photograph(number, SIDE) for number in range(count)])


def rate(make: Callable[[], Any]) -> float:
    """Images a second of one pass over a data set."""
    start, seen = time.perf_counter(), 0
    for batch in make():
        seen += int(batch[0].shape[0])
    return seen / (time.perf_counter() - start)


def ours(images: Any, labels: NDArray[np.int64], policy: str | Policy) -> Callable[[], Any]:
    """Our pipeline, an epoch a call."""
    dataset = Batches(images, labels, BATCH, policy).dataset(threads=THREADS)
    return lambda: dataset


def decoding(folder: Path, labels: NDArray[np.int64]) -> Callable[[], Any]:
    """The usual tf.data pipeline: read and decode each file in each epoch."""
    paths = sorted(str(path) for path in folder.glob("*.jpg"))

    def read(path: Any, label: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return (image if folder.name == str(SIDE) else tf.image.resize(image, (SIDE, SIDE))), label

    dataset = tf.data.Dataset.from_tensor_slices((paths, labels)).shuffle(len(paths))
    dataset = dataset.map(read, num_parallel_calls=THREADS).batch(BATCH).prefetch(2)
    return lambda: dataset


def keras_layers(images: NDArray[np.uint8], labels: NDArray[np.int64], layers: list[Any]) -> Callable[[], Any]:
    """Keras' own augmentation where its guide puts it on a CPU: in tf.data, a batch at a time."""
    stack = keras.Sequential(layers)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images)).batch(BATCH)
    dataset = dataset.map(lambda x, y: (stack(x, training=True), y), num_parallel_calls=THREADS).prefetch(2)
    return lambda: dataset


def albumentations(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Callable[[], Any]:
    """Flip and one affine map an image, fed as ours is."""
    import albumentations as peer

    turn = peer.Affine(scale=(1 / 1.2, 1.2), translate_percent=(-0.1, 0.1), rotate=(-20, 20), p=1.0)
    compose = peer.Compose([peer.HorizontalFlip(p=0.5), turn])

    def make(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.stack([compose(image=images[row])["image"] for row in rows])

    rows = tf.data.Dataset.range(len(images)).shuffle(len(images)).batch(BATCH)
    dataset = rows.map(lambda r: (tf.numpy_function(make, [r], tf.uint8), r), num_parallel_calls=THREADS).prefetch(2)
    return lambda: dataset


def compare(title: str, contenders: dict[str, Callable[[], Any]], goal: float) -> None:
    """Print the median images a second of each, and the median ratio of the first to each other one."""
    rounds = [{name: rate(make) for name, make in contenders.items()} for _ in range(ROUNDS + 1)][1:]  # one warms up
    first = next(iter(contenders))
    print(f"\n{title} (goal: {goal:g} times the second)")
    for name in contenders:
        ratios = np.array([one[first] / one[name] for one in rounds])
        speed = np.median([one[name] for one in rounds])
        spread = f"{np.median(ratios):8.2f} x ({ratios.min():.2f}..{ratios.max():.2f})"
        print(f"  {name:44s} {speed:10,.0f} images/s {spread}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1024)
    count = parser.parse_args().images
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    labels = np.arange(count) % 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = write_files(folder, count)
        np.save(folder / "images.npy", images)
        stored = np.load(folder / "images.npy", mmap_mode="r")
        feeds = {"memory map": ours(stored, labels, "none")}
        feeds |= {f"tf.data, JPEGs of {side} pixels": decoding(folder / str(side), labels) for side in SIDES}
        compare("Feeding, no augmentation", feeds, 10)
        four = [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(20 / 360),
            keras.layers.RandomZoom(0.2),
            keras.layers.RandomTranslation(0.1, 0.1),
        ]
        geometry = {
            "one warpAffine": ours(stored, labels, GEOMETRY),
            "four Keras layers": keras_layers(images, labels, four),
        }
        if importlib.util.find_spec("albumentations"):
            geometry["albumentations"] = albumentations(images, labels)
        compare("Flip, rotation, zoom, translation", geometry, 12)
        strong = {"strong": ours(stored, labels, "strong")}
        part = slice(0, min(count, 4 * BATCH))  # it is slow
        peer = keras.layers.RandAugment(value_range=(0, 255))
        strong["keras.layers.RandAugment"] = keras_layers(images[part], labels[part], [peer])
        compare("Strong", strong, 20)


if __name__ == "__main__":
    main()
