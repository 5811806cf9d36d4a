"""The learning rate found by trying: it rises with every step until the loss does too. It keeps nothing it learned."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.models import feature_extractor
from toolkit.progress import bar
from toolkit.training.classifier import KerasClassifier, Start
from toolkit.training.features import FeatureBatches, Features, Forward
from toolkit.training.frozen import head_of, is_solved
from toolkit.training.losses import loss_of
from toolkit.training.optimizer import optimizer
from toolkit.training.phase import memory
from toolkit.training.precision import same_bits
from toolkit.training.recipe import FEATURES

SMOOTHING = 0.9  # share of the past in the moving average of the losses
ENOUGH = 4.0  # times the lowest loss so far: the end of the search
BELOW = 10.0  # the rate suggested is that of the lowest loss by this


@dataclass(frozen=True)
class RateCurve:
    """The loss at each rate that was tried, on one batch each, and what follows."""

    rates: list[float]
    losses: list[float]  # moving average, freed of its bias towards the start
    suggestion: float  # for `Recipe.learning_rate`, the peak of its schedule, which a head divides by its width's root


@keras.saving.register_keras_serializable(package="touchstone")
class Rising(keras.optimizers.schedules.LearningRateSchedule):
    """From `lowest` on, `factor` times as high with each step."""

    def __init__(self, lowest: float, factor: float) -> None:
        super().__init__()
        self.lowest, self.factor = lowest, factor

    def __call__(self, step: Any) -> Any:
        """Learning rate at a step, counted from 0."""
        return self.lowest * ops.exp(math.log(self.factor) * ops.cast(step, "float32"))

    def get_config(self) -> dict[str, float]:
        """What `__init__` takes."""
        return {"lowest": self.lowest, "factor": self.factor}


def find_learning_rate(
    classifier: KerasClassifier,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
) -> RateCurve | None:
    """Train a copy for a few steps at ever higher rates; the classifier stays as it is.

    Smith (WACV 2017): the rate grows, here by a factor and not by a sum, until the loss does. Suggested is a tenth of
    the rate with the lowest averaged loss, where the loss still falls. Of a pretrained network it is that of its head;
    None where that is solved: it needs no rate, and a fine-tuning begins so low that no loss falls by more than chance.

    Args:
        classifier: its recipe says batches, optimiser, loss and augmentation; its schedule has no say.
        images: uint8 (N, H, W, C).
        labels: (N,).
        lowest: rate of the first step.
        highest: rate of the last step, if the loss has not grown before.
        steps: at most; each a batch, epochs one after the other.

    Raises:
        InputError: as `fit` does, and where the loss never falls, or never rises again.
    """
    if not 0 < lowest < highest or steps < 10:
        raise InputError(f"Expected 0 < lowest < highest and 10 steps or more. Received: {lowest}, {highest}, {steps}.")
    start = classifier.start(images, labels)
    if classifier.pretrained and is_solved(head_of(start.network), start.recipe, len(start.held_labels)):
        return None
    factor = (highest / lowest) ** (1 / (steps - 1))
    with same_bits(start.recipe.deterministic):
        losses = _losses(classifier, start, Rising(lowest, factor), steps)
    rates = [lowest * factor**step for step in range(len(losses))]
    best = int(np.argmin(losses)) if losses else 0
    if best == 0:
        raise InputError("Expected a loss that falls at some learning rate. It never did; look at images and labels.")
    if best == steps - 1:
        raise InputError(
            f"Expected a loss that rises at some learning rate below {highest:g}. It fell to the end, as of few images "
            "that are learned by heart: train without a search for the rate."
        )
    told = math.sqrt(start.network.get_layer("features").output.shape[-1] / FEATURES) if classifier.pretrained else 1.0
    return RateCurve(rates, losses, float(f"{rates[best] / BELOW * told:.2g}"))


def _losses(classifier: KerasClassifier, start: Start, rising: Rising, steps: int) -> list[float]:
    """The moving average of the loss at each step, until it has risen far enough."""
    network, batch = _trained(classifier, start)
    made = optimizer(start.recipe, steps)
    getattr(made, "inner_optimizer", made).learning_rate = rising
    network.compile(made, loss_of(start.recipe), jit_compile=keras.backend.backend() == "jax")
    losses: list[float] = []
    average = 0.0
    with bar(f"{network.name}: learning rate", steps, classifier.verbose) as advance:
        for step in range(steps):
            network.reset_metrics()
            with memory(start.recipe.batch_size):
                loss = float(network.train_on_batch(*batch(step)))
            average = SMOOTHING * average + (1 - SMOOTHING) * loss
            smooth = average / (1 - SMOOTHING ** (step + 1))
            if not math.isfinite(smooth) or (losses and smooth > ENOUGH * min(losses)):
                break
            losses.append(smooth)
            advance(1, f"rate {rising.lowest * rising.factor**step:.1e} loss {smooth:.3f}")
    return losses


def _trained(classifier: KerasClassifier, start: Start) -> tuple[Any, Callable[[int], tuple[NDArray[Any], ...]]]:
    """What is trained first, and its batches by the number of the step."""
    network, batches, passes = start.network, start.batches, start.recipe.passes
    if not classifier.pretrained:
        return network, lambda step: batches.batch(*divmod(step, batches.steps))
    folder = None if classifier.feature_cache is None else Path(classifier.feature_cache)
    source = Features(feature_extractor(network), Forward(classifier.engine, folder))
    work = passes * len(batches.labels)
    with bar(f"{network.name}: features", work, classifier.verbose) as advance, memory():
        features, targets = source.training(batches, passes, advance)

    def batch(step: int) -> tuple[NDArray[np.float32], ...]:
        epoch, place = divmod(step, batches.steps)
        return FeatureBatches(batches, features, targets, lambda: epoch).batch(place)

    return head_of(network), batch
