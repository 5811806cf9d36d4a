"""Over which devices and processes a training is spread. It knows neither network nor images.

One machine: TensorFlow's MirroredStrategy or Keras' DataParallel on JAX, over all accelerators unless some are named.
Several processes: JAX alone. Every batch is divided evenly, whatever its size: it is filled up with rows of weight
zero, and the others weigh that much more, so that the gradient is that of the batch as it was. On TensorFlow BatchNorm
takes the statistics of a device's share.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from toolkit.environment import accelerators
from toolkit.errors import InputError, unknown


@contextmanager
def spread(devices: Sequence[str] | None = None) -> Iterator[None]:
    """Inside, networks are built on, and trained over, these devices ("gpu:0", ...); None: all accelerators there are.

    Raises:
        InputError: a device that is not there, or a `keras.distribution` on a backend other than JAX, where it would
            run on one device and say nothing.
    """
    jax = keras.backend.backend() == "jax"
    if keras.distribution.distribution() is not None:
        if not jax:
            raise InputError(
                "Expected no keras.distribution on TensorFlow, where it does not distribute. Received one; take it "
                "away (all GPUs are used without it), or set KERAS_BACKEND=jax."
            )
        yield  # the user's own
        return
    chosen = _chosen(devices, jax)
    if len(chosen) < 2:
        yield
    elif jax:
        with keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False).scope():
            yield
    else:
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(chosen).scope():
            yield


def _chosen(devices: Sequence[str] | None, jax: bool) -> list[str]:
    """The names that exist, of those named, or of all accelerators; of all processors, where there are processes."""
    if devices is None:
        found = accelerators()
        return found if found or not jax or processes()[1] == 1 else keras.distribution.list_devices("cpu")
    for device in devices:
        kind = device.split(":")[0]
        known = accelerators() if kind != "cpu" else _processors(jax)
        if device not in known:
            raise unknown("device", device, known or ["cpu:0"])
    return list(devices)


def _processors(jax: bool) -> list[str]:
    if jax:
        return [str(name) for name in keras.distribution.list_devices("cpu")]
    import tensorflow as tf

    return [f"cpu:{number}" for number in range(len(tf.config.list_logical_devices("CPU")))]


def join(coordinator: str, count: int, number: int) -> None:
    """Become process `number` of `count` of one training, before Keras computes anything. All must be there."""
    check_backend()
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(coordinator, count, number)


def check_backend() -> None:
    """Refuse several processes on another backend than JAX."""
    backend = keras.backend.backend()
    if backend != "jax":
        raise InputError(f"Expected the JAX backend for several processes. Received: {backend}. Set KERAS_BACKEND=jax.")


def processes() -> tuple[int, int]:
    """Number of this process, and how many there are: (0, 1) but for `join`."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def check_agreed(numbers: Sequence[int]) -> None:
    """Refuse to begin where processes would go on from different states, and then wait for one another for ever."""
    if processes()[1] == 1:
        return
    from jax.experimental.multihost_utils import process_allgather

    seen = np.asarray(process_allgather(np.asarray(numbers)))
    if (seen != seen[0]).any():
        raise InputError(
            "Expected all processes to see the same checkpoint. Some see another; give all one folder that they share."
        )


def shares() -> int:
    """Into how many parts a batch is divided, over all processes."""
    distribution = keras.distribution.distribution()
    if distribution is not None:
        return int(distribution.device_mesh.devices.size)
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def divided(source: Any) -> Any:
    """A `tf.data.Dataset` of batches, made ready for `shares()` devices: this process's part of each."""
    return source if shares() == 1 else source.map(even)


def even(images: Any, targets: Any, weights: Any = None) -> tuple[Any, Any, Any]:
    """A batch (B, ...), (B, K), perhaps (B,) -> this process's part of it, filled up to a multiple of its devices.

    Rows that fill up are copies of weight zero; the weights of the others grow, so that the mean over all is as before.
    """
    import tensorflow as tf

    number, count = processes()
    rows = tf.shape(images)[0]
    missing = -rows % shares()
    whole = rows + missing
    weight = tf.ones(rows) if weights is None else tf.cast(weights, "float32")
    weight = tf.concat([weight * tf.cast(whole / rows, "float32"), tf.zeros(missing)], 0)
    part = whole // count
    mine = tf.range(number * part, (number + 1) * part)
    return tf.gather(images, mine % rows), tf.gather(targets, mine % rows), tf.gather(weight, mine)
