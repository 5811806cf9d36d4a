"""A network built from its name or function under a recipe. It knows no images."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from toolkit.errors import InputError
from toolkit.models import MODELS, check_image_shape, transfer, without_weights
from toolkit.training.precision import computing

Model = str | Callable[..., Any]  # a name in MODELS, or (image_shape, classes, **options) -> keras.Model


def built(
    model: Model,
    image_shape: tuple[int, int, int],
    classes: int,
    options: Mapping[str, Any],
    *,
    seed: int,
    fill: bool = True,
    precision: str = "float32",
) -> Any:
    """The network; with `fill=False` the same one, whose pretrained weights need not be there to be read.

    Raises:
        InputError: as `check_image_shape`, and for an option that the network does not take.
    """
    with seeded(seed), computing(precision):
        if not isinstance(model, str):
            return _called(model, getattr(model, "__name__", "the function"), image_shape, classes, options)
        check_image_shape(model, image_shape, options)
        if options.get("weights") is None or fill:
            return _called(MODELS[model], model, image_shape, classes, options)
        return transfer(model, image_shape, classes, **without_weights(model, options, image_shape))


def _called(
    build: Callable[..., Any], name: str, image_shape: tuple[int, int, int], classes: int, options: Mapping[str, Any]
) -> Any:
    try:
        return build(image_shape, classes, **options)
    except TypeError as error:  # raised by Python when the arguments are bound, before anything is built
        found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if found is None or found[1] not in options:
            raise
        raise InputError(
            f"Expected options that '{name}' takes. Received: {found[1]}={options[found[1]]!r}, which it does not; "
            "leave it away."
        ) from None


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's random numbers, whence Keras draws its layers' seeds, from `seed` on; afterwards as they were before."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
