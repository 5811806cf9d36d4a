"""Which of the training rows are held back to choose the best epoch. It sees labels and groups, and no image."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold


class HeldOut(NamedTuple):
    """What a fit answers for rows that it has not learned from; they may have chosen its best epoch."""

    rows: NDArray[np.int64]  # (M,), their numbers among those that `fit` was given
    probabilities: NDArray[np.float32]  # (M, K), columns in the order of `classes_`


Rows = tuple[NDArray[np.int64], NDArray[np.int64]]
ENOUGH = 5  # rows of a class, one of which is held back however small the share


def stratified_holdout(labels: NDArray[np.int64], share: float, seed: int, groups: NDArray[Any] | None = None) -> Rows:
    """Row numbers to train on and to hold back, both sorted: `share` of each class, rounded down.

    Of a class of `ENOUGH` rows one is held back at least, a smaller one may train whole, and each keeps a row to train
    on. Rows of one of `groups` (N,) stay on one side: a sibling among the rows learned from would flatter an epoch.
    """
    if not share:
        return np.arange(len(labels)), np.arange(0)
    if groups is not None and len(np.unique(groups)) < len(labels):
        return _by_groups(labels, share, seed, groups)
    generator = np.random.default_rng(seed)
    held = [
        generator.permutation(rows)[: min(max(int(share * len(rows)), len(rows) >= ENOUGH), len(rows) - 1)]
        for rows in (np.flatnonzero(labels == label) for label in np.unique(labels))
    ]
    back = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), back), back


def _by_groups(labels: NDArray[np.int64], share: float, seed: int, groups: NDArray[Any]) -> Rows:
    """About `share` of the rows in whole groups; a class all of whose groups were drawn trains with them instead."""
    count = len(np.unique(groups))
    everything = np.arange(len(labels))
    if count < 2:
        return everything, everything[:0]
    most = min(count, int(np.bincount(labels).max()))  # scikit-learn's own limit
    if most < 2:
        return everything, everything[:0]
    folds = StratifiedGroupKFold(min(most, max(2, round(1 / share))), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a class has fewer rows than there are folds
        held = next(folds.split(labels, labels, groups))[1]
    lost = np.setdiff1d(labels, np.delete(labels, held))
    held = held[~np.isin(groups[held], groups[np.isin(labels, lost)])]
    return np.setdiff1d(everything, held), np.sort(held)
