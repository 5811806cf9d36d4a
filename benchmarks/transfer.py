"""Pretrained backbones: how right they are, what a new head costs, and how fast a forward pass is.

    python benchmarks/transfer.py accuracy DATA --weights mobilenet_v2=PATH deit_tiny=PATH [--names cnn ...] [--folds 5]
    python benchmarks/transfer.py head [--weights mobilenet_v2=PATH] [--images 800] [--epochs 10] [--rounds 3]
    python benchmarks/transfer.py forward [--names resnet50 inception_v3 mobilenet_v2 deit_tiny] [--images 64]
    python benchmarks/transfer.py engines DATA --weights mobilenet_v2=PATH deit_tiny=PATH

`accuracy` prints the share right over all rows of a folder, each judged by a network that has not seen it, frozen and
fine-tuned, with Wilson's interval. `head` prints the cost of so many epochs on the head in forward passes over the same
images, a tenth of them held back and the head solved at the end, ours against the Keras guide's way (the frozen
backbone inside the model that is fitted), in one process.
`forward` prints images a second of TensorFlow in float32 and bfloat16, of OpenVINO, and of timm on PyTorch if they are
installed, medians of alternating runs. Weights are random where none are named: speed does not depend on them.
`engines` fits a head on half of a folder's images and prints how far the other half's answers by OpenVINO are from
those by Keras.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.model_selection import StratifiedKFold

from toolkit.data import load
from toolkit.evaluation.intervals import wilson
from toolkit.models import MODELS, feature_extractor, transfer
from toolkit.models.backbones import BACKBONES
from toolkit.pipeline import Batches, Subset
from toolkit.training import KerasClassifier, Recipe
from toolkit.training.engine import OpenVino
from toolkit.training.frozen import train_head
from toolkit.training.holdout import stratified_holdout
from toolkit.training.inference import logits
from toolkit.training.precision import computing

TIMM = {"resnet50": "resnet50", "inception_v3": "inception_v3", "mobilenet_v2": "mobilenetv2_100"}
TIMM |= {"deit_tiny": "deit_tiny_patch16_224", "vit_base_16": "vit_base_patch16_224"}


def seconds(run: Callable[[], Any]) -> float:
    """Of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def everything(told: argparse.Namespace) -> tuple[Any, Any]:
    """All images and labels of the folder."""
    dataset = load(told.data, told.size, cache=told.cache)
    parts = [part for part in (dataset.train, dataset.validation, dataset.test) if len(part.labels)]
    images = np.concatenate([np.asarray(part.images[np.arange(len(part.labels))]) for part in parts])
    return images, np.concatenate([part.labels for part in parts])


def engines(told: argparse.Namespace) -> None:
    """What OpenVINO changes."""
    images, labels = everything(told)
    learned = np.random.default_rng(told.seed).permutation(len(labels)) < len(labels) // 2
    print(f"{learned.sum()} images learned from, {(~learned).sum()} judged")
    for name, path in (text.split("=", 1) for text in told.weights):
        recipe = Recipe(epochs=told.epochs)
        model = KerasClassifier(name, recipe, seed=told.seed, options={"weights": path}, feature_cache=told.cache)
        plain = model.fit(images[learned], labels[learned]).predict_proba(images[~learned])
        model.engine = "openvino"
        other = model.predict_proba(images[~learned])
        right = [(answer.argmax(axis=1) == labels[~learned]).mean() for answer in (plain, other)]
        same = (plain.argmax(axis=1) == other.argmax(axis=1)).mean()
        print(
            f"{name:<16}accuracy {right[0]:.4f} by Keras in float32, {right[1]:.4f} by OpenVINO; "
            f"same labels {same:.2%}, largest difference of a probability {np.abs(plain - other).max():.4f}",
            flush=True,
        )


def accuracy(told: argparse.Namespace) -> None:
    """The table of the folds."""
    images, labels = everything(told)
    weights = dict(text.split("=", 1) for text in told.weights)
    recipes = {"frozen": Recipe(epochs=told.epochs), "fine-tuned": Recipe(epochs=told.epochs, unfreeze=told.unfreeze)}
    print(f"{len(labels)} images, {told.folds} folds, seed {told.seed}")
    for name in [*weights, *told.names]:
        options = {"weights": weights[name]} if name in weights else {}
        if options:
            options |= {"pooling": told.pooling} if told.pooling else {}
            options |= {"mirror": True} if told.mirror else {}
        for label, recipe in recipes.items() if options else [("from scratch", Recipe(epochs=told.epochs))]:
            if label not in told.ways:
                continue
            right = np.zeros(len(labels), bool)
            start = time.perf_counter()
            for train, test in StratifiedKFold(told.folds, shuffle=True, random_state=told.seed).split(labels, labels):
                model = KerasClassifier(
                    name, recipe, seed=told.seed, options=options, engine=told.engine, feature_cache=told.cache
                )
                right[test] = model.fit(images[train], labels[train]).predict(images[test]) == labels[test]
            share, took = wilson(int(right.sum()), len(right)), time.perf_counter() - start
            print(
                f"{name:<16}{label:<14}{share.value:.4f} ({share.low:.4f}..{share.high:.4f}) {took:6.0f} s", flush=True
            )


def head(told: argparse.Namespace) -> None:
    """Epochs on the head, in forward passes."""
    name, _, path = told.weights[0].partition("=") if told.weights else ("mobilenet_v2", "", "")
    shape, size = (224, 224, 3), {"size": BACKBONES[name].size}
    images = np.random.default_rng(0).integers(0, 256, (told.images, *shape), dtype=np.uint8)
    labels = np.arange(told.images) % 5
    given = {"weights": path} if path else size
    recipe = Recipe(epochs=told.epochs, patience=told.epochs, augment="none")
    rows, back = stratified_holdout(labels, recipe.holdout, 0)
    batches, held = Batches(Subset(images, rows), labels[rows], 32), (Subset(images, back), labels[back])

    ours, theirs = (transfer(name, shape, 5, **given) for _ in range(2))
    for layer in theirs.layers[: [layer.name for layer in theirs.layers].index("features") + 1]:
        layer.trainable = False

    def guide() -> None:
        theirs.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        theirs.fit(images, labels, batch_size=32, epochs=told.epochs, verbose=0)

    runs = {  # each traces its functions anew
        "one forward pass": lambda: logits(feature_extractor(ours), images),
        f"{told.epochs} epochs, ours": lambda: train_head(ours, recipe, batches, *held, False),
        f"{told.epochs} epochs, the Keras guide's": guide,
    }
    logits(feature_extractor(ours), images[:32])
    times = np.array([[seconds(run) for run in runs.values()] for _ in range(told.rounds)])
    print(f"{name}, {told.images} images of 224 x 224")
    for column, label in enumerate(runs):
        ratio = np.median(times[:, column] / times[:, 0])
        print(f"{label:<34}{np.median(times[:, column]):8.2f} s {ratio:6.2f} forward passes")


def forward(told: argparse.Namespace) -> None:
    """Images a second."""
    for name in told.names or ["resnet50", "inception_v3", "mobilenet_v2", "deit_tiny"]:
        size = BACKBONES[name].size
        images = np.random.default_rng(0).integers(0, 256, (told.images, size, size, 3), dtype=np.uint8)
        plain = feature_extractor(MODELS[name]((size, size, 3), 5, size=size))
        with computing("bfloat16"):
            mixed = feature_extractor(MODELS[name]((size, size, 3), 5, size=size))
        runs: dict[str, Callable[[], Any]] = {
            "TensorFlow, float32": lambda plain=plain, images=images: logits(plain, images),
            "TensorFlow, bfloat16": lambda mixed=mixed, images=images: logits(mixed, images),
        }
        if importlib.util.find_spec("openvino"):
            compiled = OpenVino(plain)
            runs["OpenVINO"] = lambda compiled=compiled, images=images: logits(compiled, images)
        if importlib.util.find_spec("timm"):
            runs["timm, bfloat16"] = _timm(TIMM[name], images)
        for run in runs.values():
            run()
        times = np.array([[seconds(run) for run in runs.values()] for _ in range(told.rounds)])
        for column, label in enumerate(runs):
            rate, ratio = told.images / np.median(times[:, column]), np.median(times[:, 0] / times[:, column])
            print(f"{name:<16}{label:<24}{rate:8.1f} images/s {ratio:6.2f}", flush=True)


def _timm(name: str, images: Any) -> Callable[[], Any]:
    import timm
    import torch

    network = timm.create_model(name, pretrained=False, num_classes=0).eval().to(torch.bfloat16)
    network = network.to(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode():
            for start in range(0, len(images), 16):
                batch = torch.from_numpy(images[start : start + 16]).permute(0, 3, 1, 2).to(torch.bfloat16)
                network(batch / 127.5 - 1)

    return run


def main() -> None:
    """Choose and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("accuracy", "head", "forward", "engines"), default="head")
    parser.add_argument("data", nargs="?", help="of `accuracy` and `engines`: a folder of class folders")
    parser.add_argument("--weights", nargs="+", default=[], metavar="NAME=PATH")
    parser.add_argument("--names", nargs="+", default=[])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--ways", nargs="+", default=["frozen", "fine-tuned", "from scratch"])
    parser.add_argument("--unfreeze", type=float, default=0.3)
    parser.add_argument("--size", type=int, default=None, help="pixels that images are brought to")
    parser.add_argument("--pooling", default="", help="of the pretrained: average, root, maximum, token")
    parser.add_argument("--mirror", action="store_true", help="features of an image and its mirror image, averaged")
    parser.add_argument("--engine", default="keras")
    parser.add_argument("--cache", type=Path, default=None, help="folder of decoded images and features")
    parser.add_argument("--images", type=int, default=None, help="800 of `head`, 64 of `forward`")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    if told.what in ("accuracy", "engines") and not told.data:
        parser.error(f"{told.what} needs DATA, a folder of class folders")
    if told.what == "head":
        told.epochs = told.epochs or 10
    told.images = told.images or (800 if told.what == "head" else 64)
    {"accuracy": accuracy, "head": head, "forward": forward, "engines": engines}[told.what](told)


if __name__ == "__main__":
    main()
