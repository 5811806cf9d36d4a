"""Whether probabilities mean what they say. Labels and probabilities in, numbers out; it knows no model."""

import numpy as np
from keras import ops
from numpy.typing import NDArray

from toolkit.evaluation.precision import to_double, to_numpy
from toolkit.evaluation.resampling import Table, resample

Doubles = NDArray[np.float64]
BINS = 15  # as in Guo et al. (ICML 2017)
FINE = 8  # parts of a bin that are resampled as one: their confidences differ by less than 1 / 120


def expected_calibration_error(confidence: Doubles, correct: NDArray[np.bool_], bins: int = BINS) -> float:
    """Confidence of the prediction (N,) and whether it was right (N,) -> ECE over bins of equal width, 0..1.

    Naeini et al. (AAAI 2015), Guo et al. (ICML 2017). It is biased upwards: noise alone opens a gap in every bin.
    """
    return float(_ece(_table(confidence, correct, bins).totals[None])[0])


def resample_ece(
    confidence: Doubles, correct: NDArray[np.bool_], resamples: int, seed: int, bins: int = BINS
) -> Doubles:
    """The same for bootstrap samples of the rows, (resamples,); confidences are drawn as the mean of a fine part of
    their bin.
    """
    return _ece(resample(_table(confidence, correct, bins), resamples, seed))


def _table(confidence: Doubles, correct: NDArray[np.bool_], bins: int) -> Table:
    """Rows by fine part and by right or wrong; totals: N, and for each bin the sum of right minus confidence."""
    part = np.clip(np.ceil(confidence * bins * FINE).astype(np.int64) - 1, 0, bins * FINE - 1)
    cell, inverse, count = np.unique(2 * part + correct, return_inverse=True, return_counts=True)
    gap = np.bincount(inverse, correct - confidence) / count
    units = np.arange(len(cell))
    column = np.concatenate([np.zeros(len(cell), dtype=np.int64), 1 + cell // 2 // FINE])
    return Table(count, np.concatenate([units, units]), column, np.concatenate([np.ones(len(cell)), gap]), bins + 1)


def _ece(totals: Doubles) -> Doubles:
    """Totals (B, bins + 1) -> ECE (B,)."""
    sums = to_double(totals)
    return to_numpy(ops.sum(ops.abs(sums[:, 1:]), axis=1) / sums[:, 0])
