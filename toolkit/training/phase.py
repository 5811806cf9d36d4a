"""One phase of a training: a network goes over batches under a recipe. It knows neither images nor other phases."""

from typing import Any

import keras

from toolkit.training.optimizer import Rates, optimizer
from toolkit.training.recipe import Recipe
from toolkit.training.watch import Watch


def train(
    network: Any, source: Any, recipe: Recipe, watch: Watch, *, steps: int, at_once: int = 1, rates: Rates | None = None
) -> None:
    """Train in place over `source`, of `steps` steps an epoch, `at_once` of them in one call of the compiled function.

    `recipe.epochs` is a number here; `rates` are factors of single weights' learning rates.
    """
    epochs = recipe.epochs or 1
    network.compile(
        optimizer(recipe, steps * epochs, rates),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        steps_per_execution=at_once,
        jit_compile=keras.backend.backend() == "jax",  # XLA slows convolutions on a CPU
    )
    network.fit(source, epochs=epochs, verbose=0, callbacks=[watch], shuffle=False)
