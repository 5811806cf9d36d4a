"""What labels and probabilities must be before anything is computed from them. It computes no metric."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError, unknown

Labels = NDArray[np.int64]
Probabilities = NDArray[np.floating[Any]]


def check_arrays(labels: Any, probabilities: Any) -> tuple[Labels, Probabilities]:
    """Return int64 (N,) and float (N, K) of 32 or 64 bits, or say in one line what is wrong with which of the two.

    The values of the probabilities are checked where they are read anyway, by `check_sums`.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.ndim == 2 and probabilities.ndim == 1:
        raise InputError(
            f"Expected labels (N,) first and probabilities (N, K) second. Received: {labels.shape} and "
            f"{probabilities.shape}; they seem to be swapped."
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(f"Expected labels as integers (N,). Received: {labels.dtype} {labels.shape}.")
    if probabilities.ndim != 2 or not _is_floating(probabilities.dtype):
        raise InputError(
            f"Expected probabilities as floats (N, K). Received: {probabilities.dtype} {probabilities.shape}."
        )
    if len(labels) != len(probabilities):
        raise InputError(
            f"Expected one label for each row of probabilities. Received: {len(labels)} and {len(probabilities)}."
        )
    rows, classes = probabilities.shape
    if rows == 0 or classes < 2:
        raise InputError(f"Expected at least one row and two classes. Received: {rows} rows and {classes} classes.")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"Expected labels from 0 to {classes - 1}, as there are {classes} columns of probabilities. "
            f"Received: {labels.min()} to {labels.max()}."
        )
    if probabilities.dtype.itemsize < 4:
        probabilities = probabilities.astype(np.float32)
    return labels.astype(np.int64, copy=False), probabilities


def _is_floating(dtype: np.dtype[Any]) -> bool:
    """Whether this is a float, bfloat16 and its kin included (NumPy knows them as kind 'V')."""
    return dtype.kind == "f" or "float" in dtype.name


def smallest_probability(probabilities: Any) -> float:
    """Where the log loss clips: the machine epsilon of the dtype that came in, as scikit-learn does."""
    dtype = np.asarray(probabilities).dtype
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 2.0**-7  # bfloat16


def smallest_normal(probabilities: Any) -> float:
    """The smallest number that the dtype that came in holds in full precision."""
    dtype = np.asarray(probabilities).dtype
    return float(np.finfo(dtype if dtype.kind == "f" else np.float32).tiny)  # bfloat16 has float32's exponents


def sum_tolerance(probabilities: Any) -> float:
    """How far a row's sum may be from 1: what a softmax in the dtype that came in can miss it by, and some more."""
    return 1e-3 if np.asarray(probabilities).dtype.itemsize >= 4 else 2e-2


def check_sums(smallest: float, sums: NDArray[np.float64], tolerance: float) -> None:
    """Refuse NaN, negative values and rows that do not sum to 1, given the smallest value and the sum of each row."""
    if not np.isfinite(sums).all() or np.isnan(smallest):
        rows = np.flatnonzero(~np.isfinite(sums))
        many = f"row {rows[0]}" if len(rows) == 1 else f"{len(rows):,} rows, first in row {rows[0]}"
        raise InputError(f"Expected finite probabilities. Received: NaN or infinity in {many}.")
    off = np.abs(sums - 1) > tolerance
    if smallest < 0 or off.any():
        row = int(np.argmax(np.abs(sums - 1)))
        seen = f"row {row} sums to {sums[row]:.6g}" if off.any() else f"a smallest value of {smallest:.6g}"
        raise InputError(
            f"Expected probabilities: none negative, each row summing to 1. Received: {seen}; "
            f"if these are logits, apply a softmax first."
        )


def check_class_names(class_names: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """Return K names, '0' to 'K-1' where none are given; refuse another number of them and names that occur twice."""
    if class_names is None:
        return tuple(str(index) for index in range(classes))
    names = tuple(str(name) for name in class_names)
    if len(names) != classes:
        raise InputError(
            f"Expected {classes} class names, one for each column of probabilities. Received: {len(names)}."
        )
    if len(set(names)) != classes:
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"Expected class names that differ. Received: {twice!r} more than once.")
    return names


def check_confidence(confidence: float) -> None:
    """Refuse a confidence outside (0, 1)."""
    if not 0 < confidence < 1:
        raise InputError(f"Expected a confidence between 0 and 1, such as 0.95. Received: {confidence}.")


def check_level(confidence: float, resamples: int) -> None:
    """Refuse a confidence outside (0, 1) and fewer resamples than an interval of that confidence needs."""
    check_confidence(confidence)
    if resamples < 2 / (1 - confidence):
        needed = math.ceil(2 / (1 - confidence))
        raise InputError(f"Expected at least {needed} resamples for {confidence:.0%} intervals. Received: {resamples}.")


def check_method(method: str, known: Sequence[str] = ("score", "percentile", "bca")) -> None:
    """Refuse a way to draw intervals that there is not."""
    if method not in known:
        raise unknown("method of intervals", method, known)
