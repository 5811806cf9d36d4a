"""KerasClassifier: a network of `toolkit.models` as a scikit-learn classifier of uint8 images, as in the duel."""

import dataclasses
import gc
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from toolkit.classifier import check_images, check_labels
from toolkit.environment import accelerators
from toolkit.errors import InputError
from toolkit.pipeline import Batches, Subset, balanced_weights
from toolkit.progress import bar, say
from toolkit.training.checkpoint import Checkpoint, EachEpoch, fingerprint
from toolkit.training.devices import check_agreed, processes, shares, spread
from toolkit.training.diagnosis import Diagnosis, diagnose
from toolkit.training.engine import check_engine, running
from toolkit.training.features import Forward
from toolkit.training.frozen import fine, train_head, unfreeze
from toolkit.training.holdout import HeldOut, stratified_holdout
from toolkit.training.inference import log_softmax, logits
from toolkit.training.network import built
from toolkit.training.phase import memory, train
from toolkit.training.precision import resolved, same_bits
from toolkit.training.recipe import Recipe
from toolkit.training.watch import Watch


@dataclass(frozen=True)
class Start:
    """A training before its first step."""

    classes: NDArray[np.int64]  # (K,), sorted labels; below they are 0..K-1
    network: Any  # images as they are -> logits
    batches: Batches  # of the rows to learn from
    recipe: Recipe  # as it will be carried out
    held: Subset  # images that choose the best epoch, perhaps none
    held_labels: NDArray[np.int64]
    rows: NDArray[np.int64]  # of the images: those to learn from, then those held back
    groups: NDArray[Any] | None = None  # of the rows to learn from, then of those held back


@dataclass(eq=False, repr=False)
class KerasClassifier(BaseEstimator):
    """A network by name, or a function (image_shape, classes, **options) -> keras.Model giving logits, and a recipe.

    With the option `weights` a new head is trained on the frozen backbone, and then, if the recipe says `unfreeze`, its
    last layers; without, everything at once.

    After `fit`: `classes_` (K,), the sorted labels; `recipe_`, as it was carried out; `history_`, a list with a value
    an epoch for `loss`, `accuracy`, `learning_rate` and, where rows were held back, `holdout_loss` and
    `holdout_accuracy`, and of pretrained networks `phase`: 1 a head's epochs, 1.5 its optimum, 2 a fine-tuning;
    `best_epoch_`, counted from 0, whose weights are kept; `earlier_seconds_`, of the training up to the checkpoint that
    was gone on from; `weights_`, NumPy arrays, so that a pickle holds no optimiser and is read under any Keras backend;
    and, in neither pickle nor saved model, `held_out_`, what it answers for rows that it has not learned from, if any.
    """

    model: str | Callable[..., Any]
    recipe: Recipe = field(default_factory=Recipe)
    _: KW_ONLY
    seed: int = 0
    verbose: bool = True  # the recipe and progress, on standard error
    options: Mapping[str, Any] = field(default_factory=dict)  # of the network: {"weights": "imagenet"}, {"width": 16}
    checkpoint: Path | None = None  # a file, rewritten after each epoch, from which the same `fit` goes on
    devices: tuple[str, ...] | None = None  # to train over: ("gpu:0", "gpu:1"); None: all accelerators there are
    each_epoch: EachEpoch | None = None  # called after each epoch with the history so far; True ends the training
    engine: str = "keras"  # of the frozen backbone and of `predict_proba`; openvino: Intel's, on a CPU
    feature_cache: Path | None = None  # a folder where the frozen backbone's features are kept for the next `fit`

    def fit(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        begin: Sequence[NDArray[Any]] | None = None,
        groups: NDArray[Any] | None = None,
    ) -> Self:
        """Train from the start on uint8 (N, H, W, C) and int64 (N,); ended by an error or Ctrl-C, it changes nothing.

        `begin` are the network's weights before the first step, as `weights_` of another fit holds them; rows of one of
        `groups` (N,) are held back together, or not at all.

        Raises:
            InputError: images or labels of another kind, images too small for the network, a loss that is not finite,
                no memory for a batch, a checkpoint of another training.
        """
        with spread(self.devices):
            start = self.start(images, labels, groups)
            if begin is not None:
                start.network.set_weights(begin)
            self._say(start)
            with same_bits(self.recipe.deterministic):
                checkpoint = self._checkpoint(start.recipe, images, labels)
                weights, watch = self._train(start, checkpoint)
                places, answers = watch.answered(len(start.batches.labels), start.network, start.held)
        gc.collect()  # a Keras model is full of circles: without this, several trainings' worth of memory piles up
        self.classes_, self.image_shape_, self.weights_ = start.classes, start.batches.image_shape, weights
        self.recipe_, self.history_, self.best_epoch_ = start.recipe, watch.history, watch.best_epoch
        self.earlier_seconds_ = checkpoint.earlier_seconds
        self.held_out_ = HeldOut(start.rows[places], _probabilities(answers)) if len(places) else None
        self._network = self._engine = None
        return self

    def annealed(self, images: NDArray[np.uint8], labels: NDArray[np.int64], count: int) -> list[Self]:
        """Fitted copies (`count`), the recipe's epochs shared among them, each gone on from where the last one ended.

        The learning rate runs its whole schedule in each, no rows are held back, and the last epoch is kept: snapshots
        after Huang et al. (ICLR 2017), but for the optimiser's moments, which begin anew with the rate.

        Raises:
            InputError: as `fit`; pretrained weights, whose head is solved and not annealed; more copies than epochs.
        """
        epochs = self.recipe.for_rows(len(check_images(images))).epochs or 1
        if self.pretrained:
            raise InputError("Expected a network from scratch to keep snapshots of. Received: one with weights.")
        if not 1 < count <= epochs:
            raise InputError(f"Expected from 2 snapshots to one an epoch, {epochs}. Received: {count}.")
        fitted: list[Self] = []
        for number in range(count):
            share = epochs * (number + 1) // count - epochs * number // count
            recipe = dataclasses.replace(self.recipe, epochs=share, holdout=0.0)
            at = self.checkpoint and Path(self.checkpoint).with_suffix(f".{number}.npz")
            one = clone(self).set_params(recipe=recipe, seed=self.seed + number, checkpoint=at)
            fitted.append(one.fit(images, labels, fitted[-1].weights_ if fitted else None))
        return fitted

    def start(self, images: NDArray[np.uint8], labels: NDArray[np.int64], groups: NDArray[Any] | None = None) -> Start:
        """Everything as it is before the first step of `fit` on these images and labels."""
        check_engine(self.engine)
        images = check_images(images)
        classes, encoded = np.unique(check_labels(labels, len(images)), return_inverse=True)
        rows, held = stratified_holdout(encoded, self.recipe.holdout, self.seed, groups)
        recipe = dataclasses.replace(self.recipe.for_rows(len(rows)), precision=resolved(self.recipe.precision))
        with same_bits(recipe.deterministic), memory():
            network = self._build(images.shape[1:], len(classes))
        batches = Batches(
            Subset(images, rows),
            encoded[rows],
            recipe.batch_size,
            recipe.augment,
            seed=self.seed,
            class_weight=balanced_weights(encoded[rows]) if recipe.class_weight else None,
            sampling="balanced" if recipe.sampling == "balanced" else "once",
        )
        order = np.concatenate([rows, held])
        order_groups = None if groups is None else groups[order]
        return Start(classes, network, batches, recipe, Subset(images, held), encoded[held], order, order_groups)

    def _say(self, start: Start) -> None:
        """The recipe as it is carried out, a line a phase."""
        width = start.network.get_layer("features").output.shape[-1] if self.pretrained else None
        for line in start.recipe.describe(self.pretrained, held=len(start.held_labels), width=width):
            say(f"{start.network.name}: {line}", self.verbose)

    @property
    def pretrained(self) -> bool:
        """Whether the network begins with weights of others, so that its head is trained first."""
        return self.options.get("weights") is not None

    def check_weights(self, image_shape: tuple[int, int, int]) -> None:
        """Read the weights of others that `fit` would begin with on images of (H, W, C); refuse them as it would."""
        if self.pretrained:
            self._build(image_shape, 2)

    def _train(self, start: Start, checkpoint: Checkpoint) -> tuple[list[NDArray[np.float32]], Watch]:
        """Weights of the best epoch, and what was seen on the way."""
        network, batches, recipe = start.network, start.batches, start.recipe
        held, labels = start.held, start.held_labels
        head, rates, phase, told = None, None, 0, recipe
        if self.pretrained:
            folder = None if self.feature_cache is None else Path(self.feature_cache)
            forward = Forward(self.engine, folder)
            head = train_head(network, recipe, batches, held, labels, self.verbose, checkpoint, forward, start.groups)
            if not recipe.unfreeze:
                return network.get_weights(), head
            rates, phase, told = unfreeze(network, recipe.unfreeze, recipe.layer_decay), 2, fine(recipe)
        done, total = checkpoint.epochs(phase) * batches.steps, batches.steps * (recipe.epochs or 1)
        with bar(network.name, total, self.verbose, done=done, each=batches.batch_size) as advance:
            settings: dict[str, Any] = {
                "before": head,
                "checkpoint": checkpoint,
                "asked": recipe,
                "verbose": self.verbose,
            }
            watch = Watch(told, held, labels, advance, phase=phase, **settings)
            source = batches.dataset(lambda: watch.epoch, on_device=bool(accelerators()) and shares() == 1)
            train(network, source, told, watch, steps=batches.steps, at_once=_steps_at_once(batches), rates=rates)
        return network.get_weights(), watch

    def _checkpoint(self, recipe: Recipe, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Checkpoint:
        """The file of this training and no other, if one is wanted."""
        if self.checkpoint is None:
            return Checkpoint(each_epoch=self.each_epoch)
        identity = {
            "network": self.model if isinstance(self.model, str) else getattr(self.model, "__qualname__", "a function"),
            "options": {name: str(value) for name, value in self.options.items()},
            "recipe": json.loads(recipe.to_json()),
            "seed": self.seed,
            "data": fingerprint(images, labels),
            "backend": keras.backend.backend(),
        }
        found = Checkpoint(Path(self.checkpoint), identity, self.each_epoch, writes=processes()[0] == 0)
        check_agreed([found.state.phase, found.state.epochs] if found.state else [-1, -1])
        return found

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) as in fit -> probabilities float32 (N, K), columns in the order of `classes_`."""
        network = self.network
        images = check_images(images, self.image_shape_)
        if self.engine != "keras":
            self._engine = self._engine or running(network, self.engine)
            network = self._engine
        return _probabilities(logits(network, images))

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """uint8 (N, H, W, C) -> the most probable label (N,)."""
        return self.classes_[self.predict_proba(images).argmax(axis=1)]

    @property
    def network(self) -> Any:
        """The fitted keras.Model, (B, H, W, C) 0..255 -> logits float32 (B, K); built when first asked for."""
        if not hasattr(self, "weights_"):
            raise NotFittedError("Expected a fitted classifier. Received: one that has seen no images. Call fit first.")
        if self._network is None:
            network = self._build(self.image_shape_, len(self.classes_), fill=False)
            network.set_weights(self.weights_)
            self._network = network
        return self._network

    @property
    def diagnosis(self) -> Diagnosis:
        """What the curves of the last fit say, and what to change."""
        if not hasattr(self, "history_"):
            raise NotFittedError("Expected a fitted classifier. Received: one that has seen no images. Call fit first.")
        return diagnose(self.history_, self.best_epoch_, len(self.classes_), bool(self.options.get("mirror")))

    def learned(self) -> dict[str, Any]:
        """What `fit` learned beside the network's weights: every attribute that ends in `_`; empty before `fit`."""
        kept = {name: value for name, value in vars(self).items() if name.endswith("_") and not name.startswith("_")}
        return {name: value for name, value in kept.items() if name not in ("weights_", "held_out_")}

    def restore(self, network: Any, learned: Mapping[str, Any]) -> Self:
        """Become fitted: `network` and `learned` as another classifier of these settings gave them."""
        self.__dict__.update(learned, weights_=network.get_weights(), _network=network, _engine=None)
        return self

    def _build(self, image_shape: tuple[int, int, int], classes: int, fill: bool = True) -> Any:
        """The network; with `fill=False` the same one, whose pretrained weights need not be there to be read."""
        options = {**self.options, **self.recipe.network_options()}
        precision = resolved(self.recipe.precision) if fill else "float32"  # what was trained in 16 bits predicts in 32
        return built(self.model, image_shape, classes, options, seed=self.seed, fill=fill, precision=precision)

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "_network": None, "_engine": None, "each_epoch": None}
        return {name: value for name, value in state.items() if name != "held_out_"}


def _probabilities(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (N, K) -> probabilities (N, K)."""
    return np.exp(log_softmax(answers)).astype(np.float32)


def _steps_at_once(batches: Batches) -> int:
    """Steps in one call of the compiled function: 20 for small images, where Python would cost as much as a step."""
    height, width, _ = batches.image_shape
    return max(1, min(20, batches.steps, 2**21 // (batches.batch_size * height * width)))
