"""In which numbers a network computes, and whether it gives the same bits each time. It knows no network.

Mixed precision (Micikevicius et al., ICLR 2018): weights and logits stay float32, layers between compute in 16 bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from toolkit.errors import InputError


def resolved(precision: str) -> str:
    """What "auto" means here: bfloat16 on a TPU and a GPU from Ampere on, float16 from Volta on, float32 elsewhere.

    On a CPU bfloat16 made some networks faster and others slower, so that there it is by name only. Raises InputError
    for float16 on a CPU, which computes it more slowly than float32 and gains nothing.
    """
    kind, capability = _device()
    if precision == "float16" and kind == "cpu":
        raise InputError(
            "Expected precision float32, bfloat16 or auto on a CPU. Received: 'float16', slower than float32 there."
        )
    if precision != "auto":
        return precision
    if kind == "tpu" or (kind == "gpu" and capability >= (8, 0)):
        return "bfloat16"
    return "float16" if kind == "gpu" and capability >= (7, 0) else "float32"


@contextmanager
def computing(precision: str) -> Iterator[None]:
    """Layers that are made inside compute in `precision` (see `resolved`), if they are not told otherwise."""
    before = keras.config.dtype_policy()
    if precision != "float32":
        keras.config.set_dtype_policy(f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def same_bits(wanted: bool) -> Iterator[None]:
    """Inside, TensorFlow takes only kernels whose sums have a fixed order; JAX on a CPU has no others."""
    if not wanted or keras.backend.backend() != "tensorflow":
        yield
        return
    from tensorflow.python.framework import config  # the way back is not among the public names

    before = config.is_op_determinism_enabled()
    config.enable_op_determinism()
    try:
        yield
    finally:
        if not before:
            config.disable_op_determinism()


def _device() -> tuple[str, tuple[int, ...]]:
    """Kind of the first accelerator ("cpu" without one) and a GPU's compute capability, (0, 0) where it has none."""
    if keras.backend.backend() == "jax":
        import jax

        first: Any = jax.devices()[0]
        capability = str(getattr(first, "compute_capability", "0.0"))
        kind = "gpu" if first.platform in ("gpu", "cuda", "rocm") else first.platform
        return kind, tuple(int(part) for part in capability.split(".")) if capability[:1].isdigit() else (0, 0)
    import tensorflow as tf

    if tf.config.list_logical_devices("TPU"):
        return "tpu", (0, 0)
    cards = tf.config.list_physical_devices("GPU")
    if not cards:
        return "cpu", (0, 0)
    return "gpu", tf.config.experimental.get_device_details(cards[0]).get("compute_capability", (0, 0))
