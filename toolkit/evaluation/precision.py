"""Double precision where numbers are added up, whatever the Keras backend. It knows no metric."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

BLOCK = 1 << 20  # elements held at once by anything that works in blocks: 8 MB of float64


def _double() -> AbstractContextManager[Any]:
    """JAX turns float64 into float32 unless told otherwise; the other backends do what they are asked."""
    if keras.config.backend() != "jax":
        return nullcontext()
    import jax

    return jax.enable_x64(True)


def double_precision(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let `function` use float64 and int64 tensors under every backend, and leave the setting as it was."""

    @wraps(function)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with _double():
            return function(*args, **kwargs)

    return wrapper


def to_numpy(tensor: Any) -> Any:
    """The tensor's values on the host."""
    return keras.ops.convert_to_numpy(tensor)


def to_double(values: Any) -> Any:
    """The values as a float64 tensor on the device."""
    return keras.ops.convert_to_tensor(np.asarray(values, dtype=np.float64))


def order_keys(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.signedinteger[Any]]:
    """Integers in the same order as probabilities of 32 or 64 bits, none negative.

    Backends take numbers below 1e-38 for 0 when they compare floats, so ranks are taken among the bit patterns, which
    for numbers that are not negative rise as they do.
    """
    return np.abs(probabilities).view(np.int32 if probabilities.dtype.itemsize == 4 else np.int64)  # -0.0 is 0


def round_up(count: int) -> int:
    """The next power of two: arrays of few different lengths only, or JAX would compile for each class."""
    return 1 << (count - 1).bit_length()


def last_of_ties(ordered: NDArray[Any]) -> NDArray[np.int64]:
    """Where each run of equal values in an ordered array (N,) ends, int64 (T,): no threshold can part a run."""
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))


def blocks(rows: int, row_elements: int) -> Iterator[slice]:
    """Slices that cover `rows`, each of at most BLOCK elements (and of one row at least)."""
    step = max(1, BLOCK // max(1, row_elements))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
