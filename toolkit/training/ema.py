"""The moving average of a network's weights, put in their place while it is judged. It knows no images."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def averaged(network: Any) -> Iterator[None]:
    """Inside, the network has the weights' average, where its optimiser keeps one; afterwards its own again.

    Polyak & Juditsky (SIAM J. Control Optim. 1992), as a moving average. BatchNorm's statistics stay the network's own.
    """
    optimizer = getattr(network.optimizer, "inner_optimizer", network.optimizer)  # float16 wraps it, to scale the loss
    if not getattr(optimizer, "use_ema", False):
        yield
        return
    weights = optimizer._trainable_variables
    own = [weight.numpy() for weight in weights]
    for weight, average in zip(weights, optimizer._model_variables_moving_average, strict=True):
        weight.assign(average)
    try:
        yield
    finally:
        for weight, value in zip(weights, own, strict=True):
            weight.assign(value)
