"""A new head on a backbone that stays as it is, then a fine-tuning of its last layers. It chooses no rows.

The backbone's features are computed once a fit, not once an epoch, and always in inference mode: BatchNorm would else
move away from the statistics that the frozen weights were trained with.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from toolkit.models import feature_extractor
from toolkit.pipeline import Batches, Subset
from toolkit.progress import Advance, bar
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.inference import logits, rows_at_once
from toolkit.training.optimizer import Rates
from toolkit.training.phase import train
from toolkit.training.recipe import Recipe
from toolkit.training.watch import Watch

FINE = 0.05  # phase two's learning rate, as a share of phase one's
HEAD_STEPS = 20  # at once: a step of a head costs less than its call


def train_head(
    network: Any,
    recipe: Recipe,
    batches: Batches,
    held: Subset,
    held_labels: NDArray[np.int64],
    verbose: bool,
    checkpoint: Checkpoint | None = None,
) -> Watch:
    """Phase one: train the layers behind "features" in place, the others and their statistics staying as they are.

    Args:
        network: with a layer "features" (B, D); its head is trained as a network of its own, of the same layers.
        recipe: with its epochs filled in.
        batches: the training rows; their order, classes' weights and augmentation hold for the features too.
        held: images uint8 (M, H, W, C) that choose the best epoch, M may be 0.
        held_labels: (M,).
        verbose: a bar for the features, then one for the head.
        checkpoint: of this training; where phase two had begun, nothing is left to do.
    """
    checkpoint = checkpoint or Checkpoint()
    if checkpoint.past(1):
        return Watch(recipe, held, held_labels, lambda done=1, note="": None, phase=1)
    recipe = dataclasses.replace(recipe, epochs=recipe.frozen_epochs or recipe.epochs)
    with bar(f"{network.name}: features", len(batches.labels) * recipe.passes + len(held_labels), verbose) as advance:
        features, targets = computed(network, batches, recipe.passes, advance)
        held_features = logits(feature_extractor(network), held)
    head = keras.Model(network.get_layer("features").output, network.output, name=f"{network.name}_head")
    done, each = checkpoint.epochs(1) * batches.steps, batches.batch_size
    with bar(f"{network.name}: head", batches.steps * (recipe.epochs or 1), verbose, done=done, each=each) as advance:
        watch = Watch(recipe, held_features, held_labels, advance, phase=1, checkpoint=checkpoint)
        source = FeatureBatches(batches, features, targets, lambda: watch.epoch)
        train(head, source, recipe, watch, steps=batches.steps, at_once=min(HEAD_STEPS, batches.steps))
    return watch


def computed(
    network: Any, batches: Batches, passes: int, advance: Advance
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features float32 (P, N, D) and targets (P, N, K) of the training rows, in their own order.

    One pass takes the images as they are; several take each time newly augmented ones, whose targets may be mixed.
    """
    extractor = feature_extractor(network)
    size = rows_at_once(batches.images.shape)
    source = Batches(batches.images, batches.labels, size, batches.policy if passes > 1 else "none", seed=batches.seed)
    rows = len(batches.labels)
    features = np.empty((passes, rows, extractor.output_shape[-1]), np.float32)
    targets = np.empty((passes, rows, batches.classes), np.float32)
    for number in range(passes):
        for step in range(source.steps):
            chosen = source.order(number)[step * size : (step + 1) * size]
            images, shares = source.batch(number, step)
            features[number, chosen] = logits(extractor, images)
            targets[number, chosen] = shares
            advance(len(chosen), f"pass {number + 1}/{passes}")
    return features, targets


class FeatureBatches(keras.utils.PyDataset):
    """Batches of cached features, in the order that `batches` has; an epoch takes one pass, the next epoch the next."""

    def __init__(
        self,
        batches: Batches,
        features: NDArray[np.float32],
        targets: NDArray[np.float32],
        epoch: Callable[[], int],
    ) -> None:
        """Features (P, N, D) and targets (P, N, K) of the rows of `batches`; `epoch` says which one is running."""
        super().__init__()
        self.batches, self.features, self.targets, self.epoch = batches, features, targets, epoch

    def __len__(self) -> int:
        return self.batches.steps

    def __getitem__(self, step: int) -> tuple[NDArray[np.float32], ...]:
        """Features (B, D), targets (B, K), and weights (B,) where classes have them."""
        epoch, size, weight = self.epoch(), self.batches.batch_size, self.batches.class_weight
        rows = self.batches.order(epoch)[step * size : (step + 1) * size]
        number = epoch % len(self.features)
        batch = self.features[number, rows], self.targets[number, rows]
        return batch if weight is None else (*batch, weight[self.batches.labels[rows]])


def unfreeze(network: Any, share: float, decay: float) -> Rates:
    """Leave the last `share` of the backbone's layers trainable, at least one, and its BatchNorm in inference mode.

    Returns:
        Factors of the learning rate by the weights' paths: 1 in the head, `decay` in the lowest layer that moves, a
        geometric series between.
    """
    names = [layer.name for layer in network.layers]
    backbone = [layer for layer in network.layers[: names.index("features") + 1] if layer.weights]
    norms = [layer for layer in backbone if isinstance(layer, keras.layers.BatchNormalization)]
    others = [layer for layer in backbone if layer not in norms]
    moving = others[-max(1, round(share * len(others))) :]
    for layer in norms + others[: len(others) - len(moving)]:
        layer.trainable = False
    depths = {layer.name: depth for depth, layer in enumerate(reversed(moving), 1)}
    return {
        weight.path: decay ** (depths[layer.name] / len(moving))
        for layer in moving
        for weight in layer.trainable_weights
    }


def fine(recipe: Recipe) -> Recipe:
    """The recipe of phase two: the same at a lower learning rate."""
    return dataclasses.replace(recipe, learning_rate=FINE * recipe.learning_rate)
