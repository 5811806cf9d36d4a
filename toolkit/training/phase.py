"""One phase of a training: a network goes over batches under a recipe. It knows neither images nor other phases."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from toolkit.errors import InputError
from toolkit.pipeline.device import Augment
from toolkit.training.checkpoint import assign
from toolkit.training.devices import divided, shares
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
    watch.network, network = network, varied(network, source)
    network.compile(
        optimizer(recipe, steps * epochs, rates),
        loss_of(recipe),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        steps_per_execution=at_once if shares() == 1 else 1,  # MirroredStrategy fails with several
        jit_compile=keras.backend.backend() == "jax",  # XLA slows convolutions on a CPU
    )
    network.optimizer.build(network.trainable_variables)  # here: variables made inside a trace have it made twice
    if watch.saved is not None:
        assign(network.variables, watch.saved.variables)
        assign(network.optimizer.variables, watch.saved.optimizer)
        if watch.saved.finished:
            network.optimizer.finalize_variable_values(network.trainable_variables)  # the average, where there is one
            watch.put_back(watch.network)
            return
    done = watch.saved.epochs if watch.saved else 0
    with memory(recipe.batch_size):
        network.fit(divided(source), epochs=epochs, initial_epoch=done, verbose=0, callbacks=[watch], shuffle=False)


@contextmanager
def memory(batch_size: int = 1) -> Iterator[None]:
    """Inside, running out of memory is an `InputError` that says what to try; 1: no smaller batch would help."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(batch_size) from error


def varied(network: Any, source: Any) -> Any:
    """The network behind `Augment`, its weights shared, where `source` leaves the augmentation to the device."""
    first = source.element_spec[0] if hasattr(source, "element_spec") else None
    if not isinstance(first, dict):
        return network
    inputs = {name: keras.Input(kind.shape[1:], dtype=kind.dtype.name, name=name) for name, kind in first.items()}
    return keras.Model(inputs, network(Augment()(inputs)), name=network.name)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is NumPy's, TensorFlow's or JAX's way to say that memory did not suffice."""
    return isinstance(error, MemoryError) or bool(re.search("RESOURCE_EXHAUSTED|ResourceExhausted", repr(error)))


def out_of_memory(batch_size: int) -> InputError:
    """The error that says which batch size to try: the largest power of two below."""
    smaller = 1 << max(0, (batch_size - 1).bit_length() - 1)
    remedy = f"try batch_size={smaller}" if batch_size > 1 else "take a smaller network or smaller images"
    images = f"a batch of {batch_size} images" if batch_size > 1 else "a single image"
    return InputError(f"Expected {images} to fit into memory beside the network. Received: out of memory; {remedy}.")
