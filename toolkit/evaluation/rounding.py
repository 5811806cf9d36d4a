"""How a number is rounded so that it still keeps its promise. It knows not what the number is of."""

import math


def rounded_up(difference: float, decimals: int = 3) -> float:
    """A smallest difference as it is told, no smaller than it is: one as large as what is shown would show."""
    if not math.isfinite(difference):
        return difference
    scale = 10**decimals
    return math.ceil(difference * scale - 1e-6) / scale  # what the product misses by is no reason to go up
