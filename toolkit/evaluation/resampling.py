"""Resampled totals: the bootstrap of anything that is a function of sums over rows. It knows no metric."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.evaluation.checks import Labels
from toolkit.evaluation.precision import BLOCK, to_double, to_numpy

Doubles = NDArray[np.float64]
CELLS = 1024  # a mean over more rows than twice this is resampled in two stages


@dataclass(frozen=True)
class Table:
    """Rows brought together to U units that are drawn as one, with what a unit adds to each of F totals, as a sparse
    table.
    """

    multiplicity: Labels  # int64 (U,), how many rows are alike
    unit: Labels  # int64 (E,)
    column: Labels  # int64 (E,)
    value: Doubles  # (E,), unit `unit` adds `value` to total `column`
    columns: int  # F

    @property
    def totals(self) -> Doubles:
        """The totals of the rows as they are, (F,)."""
        added = self.multiplicity[self.unit] * self.value
        return np.bincount(self.column, added, minlength=self.columns).astype(np.float64)


def confusion_table(confusion: NDArray[np.int64]) -> Table:
    """int64 (K, K) -> the occupied cells as units; totals: K hits, K times true, K times predicted."""
    classes = len(confusion)
    true, predicted = np.nonzero(confusion)
    units = np.arange(len(true))
    hits = np.flatnonzero(true == predicted)
    unit = np.concatenate([hits, units, units])
    column = np.concatenate([true[hits], classes + true, 2 * classes + predicted])
    return Table(confusion[true, predicted], unit, column, np.ones(len(unit)), 3 * classes)


def resample(table: Table, resamples: int, seed: int) -> Doubles:
    """Draw all the rows again with replacement, `resamples` times -> totals (resamples, F).

    Rows that are alike make one cell, and the counts of cells in a bootstrap sample are multinomial: exactly the
    bootstrap of the rows at the cost of its occupied cells.
    """
    rng = np.random.default_rng(seed)
    return np.concatenate([totals(table, counts) for counts in _draws(table.multiplicity, resamples, rng)])


def _draws(multiplicity: Labels, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Counts of the units in the resamples, int64 (B, U) at a time."""
    rows = int(multiplicity.sum())
    step = max(1, BLOCK // len(multiplicity))
    for start in range(0, resamples, step):
        yield rng.multinomial(rows, multiplicity / rows, size=min(step, resamples - start))


def totals(table: Table, counts: NDArray[Any]) -> Doubles:
    """Counts (B, U) of the units -> totals (B, F), summed on the device."""
    drawn = to_double(np.ascontiguousarray(counts.T))
    entries = ops.take(drawn, ops.convert_to_tensor(table.unit), axis=0) * to_double(table.value)[:, None]
    sums = ops.segment_sum(entries, ops.convert_to_tensor(table.column.astype(np.int32)), num_segments=table.columns)
    return to_numpy(ops.transpose(sums))


def resample_mean(values: Doubles, resamples: int, seed: int) -> Doubles:
    """The mean of values (N,) over `resamples` bootstrap samples, (resamples,).

    Few rows are drawn as they are. Many are sorted into CELLS cells of equal count; the cells' counts are
    multinomial, as they would be anyway, and the sum of what is drawn inside the cells, some hundred values a cell
    that hardly differ, is taken as normal with its exact mean and variance.
    """
    rng = np.random.default_rng(seed)
    rows = len(values)
    cells = rows if rows <= 2 * CELLS else CELLS
    edges = np.arange(cells + 1) * rows // cells
    sizes = np.diff(edges)
    ordered = np.sort(values)
    means = np.add.reduceat(ordered, edges[:-1]) / sizes
    variances = (
        np.maximum(np.add.reduceat(ordered**2, edges[:-1]) / sizes - means**2, 0) if cells < rows else np.zeros(rows)
    )
    sums = []
    for counts in _draws(sizes, resamples, rng):
        drawn = to_double(counts)
        inside = ops.sqrt(ops.matmul(drawn, to_double(variances))) * to_double(rng.standard_normal(len(counts)))
        sums.append(to_numpy(ops.matmul(drawn, to_double(means)) + inside))
    return np.concatenate(sums) / rows
