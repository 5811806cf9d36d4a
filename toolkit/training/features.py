"""What a frozen backbone makes of images, computed once: in memory, or kept in a folder. It knows no head.

The file's name is a digest of all that the features depend on (weights, layers, pixels, passes, augmentation, seed), so
that a search, or the same command again, finds them, and nothing else does.
"""

import dataclasses
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.pipeline import Batches
from toolkit.pipeline.batches import Images, stepped
from toolkit.progress import Advance
from toolkit.training.engine import running
from toolkit.training.inference import logits, rows_at_once

Floats = NDArray[np.float32]
Parts = tuple[Floats, ...]
ROWS = 256  # whose pixels are digested at once


@dataclass(frozen=True)
class Forward:
    """How a frozen network is run, and where its features are kept: None keeps them in memory, for one fit."""

    engine: str = "keras"  # a name in `engine.ENGINES`
    folder: Path | None = None


class Features:
    """The features of one network, which may be compiled by another engine when the first ones are to be made."""

    def __init__(self, extractor: Any, forward: Forward) -> None:
        """`extractor` is (B, H, W, C) 0..255 -> float32 (B, D)."""
        self.extractor, self.forward = extractor, forward

    def training(self, batches: Batches, passes: int, advance: Advance) -> tuple[Floats, Floats]:
        """Features float32 (P, N, D) and targets (P, N, K) of the training rows, in their own order.

        One pass takes the images as they are; several take each time newly augmented ones, whose targets may be mixed.
        """
        told: dict[str, Any] = {"labels": _digest([batches.labels]), "classes": batches.classes, "passes": passes}
        if passes > 1:
            told |= {"policy": dataclasses.asdict(batches.policy), "seed": batches.seed}
        parts = self._kept(batches.images, told, lambda: self._passes(batches, passes, advance))
        return parts[0], parts[1]

    def plain(self, images: Images) -> Floats:
        """Features float32 (M, D) of images as they are."""
        return self._kept(images, {}, lambda: (logits(self._running, images),))[0]

    @cached_property
    def _running(self) -> Any:
        return running(self.extractor, self.forward.engine)

    def _kept(self, images: Images, told: Mapping[str, Any], make: Callable[[], Parts]) -> Parts:
        """What `make` returns, or returned before for the same network, images and `told`."""
        folder = self.forward.folder
        if folder is None or not images.shape[0]:
            return make()
        identity = {**told, "engine": self.forward.engine, "images": _images_digest(images)}
        identity["network"] = _network_digest(self.extractor)
        path = folder / f"features-{hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as stored:
                return tuple(stored[name] for name in sorted(stored.files))
        made = make()
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, **{f"part{number}": part for number, part in enumerate(made)})
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return made

    def _passes(self, batches: Batches, passes: int, advance: Advance) -> Parts:
        size = rows_at_once(batches.images.shape)
        policy = batches.policy if passes > 1 else "none"
        source = Batches(batches.images, batches.labels, size, policy, seed=batches.seed)
        rows = len(batches.labels)
        features = np.empty((passes, rows, self.extractor.output_shape[-1]), np.float32)
        targets = np.empty((passes, rows, batches.classes), np.float32)
        for number in range(passes):
            for step in range(source.steps):
                chosen = source.order(number)[step * size : (step + 1) * size]
                images, shares = source.batch(number, step)
                features[number, chosen] = logits(self._running, images)
                targets[number, chosen] = shares
                advance(len(chosen), f"pass {number + 1}/{passes}")
        return features, targets


def _digest(arrays: Any) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _images_digest(images: Images) -> str:
    rows = np.arange(images.shape[0])
    return _digest(images[rows[start : start + ROWS]] for start in range(0, len(rows), ROWS))


def _network_digest(extractor: Any) -> str:
    """Of all weights and of every layer's settings but its name, which Keras counts on through a process."""
    layers = [(type(layer).__name__, {**layer.get_config(), "name": ""}) for layer in extractor.layers]
    return f"{_digest(extractor.get_weights())}{hashlib.sha256(json.dumps(layers, default=str).encode()).hexdigest()}"


class FeatureBatches:
    """Batches of features, in the order that `batches` has; an epoch takes one pass, the next epoch the next."""

    def __init__(self, batches: Batches, features: Floats, targets: Floats, epoch: Callable[[], int]) -> None:
        """Features (P, N, D) and targets (P, N, K) of the rows of `batches`; `epoch` says which one is running."""
        self.batches, self.features, self.targets, self.epoch = batches, features, targets, epoch

    def dataset(self) -> Any:
        """One epoch as a `tf.data.Dataset`; every pass asks anew which epoch this is."""
        specs = [("float32", self.features.shape[2:]), ("float32", self.targets.shape[2:])]
        specs += [("float32", ())] * (self.batches.class_weight is not None)
        return stepped(self.batch, self.batches.steps, specs)

    def batch(self, step: int) -> tuple[Floats, ...]:
        """Features (B, D), targets (B, K), and weights (B,) where classes have them."""
        epoch, size, weight = self.epoch(), self.batches.batch_size, self.batches.class_weight
        rows = self.batches.order(epoch)[step * size : (step + 1) * size]
        number = epoch % len(self.features)
        batch = self.features[number, rows], self.targets[number, rows]
        return batch if weight is None else (*batch, weight[self.batches.labels[rows]])
