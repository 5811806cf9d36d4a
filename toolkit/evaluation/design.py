"""How the test rows were drawn: alone, in clusters that share something, within strata. It knows no metric."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from toolkit.errors import InputError
from toolkit.evaluation.checks import Labels
from toolkit.evaluation.device import tally

Doubles = NDArray[np.float64]
ROUNDING = 1e-12  # what sums of a million doubles between 0 and 1 may miss 0 by


@dataclass(frozen=True)
class Design:
    """Which of N rows were drawn together (`cluster`), and out of which part of the whole (`stratum`), from 0 on."""

    rows: int  # N
    cluster: Labels | None  # int64 (N,); None: every row was drawn alone
    stratum: Labels  # int64 (N,)
    units: int  # how many clusters, or rows
    unit_stratum: Labels  # int64 (units,)

    @property
    def clustered(self) -> bool:
        """Whether rows came in clusters."""
        return self.cluster is not None

    @property
    def simple(self) -> bool:
        """Whether every row was drawn alone and out of the whole."""
        return self.cluster is None and self.strata == 1

    @cached_property
    def strata(self) -> int:
        """How many strata there are, 1 where none were given."""
        return int(self.unit_stratum.max()) + 1

    def totals(self, values: Doubles) -> Doubles:
        """Values of rows (N,) -> of units (U,), the sum of their rows'."""
        return values if self.cluster is None else tally(self.cluster, self.units, values)

    def sums(self, influence: Doubles) -> Doubles:
        """Influence of rows (N,) -> of units (U,), each less the mean of its stratum, so that their root sum of squares
        is the standard error: a stratum of n units knows its spread by n - 1 of them.
        """
        summed = self.totals(influence)
        if self.strata == 1:
            return (summed - summed.mean()) * math.sqrt(self.units / max(self.units - 1, 1))
        sizes, sums = (tally(self.unit_stratum, self.strata, what) for what in (None, summed))
        few = np.sqrt(sizes / np.maximum(sizes - 1, 1))
        return (summed - (sums / sizes)[self.unit_stratum]) * few[self.unit_stratum]

    @property
    def freedom(self) -> float:
        """Degrees of freedom of Student's t: few clusters know their own spread badly."""
        return float(max(self.units - self.strata, 1)) if self.clustered else math.inf

    def quantile(self, confidence: float) -> float:
        """How many standard errors an interval reaches to either side."""
        return float(t.ppf((1 + confidence) / 2, self.freedom))


def sampled(clusters: Any = None, strata: Any = None) -> Design:
    """Say how rows were sampled: clusters, strata or both, (N,) of anything sortable, such as patients or classes.

    A stratum of one row or cluster alone does not know its spread: all such make one stratum, a single one goes to the
    smallest other. Intervals of the methods `percentile` and `bca` are too narrow where strata are small, by the root
    of (n - 1) / n where they are of n; those of `score` are not.
    Raises InputError for columns of different length, fewer than two clusters, and clusters that lie in several strata.
    """
    given = clusters if clusters is not None else strata
    if given is None:
        raise InputError(
            "Expected clusters, strata or both. Received: neither; leave the design out for rows drawn alone."
        )
    if np.ndim(given) != 1:
        raise InputError(f"Expected clusters and strata as one value for each row. Received: {np.shape(given)}.")
    rows = len(np.asarray(given))
    cluster, stratum = codes(clusters, rows, "clusters"), codes(strata, rows, "strata")
    stratum = np.zeros(rows, dtype=np.int64) if stratum is None else stratum
    if cluster is None:
        stratum = _joined(stratum)
        return Design(rows, None, stratum, rows, stratum)
    units = int(cluster.max()) + 1
    if units < 2:
        raise InputError("Expected at least two clusters, or the spread between them is unknown. Received: 1.")
    unit_stratum = np.empty(units, dtype=np.int64)
    unit_stratum[cluster] = stratum
    if not np.array_equal(unit_stratum[cluster], stratum):
        raise InputError("Expected every cluster to lie within one stratum. Received: clusters in several strata.")
    unit_stratum = _joined(unit_stratum)
    return Design(rows, cluster, unit_stratum[cluster], units, unit_stratum)


def _joined(stratum: Labels) -> Labels:
    """Strata (U,) of which none is of one unit alone, as far as there is another."""
    sizes = np.bincount(stratum)
    lone = sizes == 1
    if not lone.any() or len(sizes) == 1:
        return stratum
    if lone.sum() == 1:
        lone[np.argmin(np.where(lone, len(stratum), sizes))] = True
    return np.unique(np.where(lone[stratum], -1, stratum), return_inverse=True)[1].astype(np.int64)


def grouped(column: Any) -> Design | None:
    """Rows (N,) of one group were drawn together, rows with '' alone; None where no group has two rows, or all one."""
    names = np.asarray(column).astype(np.str_)
    alone = np.char.add("row ", np.arange(len(names)).astype(np.str_))
    clusters = np.where(names == "", alone, np.char.add("group ", names))
    return sampled(clusters=clusters) if 1 < len(np.unique(clusters)) < len(clusters) else None


def within(design: Design, mine: NDArray[np.bool_]) -> Design | None:
    """The design of the rows `mine` (N,) alone; None where they lie within one cluster."""
    strata = design.stratum[mine]
    if design.cluster is None:
        return sampled(strata=strata)
    clusters = design.cluster[mine]
    return sampled(clusters=clusters, strata=strata) if len(np.unique(clusters)) > 1 else None


def check_design(design: Design | None, rows: int) -> Design:
    """The design that was given, if it is of so many rows, and otherwise that of rows drawn alone."""
    if design is None:
        alone = np.zeros(rows, dtype=np.int64)
        return Design(rows, None, alone, rows, alone)
    if design.rows != rows:
        raise InputError(f"Expected a design of {rows} rows, as there are labels. Received: one of {design.rows} rows.")
    return design


def codes(column: Any, rows: int, what: str) -> Labels | None:
    """Any column (N,) -> integers from 0 in the order of its sorted values; None stays None."""
    if column is None:
        return None
    values = np.asarray(column)
    if values.shape != (rows,):
        raise InputError(f"Expected {what} as one value for each of {rows} rows. Received: {values.shape}.")
    try:
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    except TypeError:  # of values such as None among texts
        kinds = ", ".join(sorted({type(value).__name__ for value in values.tolist()}))
        raise InputError(f"Expected {what} of one kind, '' where nothing is known. Received: {kinds}.") from None


def standard_error(sums: Doubles) -> float:
    """The standard error that `Design.sums` (U,) give; 0 where they differ by no more than rounding."""
    error = float(np.sqrt(np.sum(sums**2)))
    return error if error > ROUNDING else 0.0


def skewness(sums: Doubles) -> float:
    """The skewness of the estimate that influence values of units (U,) give: 6 times BCa's acceleration."""
    spread = float(np.sum(sums**2))
    return float(np.sum(sums**3)) / spread**1.5 if spread > 0 else 0.0
