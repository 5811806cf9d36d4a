"""A new head on a backbone that stays as it is, then a fine-tuning of its last layers. It chooses no rows.

The backbone's features are computed once a fit, not once an epoch, and always in inference mode: BatchNorm would else
move away from the statistics that the frozen weights were trained with. A linear head's loss is convex: its epochs show
how it learns, and what is kept is the optimum itself.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import unknown
from toolkit.models import feature_extractor
from toolkit.pipeline import Batches, Subset, balanced_weights
from toolkit.progress import bar
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.diagnosis import OPTIMUM
from toolkit.training.features import FeatureBatches, Features, Floats, Forward
from toolkit.training.linear import Rows, chosen, solved
from toolkit.training.optimizer import Rates
from toolkit.training.phase import memory, train
from toolkit.training.recipe import FINE, Recipe
from toolkit.training.watch import Unseen, Watch

HEAD_STEPS = 20  # at once: a step of a head costs less than its call
NOTHING: Unseen = (np.zeros(0, np.int64), np.zeros((0, 0), np.float32))  # where all rows were learned from


def train_head(
    network: Any,
    recipe: Recipe,
    batches: Batches,
    held: Subset,
    held_labels: NDArray[np.int64],
    verbose: bool,
    checkpoint: Checkpoint | None = None,
    forward: Forward | None = None,
    groups: NDArray[Any] | None = None,
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
        forward: how the backbone is run, and where features are kept; None: by Keras, in memory.
        groups: of the training rows and then of those held back, (N + M,), which folds of them must not part.
    """
    checkpoint = checkpoint or Checkpoint()
    if recipe.unfreeze:
        moving_layers(network, recipe.unfreeze)  # refuses names that no layer has, before the work
    if checkpoint.past(1):
        return Watch(recipe, held, held_labels, lambda done=1, note="": None, phase=1)
    told, recipe = recipe, recipe.for_head(network.get_layer("features").output.shape[-1])
    work = len(batches.labels) * recipe.passes + len(held_labels)
    with bar(f"{network.name}: features", work, verbose) as advance, memory():
        source = Features(feature_extractor(network), forward or Forward())
        features, targets = source.training(batches, recipe.passes, advance)
        held_features = source.plain(held)
    head = head_of(network)
    begun = head.get_weights()
    done, each = checkpoint.epochs(1) * batches.steps, batches.batch_size
    with bar(f"{network.name}: head", batches.steps * (recipe.epochs or 1), verbose, done=done, each=each) as advance:
        watch = Watch(
            recipe, held_features, held_labels, advance, phase=1, checkpoint=checkpoint, asked=told, verbose=verbose
        )
        shuffled = FeatureBatches(batches, features, targets, lambda: watch.epoch)
        train(head, shuffled.dataset(), recipe, watch, steps=batches.steps, at_once=min(HEAD_STEPS, batches.steps))
    if not (recipe.refit and len(held_labels)):
        return watch
    if is_solved(head, recipe, len(held_labels)):
        _solve(head, recipe, shuffled, held_features, held_labels, watch, groups)
    elif not recipe.unfreeze:  # the rows held back still choose in a second phase
        head.set_weights(begun)
        _train_again(head, recipe, shuffled, held_features, held_labels)
        watch.unseen = NOTHING
    return watch


def head_of(network: Any) -> Any:
    """The layers behind "features", as a network of its own, of the same weights."""
    return keras.Model(network.get_layer("features").output, network.output, name=f"{network.name}_head")


def is_solved(head: Any, recipe: Recipe, held: int) -> bool:
    """Whether the head is one linear layer under cross-entropy, whose best weights will be solved for.

    Of `held` images held back there must be some: without them it ends as its epochs leave it.
    """
    if not (recipe.refit and held):
        return False
    layers = [layer for layer in head.layers if not isinstance(layer, keras.layers.InputLayer | keras.layers.Dropout)]
    return [layer.name for layer in layers] == ["logits"] and recipe.loss in ("cross_entropy", "sparse_cross_entropy")


def _solve(
    head: Any,
    recipe: Recipe,
    before: FeatureBatches,
    held_features: Floats,
    held_labels: NDArray[np.int64],
    watch: Watch,
    groups: NDArray[Any] | None,
) -> None:
    """Put a linear head's optimum in place of the trained one, under an L2 penalty as strong as folds of the rows say.

    It is one more epoch of the history, whose phase is `OPTIMUM`. With nothing to follow, it is that of all rows, kept
    whatever it is, and what the folds had not seen stands for rows held back. Before a fine-tuning the rows held back
    must go on choosing: there it is the optimum of the others, and taken if it is the best.
    """
    balanced = before.batches.class_weight is not None or before.batches.sampling == "balanced"
    features, targets = before.features, before.targets
    if not recipe.unfreeze:
        features, targets, _ = _all_rows(before, held_features, held_labels)
    learned = Rows.of(features, targets, recipe.label_smoothing, balanced)
    if groups is not None:
        groups = groups[: learned.images]
    choice = chosen(learned, before.batches.seed, groups)
    strength, loss, accuracy = choice[:3]
    found = solved(learned, strength)
    if recipe.unfreeze:
        held = Rows.of(held_features[None], np.eye(before.batches.classes, dtype=np.float32)[held_labels][None])
        loss, accuracy = found.loss(held), found.accuracy(held)
        if loss >= watch.history["holdout_loss"][watch.best_epoch]:
            return
    else:
        plain = np.arange(len(before.batches.labels) if len(features) > 1 else 0, learned.images)  # not augmented
        watch.unseen = choice.unseen(features[0, plain], plain) if choice.heads else NOTHING
    seen = {"loss": found.loss(learned), "accuracy": found.accuracy(learned), "phase": OPTIMUM}
    seen |= {"holdout_loss": loss, "holdout_accuracy": accuracy, "learning_rate": 0.0}
    for name, value in seen.items():
        watch.history[name].append(value)
    watch.best_epoch, watch.best_answers = len(watch.history["loss"]) - 1, None
    head.get_layer("logits").set_weights([found.kernel, found.bias])


def _all_rows(
    before: FeatureBatches, held_features: Floats, held_labels: NDArray[np.int64]
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Features (P, N, D), targets (P, N, K) and labels (N,) of the training rows and those held back."""
    batches, passes = before.batches, len(before.features)
    shares = np.eye(batches.classes, dtype=np.float32)[held_labels]
    features = np.concatenate([before.features, np.stack([held_features] * passes)], axis=1)
    targets = np.concatenate([before.targets, np.stack([shares] * passes)], axis=1)
    return features, targets, np.concatenate([batches.labels, held_labels])


def _train_again(
    head: Any, recipe: Recipe, before: FeatureBatches, held_features: Floats, held_labels: NDArray[np.int64]
) -> None:
    """Train a head from its beginning on all rows, those held back too, to the schedule's end; it writes no history.

    A few dozen rows held back are too few to say where a head should end, and better spent on learning.
    """
    batches = before.batches
    features, targets, labels = _all_rows(before, held_features, held_labels)
    whole = Batches(
        np.broadcast_to(np.uint8(0), (len(labels), 1, 1, 1)),  # no pixels are asked for any more
        labels,
        batches.batch_size,
        seed=batches.seed,
        class_weight=None if batches.class_weight is None else balanced_weights(labels),
        sampling=batches.sampling,
    )
    watch = Watch(recipe, held_features[:0], held_labels[:0], lambda done=1, note="": None)
    source = FeatureBatches(whole, features, targets, lambda: watch.epoch)
    train(head, source.dataset(), recipe, watch, steps=whole.steps, at_once=min(HEAD_STEPS, whole.steps))


def unfreeze(network: Any, what: float | str, decay: float) -> Rates:
    """Leave `moving_layers` of the backbone trainable, and its BatchNorm in inference mode.

    Returns:
        Factors of the learning rate by the weights' paths: 1 in the head, `decay` in the lowest layer that moves, a
        geometric series between.
    """
    moving = moving_layers(network, what)
    for layer in _backbone(network):
        layer.trainable = layer in moving
    depths = {layer.name: depth for depth, layer in enumerate(reversed(moving), 1)}
    return {
        weight.path: decay ** (depths[layer.name] / len(moving))
        for layer in moving
        for weight in layer.trainable_weights
    }


def moving_layers(network: Any, what: float | str) -> list[Any]:
    """Layers with weights up to "features", in their order, without BatchNorm, that `what` means.

    A share: so many from the last, at least one; "all"; or beginnings of names, with commas between.
    """
    layers = [layer for layer in _backbone(network) if not isinstance(layer, keras.layers.BatchNormalization)]
    if not isinstance(what, str):
        return layers[-max(1, round(what * len(layers))) :]
    if what == "all":
        return layers
    found = []
    for start in what.split(","):
        begun = [layer for layer in layers if layer.name.startswith(start.strip())]
        if not begun or not start.strip():
            hint = f"They are called {layers[0].name}, {layers[len(layers) // 2].name}, ..., {layers[-1].name}."
            raise unknown(f"layer of '{network.name}' to unfreeze", start, [layer.name for layer in layers], hint)
        found += begun
    return [layer for layer in layers if layer in found]


def _backbone(network: Any) -> list[Any]:
    names = [layer.name for layer in network.layers]
    return [layer for layer in network.layers[: names.index("features") + 1] if layer.weights]


def fine(recipe: Recipe) -> Recipe:
    """The recipe of phase two: the same at a lower learning rate."""
    return dataclasses.replace(recipe, learning_rate=FINE * recipe.learning_rate)
