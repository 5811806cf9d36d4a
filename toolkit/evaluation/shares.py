"""A share of the rows, with an interval that knows how they were drawn. It knows no metric and no model."""

import numpy as np
from numpy.typing import NDArray

from toolkit.evaluation.design import Design, standard_error
from toolkit.evaluation.intervals import UNDEFINED, Interval, score, wilson


def proportion(hit: NDArray[np.bool_], of: NDArray[np.bool_], design: Design, confidence: float = 0.95) -> Interval:
    """The share of rows `of` (N,) that are `hit` (N,); Wilson's interval for rows drawn alone, undefined for none."""
    hits, trials = int(np.sum(hit & of)), int(of.sum())
    if trials == 0:
        return UNDEFINED
    if design.simple:
        return wilson(hits, trials, confidence)
    value = hits / trials
    error = standard_error(design.sums(of * (hit - value) / trials))
    units = trials if design.cluster is None else len(np.unique(design.cluster[of]))
    return score(value, error, units, design.quantile(confidence))
