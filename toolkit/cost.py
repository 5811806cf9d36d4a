"""What a contestant costs: seconds, bytes, latency, parameters. The only library module that reads a clock."""

import os
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from toolkit.classifier import Classifier
from toolkit.errors import InputError

Result = TypeVar("Result")

BATCHES = (32, 256)  # batch sizes that are tried, as far as there are images
SLOWEST = 4.0  # seconds; a batch that would take longer is not tried
FEWEST, MOST = 3, 200  # calls of each size that are timed, whatever they take


@dataclass(frozen=True)
class Cost:
    """What it costs to ask a fitted classifier, warm. Seconds are wall time of `predict_proba`, which returns NumPy
    arrays and so has waited for the device.
    """

    one_image_p50_seconds: float  # one image alone
    one_image_p95_seconds: float
    batch_seconds_per_image: float  # median call of the best batch, divided by its images
    batch_p50_seconds: float  # the whole batch
    batch_p95_seconds: float
    best_batch: int  # images in the batch with the smallest time an image
    repeats: int  # calls timed with one image; p95 of fewer than 20 is about their slowest
    threads: int  # cores that this process may use
    parameters: int | None  # floating-point numbers that the pickle holds: weights, support vectors, means
    size_bytes: int | None  # of the pickle; None where there can be none

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def timed(function: Callable[[], Result]) -> tuple[Result, float]:
    """Call `function` once; return what it returned and the wall seconds it took."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def stopwatch() -> Callable[[], float]:
    """A function that returns the wall seconds since this call."""
    start = time.perf_counter()
    return lambda: time.perf_counter() - start


def measure(classifier: Classifier, images: NDArray[np.uint8], *, seconds: float = 1.0) -> Cost:
    """Ask a fitted classifier for some of the images uint8 (N, H, W, C), alone and in batches, and time the answers.

    Every batch size is asked once before it is timed, so that compilation is not counted; then about `seconds` in all
    are spent, half of them on single images, and no less than FEWEST calls of each size are timed; a batch size whose
    call would take longer than SLOWEST is not tried. Images are taken in turn, so that no cache answers.
    """
    if len(images) == 0:
        raise InputError("Expected at least one image to measure the cost with. Received none.")
    ones = _timings(classifier, images, 1, seconds / 2)
    sizes = [size for size in BATCHES if size <= len(images)] or [len(images)]
    best_size, best = 1, ones
    for size in sizes:
        if float(np.median(best)) * size / best_size > SLOWEST:
            break
        timings = _timings(classifier, images, size, seconds / 2 / len(sizes))
        if np.median(timings) / size < np.median(best) / best_size:
            best_size, best = size, timings
    return Cost(
        one_image_p50_seconds=float(np.median(ones)),
        one_image_p95_seconds=float(np.quantile(ones, 0.95)),
        batch_seconds_per_image=float(np.median(best)) / best_size,
        batch_p50_seconds=float(np.median(best)),
        batch_p95_seconds=float(np.quantile(best, 0.95)),
        best_batch=best_size,
        repeats=len(ones),
        threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        parameters=parameters(classifier),
        size_bytes=size_bytes(classifier),
    )


def _timings(classifier: Classifier, images: NDArray[np.uint8], size: int, seconds: float) -> list[float]:
    """Wall seconds of calls with `size` images each, the first call left out."""
    starts = range(0, len(images) - size + 1, size)
    classifier.predict_proba(images[:size])
    timings: list[float] = []
    while len(timings) < FEWEST or (sum(timings) < seconds and len(timings) < MOST):
        start = starts[len(timings) % len(starts)]
        batch = np.ascontiguousarray(images[start : start + size])  # read before the clock starts
        timings.append(timed(lambda batch=batch: classifier.predict_proba(batch))[1])  # type: ignore[misc]
    return timings


def size_bytes(classifier: Any) -> int | None:
    """Bytes of the fitted classifier as pickled: what must be kept to predict again; None for one that cannot be."""
    try:
        return len(pickle.dumps(classifier, protocol=pickle.HIGHEST_PROTOCOL))
    except (pickle.PicklingError, TypeError, AttributeError):  # a class inside a function, a lambda, an open file
        return None


def parameters(classifier: Any) -> int | None:
    """Floating-point numbers in the arrays that the pickle of a fitted classifier holds, each array once.

    So it means the same on both sides: a network's weights (moving averages included), an SVM's support vectors and
    coefficients, a scaler's means.
    """
    counter = _Counter(BytesIO(), protocol=pickle.HIGHEST_PROTOCOL)
    try:
        counter.dump(classifier)
    except (pickle.PicklingError, TypeError, AttributeError):
        return None
    return counter.numbers


class _Counter(pickle.Pickler):
    """Pickles into nowhere and counts the floating-point numbers that it meets."""

    numbers = 0

    def persistent_id(self, obj: Any) -> int | None:
        """Called for every object; an array is counted once and not written."""
        if not isinstance(obj, np.ndarray) or obj.dtype.kind not in "fV":
            return None
        self.seen: dict[int, Any] = getattr(self, "seen", {})
        if id(obj) not in self.seen:
            self.seen[id(obj)] = obj  # kept, so that its id is not given to another
            self.numbers += obj.size
        return id(obj)
