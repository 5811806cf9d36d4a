"""What a contestant costs: seconds, bytes, milliseconds an image. The only library module that reads a clock."""

import pickle
import time
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


def timed(function: Callable[[], Result]) -> tuple[Result, float]:
    """Call `function` once; return what it returned and the wall seconds it took."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def size_bytes(classifier: Any) -> int:
    """Bytes of the fitted classifier as pickled: what must be kept to predict again, on either side alike."""
    return len(pickle.dumps(classifier, protocol=pickle.HIGHEST_PROTOCOL))
