"""Which of the training rows are held back to choose the best epoch. It sees labels only."""

import numpy as np
from numpy.typing import NDArray


def stratified_holdout(
    labels: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers to train on and to hold back, both sorted: `share` of each class, rounded down.

    A class always keeps a row to train on; a class too small for a held-back row at this share trains whole.
    """
    generator = np.random.default_rng(seed)
    held = [
        generator.permutation(rows)[: min(int(share * len(rows)), len(rows) - 1)]
        for rows in (np.flatnonzero(labels == label) for label in np.unique(labels))
    ]
    back = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), back), back
