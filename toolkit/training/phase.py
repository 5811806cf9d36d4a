"""One phase of a training: a network goes over batches under a recipe. It knows neither images nor other phases."""

from typing import Any

import keras

from toolkit.training.checkpoint import assign
from toolkit.training.losses import loss_of
from toolkit.training.optimizer import Rates, optimizer, penalise
from toolkit.training.recipe import Recipe
from toolkit.training.watch import Watch


def train(
    network: Any, source: Any, recipe: Recipe, watch: Watch, *, steps: int, at_once: int = 1, rates: Rates | None = None
) -> None:
    """Train in place over `source`, of `steps` steps an epoch, `at_once` of them in one call of the compiled function.

    It goes on from the checkpoint that `watch` found, if any. `recipe.epochs` is a number here; `rates` are factors of
    single weights' learning rates.
    """
    epochs = recipe.epochs or 1
    penalise(network, recipe.l2)
    network.compile(
        optimizer(recipe, steps * epochs, rates),
        loss_of(recipe),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        steps_per_execution=at_once,
        jit_compile=keras.backend.backend() == "jax",  # XLA slows convolutions on a CPU
    )
    if watch.saved is not None:
        network.optimizer.build(network.trainable_variables)
        assign(network.variables, watch.saved.variables)
        assign(network.optimizer.variables, watch.saved.optimizer)
        if watch.saved.finished:
            network.optimizer.finalize_variable_values(network.trainable_variables)  # the average, where there is one
            watch.put_back(network)
            return
    done = watch.saved.epochs if watch.saved else 0
    network.fit(source, epochs=epochs, initial_epoch=done, verbose=0, callbacks=[watch], shuffle=False)
