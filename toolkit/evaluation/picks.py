"""Rows picked at random and counted, where the arithmetic is: a seed picks the same on every device and backend.

It knows no metric. A pick is a function of its own number (SplitMix64: Steele, Lea and Flood 2014,
doi:10.1145/2660193.2660195; half of its 64 bits a pick), so a device makes its picks itself, as many at once as it can,
and none crosses over to it.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.evaluation import device
from toolkit.evaluation.precision import double_precision, round_up

Integers = NDArray[np.int64]
STEP, FACTORS = -0x61C8864680B583EB, (-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)  # in two's complement: see _halves
CACHED = 1 << 14  # numbers made at once on a CPU: faster than a million


@dataclass(frozen=True)
class Urns:
    """S urns of rows; a unit owns as many rows of its urn as it counts for."""

    owner: Integers  # int64 (R,), the unit of each row, urn by urn
    size: Integers  # int64 (S,), rows of each urn
    units: int  # U

    @classmethod
    def of(cls, multiplicity: Integers, urn: Integers, urns: int) -> Self:
        """Of the rows of each unit (U,), 0 for none, and the urn (U,) that they lie in."""
        by_urn = np.argsort(urn, kind="stable")
        size = np.bincount(urn, multiplicity, urns).astype(np.int64)
        return cls(np.repeat(by_urn, multiplicity[by_urn]), size, len(multiplicity))


def picked(urns: Urns, number: Integers, key: int, start: int) -> Any:
    """How often each unit is picked in each of B resamples, (B, U) of whole numbers, on the host or the device.

    number: int64 (B, S), picks with replacement from each urn. key: of the stream, any int64. start: where in it to
    begin, in pairs of picks.
    """
    where = _on_the_device if device.accelerated() else _on_the_host
    return where(urns, number, key, start)


def _on_the_host(urns: Urns, number: Integers, key: int, start: int) -> Integers:
    resamples, strata = number.shape
    total = int(number.sum())
    place = np.empty(total, dtype=np.int64)
    for first in range(0, total, 2 * CACHED):
        part = place[first : first + 2 * CACHED]
        part[:] = _halves(np.arange(start + first // 2, start + (first + len(part) + 1) // 2), key, np)[: len(part)]
        if strata == 1:
            part *= urns.size[0]
            part >>= 32
    if strata > 1:
        place *= np.repeat(np.tile(urns.size, resamples), number.ravel())
        place >>= 32
        place += np.repeat(np.tile(_starts(urns), resamples), number.ravel())
    code = urns.owner[place]
    code += np.repeat(urns.units * np.arange(resamples), number.sum(axis=1))
    return np.bincount(code, minlength=resamples * urns.units).reshape(resamples, urns.units)


@double_precision
def _on_the_device(urns: Urns, number: Integers, key: int, start: int) -> Any:
    resamples, strata = number.shape
    length = round_up(max(2, int(number.sum())))  # what is too many falls into one more resample, which is cut off
    halves = _halves(ops.arange(start, start + length // 2, dtype="int64"), key, ops)
    urn_of = ops.searchsorted(ops.convert_to_tensor(np.cumsum(number)), ops.arange(length, dtype="int64"), side="right")
    urn_of = ops.cast(urn_of, "int64")
    urn = urn_of % strata
    place = ops.right_shift(halves * ops.take(ops.convert_to_tensor(urns.size), urn), 32)
    place += ops.take(ops.convert_to_tensor(_starts(urns)), urn)
    code = ops.take(ops.convert_to_tensor(urns.owner), place) + urns.units * (urn_of // strata)
    ones = ops.ones(length, dtype="float64")
    counts = ops.segment_sum(ones, ops.cast(code, "int32"), num_segments=(resamples + 1) * urns.units)
    return ops.reshape(counts, (resamples + 1, urns.units))[:-1]


def _starts(urns: Urns) -> Integers:
    return np.cumsum(urns.size) - urns.size


def _halves(counter: Any, key: int, of: Any) -> Any:
    """Whole numbers 0..2**32-1, two for each of a counter's, by the functions `of` NumPy or `keras.ops`; all int64.

    The generator works on uint64, which Keras makes uint32 on TensorFlow; int64 multiplies to the same bits.
    """
    mixed = counter * STEP + key
    for by, factor in zip((30, 27), FACTORS, strict=True):
        mixed = of.bitwise_xor(mixed, _shifted(mixed, by, of)) * factor
    mixed = of.bitwise_xor(mixed, _shifted(mixed, 31, of))
    return of.reshape(of.stack([of.bitwise_and(mixed, 2**32 - 1), _shifted(mixed, 32, of)], axis=1), (-1,))


def _shifted(bits: Any, by: int, of: Any) -> Any:
    """Shifted down with zeros for what comes in, whatever the sign."""
    return of.bitwise_and(of.right_shift(bits, by), 2 ** (64 - by) - 1)
