"""Counting and sorting many rows where the arithmetic is: by keras.ops on an accelerator, on a CPU by NumPy.

Arrays in, arrays out, the same whichever of the two it was, ties included. It knows no metric.
"""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.evaluation.precision import double_precision, order_keys, round_up, to_double, to_numpy

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


def accelerated() -> bool:
    """Whether Keras has anything but CPUs to compute on.

    On a CPU NumPy is the quicker: its vectorised sort was 9 times as fast as TensorFlow's and 37 times as fast as XLA's
    (1,000,000 float32, AVX-512).
    """
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())


def tally(code: NDArray[Any], length: int, weights: NDArray[Any] | None = None) -> NDArray[Any]:
    """How often each of 0..length-1 occurs in code (N,), int64 (length,); with weights (N,) their sums, float64."""
    if not accelerated():
        return np.bincount(code, weights, minlength=length)
    return _tally(np.asarray(code), length, weights)


def order(values: NDArray[Any], within: NDArray[Any] | None = None, *, stable: bool = True) -> Integers:
    """Numbers of the rows (N,) as their values (N,) rise, int64; where `within` (N,) is given, as that rises first.

    Rows that tie stay in their own order; with `stable=False`, which NumPy does faster, in any.
    """
    if accelerated():
        rising = _order(values)
        return rising if within is None else rising[_order(within[rising])]
    if within is None:
        return np.argsort(values, kind="stable" if stable else None)
    return np.lexsort((values, within))


def sorted_rows(keys: NDArray[np.signedinteger[Any]]) -> Any:
    """Integers (R, N) -> a tensor of them, each row rising."""
    return ops.sort(ops.convert_to_tensor(keys), axis=1) if accelerated() else ops.convert_to_tensor(np.sort(keys))


def cells(keys: Integers) -> tuple[Integers, Integers]:
    """Of each different key in keys (N,), in rising order: the first row that has it, and how many have it."""
    if not accelerated():
        return np.unique(keys, return_index=True, return_counts=True)[1:]
    rising, ends = _runs(keys)
    starts = np.append(0, ends[:-1] + 1)
    return rising[starts], ends + 1 - starts


def counted(keys: Integers) -> tuple[Integers, Integers]:
    """The different keys in keys (N,), rising, and how many rows have each; on a CPU quicker than `cells`."""
    if not accelerated():
        return np.unique(keys, return_counts=True)
    first, count = cells(keys)
    return keys[first], count


def places(values: NDArray[Any]) -> tuple[NDArray[Any], Integers]:
    """The different values in (N,), rising, and the place of each row's among them, int64 (N,)."""
    if not accelerated():
        return np.unique(values, return_inverse=True)
    rising, ends = _runs(values)
    code = np.empty(len(values), dtype=np.int64)
    code[rising] = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1))
    return values[rising[ends]], code


def bins(values: Doubles, edges: Doubles) -> Integers:
    """In which of the parts between rising edges (B,) each value (N,) lies: 0..B, an edge belongs to the part below."""
    if not accelerated():
        return np.searchsorted(edges, values, side="left")
    return _bins(values, edges)


def quantiles(values: Doubles, shares: Doubles) -> Doubles:
    """The quantiles of values (N,) at some shares, between two rows in proportion, as `np.quantile` has it."""
    if not accelerated():
        return np.quantile(values, shares)
    rising = _order(values)
    place = shares * (len(values) - 1)
    low = np.floor(place).astype(np.int64)
    below, above = values[rising[low]], values[rising[np.minimum(low + 1, len(values) - 1)]]
    part, gap = place - low, above - below
    return np.where(part < 0.5, below + gap * part, above - gap * (1 - part))


def _runs(values: NDArray[Any]) -> tuple[Integers, Integers]:
    """Rows in rising order of values (N,), and where each run of equal ones ends."""
    rising = _order(values)
    ordered = values[rising]
    return rising, np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))


# Arrays are filled up to a power of two before they go to the device, or JAX would compile for each new length.


@double_precision
def _tally(code: NDArray[Any], length: int, weights: NDArray[Any] | None) -> NDArray[Any]:
    missing = round_up(len(code)) - len(code)
    filled = np.pad(code.astype(np.int32), (0, missing), constant_values=length)
    what = np.ones(len(code)) if weights is None else np.asarray(weights, dtype=np.float64)
    sums = ops.segment_sum(
        to_double(np.pad(what, (0, missing))), ops.convert_to_tensor(filled), num_segments=round_up(length + 1)
    )
    found = to_numpy(sums)[:length]
    return np.array(found) if weights is not None else np.rint(found).astype(np.int64)


@double_precision
def _order(values: NDArray[Any]) -> Integers:
    keys = np.asarray(values)
    if keys.dtype.kind == "f":
        bits = order_keys(keys)
        keys = np.where(keys < 0, -bits, bits)
    filled = np.pad(keys, (0, round_up(len(keys)) - len(keys)), constant_values=np.iinfo(keys.dtype).max)
    return to_numpy(ops.argsort(ops.convert_to_tensor(filled)))[: len(keys)].astype(np.int64)


@double_precision
def _bins(values: Doubles, edges: Doubles) -> Integers:
    filled = np.pad(values, (0, round_up(len(values)) - len(values)))
    found = ops.searchsorted(to_double(edges), to_double(filled), side="left")
    return to_numpy(found)[: len(values)].astype(np.int64)
