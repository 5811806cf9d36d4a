"""Whether probabilities mean what they say: of rows given 0.8, are 80 % right? It knows arrays, no model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy.stats import norm

from toolkit.errors import InputError
from toolkit.evaluation import device
from toolkit.evaluation.checks import check_confidence
from toolkit.evaluation.design import Design, check_design
from toolkit.evaluation.intervals import Interval
from toolkit.evaluation.precision import double_precision, to_double, to_numpy
from toolkit.evaluation.rows import read_rows
from toolkit.evaluation.shares import proportion

Doubles = NDArray[np.float64]
Equal = Literal["width", "mass"]
BINS = 15  # as in Guo et al. (ICML 2017)


@dataclass(frozen=True)
class CalibrationError:
    """An expected calibration error, which is biased upwards, with what noise alone makes of it."""

    value: float  # 0..1
    low: float  # of an interval for the error without noise, so that `value` may be its upper end
    high: float
    bias: float  # about how much of the value is noise
    if_calibrated: float  # what a perfectly calibrated contestant with these confidences would show on so many rows

    @property
    def interval(self) -> Interval:
        """Value and interval alone."""
        return Interval(self.value, self.low, self.high)

    def to_dict(self) -> dict[str, float]:
        """Plain JSON values."""
        return {name: float(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class ReliabilityBin:
    """One point of the reliability diagram."""

    low: float
    high: float  # the bin holds confidences in (low, high]
    rows: int
    confidence: float  # mean of the bin's confidences
    accuracy: Interval


@dataclass(frozen=True)
class BrierParts:
    """Murphy's decomposition, summed over classes: brier = reliability - resolution + uncertainty + within.

    The last part is there because scores within a bin differ: Stephenson et al. (2008), doi:10.1175/2007WAF2006116.1.
    """

    brier: float  # 0..2
    reliability: float  # how far the bins' scores are from what happened, 0 is best
    resolution: float  # how far what happened differs between bins, more is better
    uncertainty: float  # of the labels themselves, whatever the contestant
    within: float  # small where bins are narrow


@dataclass(frozen=True)
class Bins:
    """Sums over the rows in each of B bins of one score."""

    edges: Doubles  # (B + 1,)
    rows: Doubles  # (B,)
    score: Doubles  # (B,), sum of the scores
    hits: Doubles  # (B,), how many rows were what the score is for
    variance: Doubles  # (B,), of the sum of hit minus score; 0 rows: 0
    expected: Doubles  # (B,), the same variance if the scores were calibrated


def bin_scores(scores: Doubles, hit: NDArray[np.bool_], design: Design, bins: int, equal: Equal) -> Bins:
    """Scores (N,) and whether the row was what the score is for (N,) -> sums in bins of equal width or equal mass.

    The variance of a bin counts one row more than there are, with the variance of a calibrated score: without it a
    bin in which everything was right would be without noise.
    """
    edges = np.linspace(0, 1, bins + 1)
    if equal == "mass":
        edges[1:-1] = device.quantiles(scores, edges[1:-1])
    score = to_double(scores)
    code = ops.cast(ops.searchsorted(to_double(edges[1:-1]), score, side="left"), "int32")
    gap = to_double(hit) - score
    columns = ops.stack([ops.ones_like(score), score, to_double(hit), gap, gap * gap, score * (1 - score)], axis=1)
    rows, total, hits, gaps, squares, expected = to_numpy(ops.segment_sum(columns, code, num_segments=bins)).T
    size = np.maximum(rows, 1)
    spread = squares - gaps**2 / size
    if design.cluster is not None:
        residual = to_numpy(gap) - (gaps / size)[to_numpy(code)]
        key = to_numpy(code).astype(np.int64) * design.units + design.cluster
        key, unit = device.places(key)
        spread = device.tally(key // design.units, bins, device.tally(unit, len(key), residual) ** 2)
    variance = (np.maximum(spread, 0) + expected / size) * size / np.maximum(size - 1, 1)
    return Bins(edges, rows, total, hits, variance, expected)


@double_precision
def calibration_error(
    labels: Any,
    probabilities: Any,
    *,
    bins: int = BINS,
    equal: Equal = "width",
    confidence: float = 0.95,
    design: Design | None = None,
) -> CalibrationError:
    """Expected calibration error of the prediction: labels (N,), probabilities (N, K). Naeini et al. (AAAI 2015).

    Noise in the bins makes their gaps larger on average. By how much depends on the gaps without noise: `bias` takes
    for them the root of gap squared less variance. The interval reaches down from the value less that bias, and up from
    the value less the smaller bias that the gaps as seen would have. See `expected_calibration_error` for the value
    alone.
    """
    check_confidence(confidence)
    rows = read_rows(labels, probabilities)
    design = check_design(design, len(rows.labels))
    _check_bins(bins, equal)
    binned = bin_scores(rows.confidence, rows.correct, design, bins, equal)
    return error_of_bins([binned], len(rows.labels), design.quantile(confidence))


@double_precision
def classwise_calibration_error(
    labels: Any,
    probabilities: Any,
    *,
    bins: int = BINS,
    equal: Equal = "width",
    confidence: float = 0.95,
    design: Design | None = None,
) -> CalibrationError:
    """The mean over the K classes of the calibration error of each class's column. Kull et al. (NeurIPS 2019).

    Columns share their rows, so the noise of the mean is taken as the mean of the columns' noise, which is never too
    little.
    """
    check_confidence(confidence)
    rows = read_rows(labels, probabilities)
    design = check_design(design, len(rows.labels))
    _check_bins(bins, equal)
    columns = rows.probabilities.astype(np.float64).T
    binned = [bin_scores(column, rows.labels == index, design, bins, equal) for index, column in enumerate(columns)]
    return error_of_bins(binned, len(rows.labels), design.quantile(confidence))


def error_of_bins(binned: Sequence[Bins], rows: int, z: float) -> CalibrationError:
    """The calibration error of one or more binned scores over the same N rows, z standard errors to either side."""
    gaps = [np.abs(bins.hits - bins.score) / rows for bins in binned]
    noises = [np.sqrt(bins.variance) / rows for bins in binned]
    value = _mean_sum(gaps)
    shrunk = [np.sqrt(np.maximum(gap**2 - noise**2, 0)) for gap, noise in zip(gaps, noises, strict=True)]
    most = _mean_sum([_bias(gap, noise) for gap, noise in zip(shrunk, noises, strict=True)])
    least = _mean_sum([_bias(gap, noise) for gap, noise in zip(gaps, noises, strict=True)])
    reach = z * float(np.mean([np.sqrt(np.sum(noise**2)) for noise in noises]))
    if_calibrated = _mean_sum([np.sqrt(2 / math.pi * bins.expected) / rows for bins in binned])
    low, high = max(0.0, value - most - reach), min(1.0, max(value, value - least + reach))
    return CalibrationError(value, low, high, most, if_calibrated)


def _mean_sum(parts: Sequence[Doubles]) -> float:
    """Sums over the bins of each score, and their mean over the scores."""
    return float(np.mean([np.sum(part) for part in parts]))


def _bias(gap: Doubles, noise: Doubles) -> Doubles:
    """By how much normal noise of this standard error raises the size of a gap on average; none without noise."""
    ratio = gap / np.where(noise > 0, noise, 1)
    seen = noise * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) + gap * (1 - 2 * norm.cdf(-ratio))
    return np.where(noise > 0, seen - gap, 0.0)


def expected_calibration_error(confidence: Doubles, correct: NDArray[np.bool_], bins: int = BINS) -> float:
    """Confidence of the prediction (N,), whether it was right (N,) -> ECE over bins of equal width, noise and all."""
    code = device.bins(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    return float(np.abs(device.tally(code, bins, correct - confidence)).sum() / len(correct))


@double_precision
def reliability(
    labels: Any,
    probabilities: Any,
    *,
    bins: int = BINS,
    equal: Equal = "width",
    confidence: float = 0.95,
    design: Design | None = None,
) -> tuple[ReliabilityBin, ...]:
    """The reliability diagram's points, one for each bin that has a row: mean confidence against accuracy."""
    check_confidence(confidence)
    rows = read_rows(labels, probabilities)
    design = check_design(design, len(rows.labels))
    _check_bins(bins, equal)
    binned = bin_scores(rows.confidence, rows.correct, design, bins, equal)
    code = device.bins(rows.confidence, binned.edges[1:-1])
    return tuple(
        ReliabilityBin(
            low=float(binned.edges[index]),
            high=float(binned.edges[index + 1]),
            rows=int(binned.rows[index]),
            confidence=float(binned.score[index] / binned.rows[index]),
            accuracy=proportion(rows.correct, code == index, design, confidence),
        )
        for index in np.flatnonzero(binned.rows)
    )


@double_precision
def brier_parts(labels: Any, probabilities: Any, *, bins: int = BINS) -> BrierParts:
    """The parts of the Brier score, every class's column in bins of equal width. Murphy (1973)."""
    rows = read_rows(labels, probabilities)
    _check_bins(bins, "width")
    total = len(rows.labels)
    design = check_design(None, total)
    parts = np.zeros(3)
    for index, column in enumerate(rows.probabilities.astype(np.float64).T):
        binned = bin_scores(column, rows.labels == index, design, bins, "width")
        size = np.maximum(binned.rows, 1)
        happened, overall = binned.hits / size, binned.hits.sum() / total
        apart = (
            np.sum((binned.score / size - happened) ** 2 * binned.rows),
            np.sum((happened - overall) ** 2 * binned.rows),
        )
        parts += (*(part / total for part in apart), overall * (1 - overall))
    brier = float(rows.brier.mean())
    reliability, resolution, uncertainty = (float(part) for part in parts)
    return BrierParts(brier, reliability, resolution, uncertainty, brier - (reliability - resolution + uncertainty))


def _check_bins(bins: int, equal: str) -> None:
    """Refuse bins that are none."""
    if not isinstance(bins, int | np.integer) or bins < 1 or equal not in ("width", "mass"):
        raise InputError(
            f"Expected a whole number of bins, one or more, of equal 'width' or 'mass'. "
            f"Received: {bins} of equal {equal!r}."
        )
