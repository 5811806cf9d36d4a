"""Which trainings are hopeless: the median rule over hold-out losses by epoch. Numbers in, numbers out.

After Golovin et al. (Google Vizier, KDD 2017): a training ends when its best value so far is worse than the median of
what the others had reached by then. They average each curve up to the epoch, we take its best value, because the epoch
that is kept is the best one.
"""

from collections.abc import Sequence

import numpy as np

FEWEST = 5  # curves of others; a median of fewer says little
FREE = 4  # epochs at the beginning that are never judged: the learning rate still rises


def limits(curves: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Hold-out losses by epoch of other trainings -> the median of their best so far by epoch; () for too few.

    A training that ended earlier, of itself or because it was pruned, counts on with the best value that it had.
    """
    known = [curve for curve in curves if curve]
    if len(known) < FEWEST:
        return ()
    longest = max(map(len, known))
    best = [np.minimum.accumulate([*curve, *[min(curve)] * (longest - len(curve))]) for curve in known]
    return tuple(float(value) for value in np.round(np.median(best, axis=0), 6))


def hopeless(curve: Sequence[float], above: Sequence[float]) -> bool:
    """Whether a training with these hold-out losses so far is worse than the limits allow."""
    place = len(curve) - 1
    return FREE <= place < len(above) and min(curve) > above[place]
