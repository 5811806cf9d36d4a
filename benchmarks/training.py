"""Images a second of our training beside a bare keras.Model.fit of the same network, alternating in one process.

    python benchmarks/training.py [--networks cnn resnet20] [--rows 2048] [--rounds 5] [--precision bfloat16]

The peer is the same network of `toolkit.models`, compiled with the same optimiser, fed by `fit` itself from an array
with the same batch size, without augmentation. Ours are the same without augmentation, and with the default `light`.
Each round runs all of them for an epoch, after one that is not counted; the table holds medians, and the ratio to the
peer is the median of the rounds' ratios.
"""

import argparse
import dataclasses
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import keras
import numpy as np

from toolkit.models import MODELS
from toolkit.training import KerasClassifier, Recipe
from toolkit.training.losses import loss_of
from toolkit.training.optimizer import optimizer
from toolkit.training.phase import train
from toolkit.training.watch import Watch

SHAPE, CLASSES, BATCH = (28, 28, 1), 10, 64
NONE = np.zeros((0, *SHAPE), np.uint8), np.zeros(0, np.int64)


def bare(name: str, images: Any, labels: Any, recipe: Recipe) -> Callable[[], None]:
    """What a user of Keras would write."""
    network = MODELS[name](SHAPE, CLASSES)
    steps = -(-len(labels) // BATCH)
    network.compile(optimizer(recipe, steps), loss_of(recipe), metrics=["accuracy"])
    targets = np.eye(CLASSES, dtype=np.float32)[labels]
    return lambda: network.fit(images, targets, batch_size=BATCH, epochs=1, verbose=0)


def ours(name: str, images: Any, labels: Any, recipe: Recipe) -> Callable[[], None]:
    """What `KerasClassifier.fit` does after it has built the network, an epoch at a time."""
    from toolkit.training.classifier import _steps_at_once

    start = KerasClassifier(name, recipe, verbose=False).start(images, labels)
    batches = start.batches
    watch = Watch(recipe, *NONE, lambda done=1, note="": None)
    source = batches.dataset(lambda: watch.epoch)
    train(start.network, source, start.recipe, watch, steps=batches.steps, at_once=_steps_at_once(batches))
    return lambda: start.network.fit(source, epochs=1, verbose=0, callbacks=[watch], shuffle=False)


def seconds(run: Callable[[], None]) -> float:
    """Of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["cnn", "resnet20"])
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="", help="a third contestant: bfloat16, float16 or auto")
    told = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{platform.processor() or platform.machine()}, {cores} cores, Keras {keras.__version__}, ", end="")
    print(f"TensorFlow {version('tensorflow')}; {told.rows} images of 28 x 28 an epoch, batches of {BATCH}")
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (told.rows, *SHAPE), dtype=np.uint8)
    labels = np.arange(told.rows) % CLASSES
    plain = Recipe(epochs=1, batch_size=BATCH, augment="none", holdout=0.0)
    print(f"{'network':<12}{'training':<34}{'images/s':>10}{'ratio':>8}")
    for name in told.networks:
        runs = {
            "bare keras.Model.fit": bare(name, images, labels, plain),
            "ours": ours(name, images, labels, plain),
            "ours, augmented lightly": ours(name, images, labels, dataclasses.replace(plain, augment="light")),
        }
        if told.precision:
            mixed = dataclasses.replace(plain, precision=told.precision)
            runs[f"ours, {told.precision}"] = ours(name, images, labels, mixed)
        for run in runs.values():
            run()
        times = np.array([[seconds(run) for run in runs.values()] for _ in range(told.rounds)])
        for column, label in enumerate(runs):
            rate, ratio = told.rows / np.median(times[:, column]), np.median(times[:, 0] / times[:, column])
            print(f"{name:<12}{label:<34}{rate:>10,.0f}{ratio:>8.2f}")


if __name__ == "__main__":
    main()
