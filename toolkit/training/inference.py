"""A network's answers for many images, in batches of bounded memory. It knows no labels."""

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.pipeline.batches import Images

PIXELS = 2**20  # a batch at once: at 64 float32 channels 256 MiB, the most that a layer of ours keeps at full size
ROWS = 512
ONE_AT_A_TIME = threading.Lock()  # a network uses all cores, and Keras expects one caller


def logits(network: Any, images: Images) -> NDArray[np.float32]:
    """uint8 (N, H, W, C), or features float32 (N, D) for a head, -> the network's output float32 (N, K).

    The last batch is filled up with black images to the size of the others, or, where it is the only one, to a power
    of two: a new shape would have the network traced or compiled again.
    """
    count = images.shape[0]
    size = min(rows_at_once(images.shape), 1 << max(0, count - 1).bit_length())
    parts = []
    for start in range(0, count, size):
        batch = np.asarray(images[np.arange(start, min(start + size, count))])
        missing = size - len(batch)
        filled = np.pad(batch, ((0, missing), *[(0, 0)] * (batch.ndim - 1))) if missing else batch
        with ONE_AT_A_TIME:
            parts.append(np.asarray(network.predict_on_batch(filled), np.float32)[: len(batch)])
    return np.concatenate(parts) if parts else np.zeros((0, network.output_shape[-1]), np.float32)


def rows_at_once(shape: tuple[int, ...]) -> int:
    """Rows of a batch from arrays (N, H, W, C) or (N, D): a power of two."""
    return _power_of_two_up_to(min(ROWS, max(1, PIXELS // math.prod(shape[1:3]))))


def log_softmax(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits (N, K) -> log probabilities (N, K)."""
    shifted = values.astype(np.float64) - values.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _power_of_two_up_to(value: int) -> int:
    return 1 << (value.bit_length() - 1)
