"""A search space whose scores are a closed form of its settings, for tests of the tuner: no image is looked at."""

import numpy as np

from toolkit.data import Dataset, Manifest, Split


class Closed:
    """Says a class with a probability such that the log loss on the validation rows of `pretend_data` is `loss`."""

    def __init__(self, loss):
        self.loss = loss

    def fit(self, images, labels):
        self.classes_ = np.unique(labels)
        return self

    def predict_proba(self, images):
        return np.tile([np.exp(-self.loss), 1 - np.exp(-self.loss)], (len(images), 1))


def bowl(hp):
    """Lowest, 0.1, at x = 0.3, y = 0.7, kind = b."""
    x, y = hp.Float("x", 0, 1, default=0.9), hp.Float("y", 0, 1, default=0.1)
    kind = hp.Choice("kind", ["a", "b", "c"])
    return Closed(0.1 + (x - 0.3) ** 2 + (y - 0.7) ** 2 + {"a": 0.2, "b": 0.0, "c": 0.1}[kind])


def few(hp):
    """Six settings in all."""
    return Closed(0.1 * hp.Int("n", 1, 3) + 0.05 * hp.Choice("k", [0, 1]))


def conditional(hp):
    """Z matters for kind b only."""
    kind = hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        z = hp.Float("z", 0, 1)
    return Closed(0.5 if kind == "a" else 0.1 + z)


def fails(hp):
    """Raises in fit where x is over a half."""
    return Failing(hp.Float("x", 0, 1, default=0.1))


class Failing(Closed):
    """Fits only what it likes."""

    def fit(self, images, labels):
        if self.loss > 0.5:
            raise MemoryError(f"no room for {self.loss:.1f}")
        return super().fit(images, labels)


class Learner(Closed):
    """Learns in epochs: the loss falls from 1 to its own over ten of them, unless whoever follows ends it."""

    each_epoch = None

    def fit(self, images, labels):
        curve = [1 + (self.loss - 1) * (epoch + 1) / 10 for epoch in range(10)]
        for epoch in range(10):
            if self.each_epoch is not None and self.each_epoch({"holdout_loss": curve[: epoch + 1]}):
                self.loss = curve[epoch]
                break
        return super().fit(images, labels)


def learner(hp):
    """A bowl that is learnt in epochs."""
    return Learner(0.1 + abs(hp.Float("x", 0, 1, default=0.9) - 0.3))


def pretend_data():
    """20 training rows of two classes, 6 validation rows of the first, 4 test rows."""

    def part(name, labels):
        labels = np.array(labels, np.int64)
        names = np.array([f"{name}/{row}" for row in range(len(labels))])
        return Split(np.zeros((len(labels), 4, 4, 1), np.uint8), labels, names)

    parts = part("train", [0, 1] * 10), part("validation", [0] * 6), part("test", [0, 1] * 2)
    return Dataset(*parts, ("a", "b"), Manifest("pretend", 0, {"train": 20, "validation": 6, "test": 4}, "0" * 64))
