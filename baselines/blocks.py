"""Runs array functions over any number of images, a block at a time, compiled once a shape. It knows no feature."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

VALUES_PER_BLOCK = 2**19  # pixels times channels: small enough for the caches, large enough to hide the cost of a call


class Program:
    """Functions of a batch, one after the other, each compiled by XLA, that answer for a whole array of images.

    What a later stage reads more than once is worth a stage of its own: inside one program XLA on a CPU would compute
    it again for every reader. `prepare` turns a block (n, H, W, C) in NumPy into what the first stage takes.
    """

    def __init__(
        self, *stages: Callable[[Any], Any], prepare: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    ) -> None:
        self.stages = [_compiled(stage) for stage in stages]
        self.prepare = prepare or np.ascontiguousarray

    def __call__(self, images: NDArray[Any]) -> NDArray[Any]:
        """(N, H, W, C), N >= 0, possibly a memory map that is read a block at a time -> the answers, (N, ...).

        All blocks have one shape (the last is filled up with zeros), so that one compilation serves any N; a set
        smaller than a block takes the next power of sixteen. Blocks run on all cores; an interrupt waits for those
        under way.
        """
        shape = getattr(images, "shape", ())
        if len(shape) != 4 or 0 in shape[1:]:
            raise ValueError(
                f"Expected images as (N, H, W, C). Received: {getattr(images, 'dtype', type(images))} {shape}."
            )
        size = _block_size(len(images), int(np.prod(shape[1:])))
        first = self._answer(images[:size], size)
        answers = np.empty((len(images), *first.shape[1:]), first.dtype)
        answers[:size] = first

        def fill(start: int) -> None:
            answers[start : start + size] = self._answer(images[start : start + size], size)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(fill, range(size, len(images), size)):
                pass
        return answers

    def _answer(self, images: NDArray[Any], size: int) -> NDArray[Any]:
        missing = size - len(images)
        block: Any = self.prepare(np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else images)
        for stage in self.stages:
            block = stage(block)
        return keras.ops.convert_to_numpy(block)[: len(images)]


def planes(images: NDArray[Any]) -> NDArray[Any]:
    """(N, H, W, C) -> (C, N, H, W), in a fifth of NumPy's time for bytes."""
    count, height, width, channels = images.shape
    if images.dtype != np.uint8 or channels == 1:
        return np.ascontiguousarray(images.transpose(3, 0, 1, 2))
    parted = np.empty((channels, count * height, width), np.uint8)
    cv2.split(np.ascontiguousarray(images).reshape(count * height, width, channels), list(parted))
    return parted.reshape(channels, count, height, width)


def _block_size(images: int, values: int) -> int:
    largest = 2 ** int(np.log2(max(1, VALUES_PER_BLOCK // values)))
    return min(largest, 16 ** int(np.ceil(np.log2(max(1, images)) / 4)))  # compiling costs more than filling up


def _compiled(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        graph = tf.function(function, jit_compile=True, autograph=False)
        programs: dict[Any, Any] = {}  # by shape: TensorFlow would warn of every fifth shape, though all are wanted

        def run(batch: Any) -> Any:
            tensor = tf.convert_to_tensor(batch)
            shape = (*tensor.shape, tensor.dtype)
            if shape not in programs:
                programs[shape] = graph.get_concrete_function(tf.TensorSpec(tensor.shape, tensor.dtype))
            return programs[shape](tensor)

        return run
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function
