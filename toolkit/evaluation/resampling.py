"""Resampled totals: the bootstrap of anything that is a function of sums over rows. It knows no metric.

Counts of cells, few numbers, are drawn by NumPy's generator on the host, picks of rows, many numbers, by a counter on
the device: a seed gives the same intervals on every device and backend. All are counted and summed on the device.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.evaluation import device
from toolkit.evaluation.checks import Labels
from toolkit.evaluation.design import Design
from toolkit.evaluation.picks import Urns, picked
from toolkit.evaluation.precision import BLOCK, to_double, to_numpy

Doubles = NDArray[np.float64]
CELLS = 1024  # values are resampled in so many cells where more of them differ than twice that


@dataclass(frozen=True)
class Table:
    """Rows brought together to U units that are drawn as one, and what a unit adds to each of F totals, sparsely."""

    multiplicity: Labels  # int64 (U,), how many draws of the original sample fell on the unit
    stratum: Labels  # int64 (U,), draws stay within their stratum
    unit: Labels  # int64 (E,)
    column: Labels  # int64 (E,)
    value: Doubles  # (E,), unit `unit` adds `value` to total `column`
    columns: int  # F
    variance: Doubles | None = None  # (U,), of what the rows of a unit add to total 0, where they are not quite alike


def confusion_table(labels: Labels, predictions: Sequence[Labels], classes: int, design: Design) -> Table:
    """Labels (N,) and the predictions (N,) of one or more contestants -> a table whose units are cells, or clusters.

    Totals, for each contestant: K hits, K times true, K times predicted. Rows of one cell (the same label, the same
    predictions) are alike, and counts of cells in a bootstrap sample are multinomial: exactly the bootstrap of the
    rows, at the cost of the occupied cells.
    """
    if design.cluster is None:
        key = design.stratum * classes + labels
        for predicted in predictions:
            key = key * classes + predicted
        first, count = device.cells(key)
        rows, unit, stratum = first, np.arange(len(first)), design.stratum[first]
    else:
        rows, unit = np.arange(design.rows), design.cluster
        count, stratum = np.ones(design.units, dtype=np.int64), design.unit_stratum
    units, columns = [], []
    for index, predicted in enumerate(predictions):
        true, chosen, start = labels[rows], predicted[rows], 3 * classes * index
        hit = true == chosen
        units += [unit[hit], unit, unit]
        columns += [start + true[hit], start + classes + true, start + 2 * classes + chosen]
    width = 3 * classes * len(predictions)
    entry, value = device.counted(np.concatenate(units) * width + np.concatenate(columns))
    return Table(count, stratum, entry // width, entry % width, value.astype(np.float64), width)


def mean_table(values: Doubles, design: Design) -> Table:
    """Values (N,) -> a table of two totals, their sum and their number.

    Few different values are drawn as they are. Many are sorted into CELLS cells of equal count a stratum; the cells'
    counts are multinomial, as they would be anyway, and the sum of what is drawn inside the cells, many values that
    hardly differ, is taken as normal with its exact mean and variance.
    """
    if design.cluster is not None:
        sums, sizes = (device.tally(design.cluster, design.units, what) for what in (values, None))
        ones = np.ones(design.units, dtype=np.int64)
        return _two_totals(ones, design.unit_stratum, sums, sizes.astype(np.float64), None)
    different, code = device.places(values)
    if len(different) > 2 * CELLS:
        order = device.order(values, within=design.stratum)
        sizes = device.tally(design.stratum, design.strata)
        rank = np.empty(len(values), dtype=np.int64)
        rank[order] = np.arange(len(values)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        code = rank * CELLS // sizes[design.stratum]
    occupied, cell = device.places(design.stratum * (code.max() + 1) + code)
    count = device.tally(cell, len(occupied))
    mean = device.tally(cell, len(occupied), values) / count
    variance = device.tally(cell, len(occupied), (values - mean[cell]) ** 2) / count
    stratum = np.empty(len(count), dtype=np.int64)
    stratum[cell] = design.stratum
    return _two_totals(count, stratum, mean, np.ones(len(count)), variance if variance.any() else None)


def _two_totals(count: Labels, stratum: Labels, first: Doubles, second: Doubles, variance: Doubles | None) -> Table:
    """A table in which every unit adds to both of two totals."""
    units = np.arange(len(count))
    column = np.repeat([0, 1], len(count))
    return Table(count, stratum, np.tile(units, 2), column, np.concatenate([first, second]), 2, variance)


def resample(table: Table, resamples: int, seed: int) -> Doubles:
    """Draw the whole sample again with replacement, `resamples` times -> totals (resamples, F)."""
    rng = np.random.default_rng(seed)
    blocks = draws(table.multiplicity, table.stratum, resamples, rng, len(table.unit))
    return np.concatenate([totals(table, counts, rng) for counts in blocks])


def resample_mean(values: Doubles, design: Design, resamples: int, seed: int) -> Doubles:
    """The mean of values (N,) over `resamples` bootstrap samples, (resamples,)."""
    sums = resample(mean_table(values, design), resamples, seed)
    return np.asarray(sums[:, 0] / sums[:, 1])


def draws(
    multiplicity: Labels, stratum: Labels, resamples: int, rng: np.random.Generator, width: int = 1
) -> Iterator[Any]:
    """How often each unit occurs in the resamples, float64 (B, U) at a time, on the host or the device, by stratum.

    Where units are few or stand for many rows, their counts are drawn at once, which costs about 8 picks of a row; the
    rows of all others are picked. width: of what the caller makes of one resample, so that its memory is bounded too.
    """
    heavy = (multiplicity > 8) | (len(multiplicity) <= 512)
    urns = Urns.of(np.where(heavy, 0, multiplicity), stratum, int(stratum.max()) + 1)
    strata = [(index, np.flatnonzero(heavy & (stratum == index))) for index in np.unique(stratum[heavy])]
    key, start = int(rng.integers(2**63)), 0
    step = max(1, BLOCK // max(len(multiplicity), len(urns.owner), width))
    for block in range(0, resamples, step):
        size = min(step, resamples - block)
        number = np.tile(urns.size, (size, 1))
        counts = np.zeros((size if strata else 1, len(multiplicity)))
        for index, units in strata:
            rows = np.append(multiplicity[units], urns.size[index])
            drawn = rng.multinomial(rows.sum(), rows / rows.sum(), size=size)
            counts[:, units], number[:, index] = drawn[:, :-1], drawn[:, -1]
        yield counts + picked(urns, number, key, start) if len(urns.owner) else counts
        start += int(number.sum())


def totals(table: Table, counts: Any, rng: np.random.Generator | None = None) -> Doubles:
    """Counts (B, U) of the units -> totals (B, F), summed on the device; rng: of tables of means."""
    drawn = ops.transpose(ops.convert_to_tensor(counts, dtype="float64"))
    entries = ops.take(drawn, ops.convert_to_tensor(table.unit), axis=0) * to_double(table.value)[:, None]
    column = ops.convert_to_tensor(table.column.astype(np.int32))
    found = np.array(to_numpy(ops.transpose(ops.segment_sum(entries, column, num_segments=table.columns))))
    if table.variance is not None and rng is not None:
        spread = to_numpy(ops.sqrt(ops.matmul(to_double(table.variance[None]), drawn)))[0]
        found[:, 0] += spread * rng.standard_normal(len(found))
    return found
