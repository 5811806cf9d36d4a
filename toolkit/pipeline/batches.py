"""Training batches as a pure function of seed, epoch and step: shuffled, gathered, augmented. It knows no network.

Because every batch can be made by itself, an interrupted training goes on with the batches it would have had.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.pipeline.augment import aligned, augment
from toolkit.pipeline.plan import draw, mixed_targets, parts
from toolkit.pipeline.policy import Policy, policy_of

Sampling = Literal["once", "balanced"]
Spec = tuple[str, tuple[int, ...]]  # dtype and shape of an array without its first axis


class Images(Protocol):
    """Where pixels come from: an array, a memory map, or files that are decoded when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""
        ...

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        """uint8 (B, H, W, C) for int64 rows (B,), in the order asked."""
        ...


@dataclass(frozen=True)
class Subset:
    """Some rows of larger images, without copying them."""

    images: Images
    rows: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """(number of rows, H, W, C)."""
        return (len(self.rows), *self.images.shape[1:])

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        return self.images[self.rows[rows]]


def gather(images: Images, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """uint8 (B, H, W, C) of `rows` (B,), read once from an array or memory map; other images answer for themselves."""
    if isinstance(images, Subset):
        return gather(images.images, images.rows[rows])
    if not isinstance(images, np.ndarray):
        return images[rows]
    batch = aligned((len(rows), *images.shape[1:]))
    return np.take(images, rows, axis=0, out=batch, mode="clip")  # any other mode would fill a buffer first


class Batches:
    """`batches.batch(epoch, step)`: images uint8 (B, H, W, C), targets float32 (B, K), perhaps weights float32 (B,).

    In every epoch each row comes exactly once, in an order that depends on seed and epoch alone; the last batch of an
    epoch may be smaller. With `sampling="balanced"` an epoch has as many rows, drawn with replacement, every class
    equally often on average. `class_weight` (K,) becomes the weights; without it they are left away.
    """

    def __init__(
        self,
        images: Images,
        labels: NDArray[np.int64],
        batch_size: int,
        policy: str | Policy = "none",
        *,
        seed: int = 0,
        class_weight: NDArray[np.floating] | None = None,
        sampling: Sampling = "once",
    ) -> None:
        if len(labels) != images.shape[0] or not len(labels):
            raise InputError(
                f"Expected a label for each of {images.shape[0]} images, one or more. Received: {len(labels)}."
            )
        if batch_size < 1:
            raise InputError(f"Expected a batch size of 1 or more. Received: {batch_size}.")
        self.images, self.labels, self.batch_size = images, np.asarray(labels), batch_size
        self.policy, self.seed, self.sampling = policy_of(policy), seed, sampling
        self.class_weight = None if class_weight is None else np.asarray(class_weight, np.float32)
        self.classes = int(self.labels.max()) + 1
        self.image_shape = (images.shape[1], images.shape[2], images.shape[3])
        self.steps = -(-len(self.labels) // batch_size)  # in one epoch
        self._orders: dict[int, NDArray[np.int64]] = {}

    def batch(self, epoch: int, step: int) -> tuple[NDArray[Any], ...]:
        """The batch of step 0..steps - 1 of an epoch."""
        images, plan, *rest = self.planned(epoch, step)
        return (augment(images, plan), *rest)

    def planned(self, epoch: int, step: int) -> tuple[Any, ...]:
        """The same batch with its images as they are, then the plan that says how to vary them, then the rest."""
        rows = self.order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        plan = draw(self.policy, len(rows), self.image_shape, np.random.default_rng((self.seed, 1, epoch, step)))
        labels = self.labels[rows]
        targets = mixed_targets(np.eye(self.classes, dtype=np.float32)[labels], plan)
        batch = gather(self.images, rows), plan, targets
        return batch if self.class_weight is None else (*batch, self.class_weight[labels])

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Row numbers (N,) of one epoch."""
        known = self._orders.get(epoch)
        if known is None:
            generator = np.random.default_rng((self.seed, 0, epoch))
            if self.sampling == "balanced":
                known = generator.choice(len(self.labels), len(self.labels), p=self._chances)
            else:
                known = generator.permutation(len(self.labels))
            self._orders = {epoch: known}  # one is enough; threads that miss it at the same time make the same one
        return known

    @cached_property
    def _chances(self) -> NDArray[np.float64]:
        """(N,): one over the size of the row's class, summing to 1."""
        counts = np.bincount(self.labels, minlength=self.classes)
        chances = 1.0 / counts[self.labels]
        return chances / chances.sum()

    def dataset(
        self, epoch: int | Callable[[], int] = 0, threads: int | None = None, *, on_device: bool = False
    ) -> Any:
        """One epoch as a `tf.data.Dataset`, batches in order, made on `threads` threads and fetched ahead.

        With a function, every pass asks it anew which epoch this is: Keras goes over one data set in all epochs.
        `on_device` leaves the images as they are: in their place stand the inputs of `toolkit.pipeline.device.Augment`.
        """
        fields = parts(draw(self.policy, 1, self.image_shape, np.random.default_rng(0))) if on_device else {}
        specs: list[Spec] = [("uint8", self.image_shape)]
        specs += [(str(one.dtype), one.shape[1:]) for one in fields.values()]
        specs += [("float32", (self.classes,))]
        if self.class_weight is not None:
            specs += [("float32", ())]

        def make(step: int) -> tuple[NDArray[Any], ...]:
            place = (epoch() if callable(epoch) else epoch, step)
            if not on_device:
                return self.batch(*place)
            images, plan, *rest = self.planned(*place)
            return (images, *parts(plan).values(), *rest)

        found = stepped(make, self.steps, specs, threads)
        if not on_device:
            return found
        names = ("images", *fields)
        return found.map(lambda *made: (dict(zip(names, made, strict=False)), *made[len(names) :]))


def stepped(
    make: Callable[[int], tuple[NDArray[Any], ...]], steps: int, specs: Sequence[Spec], threads: int | None = None
) -> Any:
    """`make(step)` of each step in turn, arrays (B, ...) of these dtypes and shapes, as a `tf.data.Dataset`.

    TensorFlow keeps for ever what `numpy_function` is given, so that is a weak reference: the data set alone holds
    `make`, on which hang the images and, by the epoch that is running, the network.
    """
    import tensorflow as tf

    known = weakref.ref(make)

    def made(step: Any) -> tuple[NDArray[Any], ...]:
        alive = known()
        if alive is None:
            raise RuntimeError("Expected the data set to be held on to while it is gone through. Received: one let go.")
        return alive(int(step))

    def batch(step: Any) -> tuple[Any, ...]:
        arrays = tf.numpy_function(made, [step], [tf.as_dtype(dtype) for dtype, _ in specs])
        return tuple(tf.ensure_shape(one, (None, *shape)) for one, (_, shape) in zip(arrays, specs, strict=True))

    numbers = tf.data.Dataset.range(steps)
    found = numbers.map(batch, num_parallel_calls=threads or tf.data.AUTOTUNE, deterministic=True).prefetch(2)
    found.make = make
    return found


def balanced_weights(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Class weights (K,) under which every class counts the same and the mean over the rows is 1."""
    counts = np.bincount(labels)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)
