"""Everything about a training but the network, the images and the seed, as plain values. It knows no Keras."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from toolkit.errors import InputError, unknown
from toolkit.pipeline.policy import Policy, policy_of

OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop", "lion")
SCHEDULES = ("cosine", "constant", "step", "one_cycle")


@dataclass(frozen=True)
class Recipe:
    """How to train: `Recipe(epochs=50, augment="standard")`; `to_json` and `from_json` are each other's inverse.

    Raises:
        InputError: a value out of its range, or an unknown name with the nearest known one.
    """

    epochs: int | None = None  # at most, see `patience`; None: as many as show 30,000 images, from 20 to 60
    batch_size: int = 64  # or all training rows, where those are fewer
    optimizer: str = "adamw"
    learning_rate: float = 2e-3  # the schedule's peak
    schedule: str = "cosine"  # from the peak to zero
    warmup: float = 0.1  # share of all steps over which the rate rises from zero to the peak
    weight_decay: float = 0.05  # decoupled, times the learning rate; biases, norms are spared
    label_smoothing: float = 0.0
    augment: str | Policy = "light"
    class_weight: str | None = None  # "balanced": every class counts the same in the loss
    sampling: str = "once"  # or "balanced": every class is seen equally often
    holdout: float = (
        0.1  # share of the training rows, of each class, that choose the best epoch; 0: the last epoch is kept
    )
    patience: int = 10  # epochs without a better hold-out loss before the training ends
    # Of networks with pretrained weights: first their head on frozen features, then their last layers, 20 times slower
    frozen_epochs: int | None = None  # of the head, at most; None: as `epochs`
    passes: int = 1  # through the frozen backbone; 1: the images as they are, more: each time augmented anew
    unfreeze: float = 0.0  # share of the backbone's layers that move in the second phase; 0: there is none
    layer_decay: float = 0.1  # learning rate of the lowest layer that moves, by the head's; geometric between

    def __post_init__(self) -> None:
        if not isinstance(self.augment, str):
            object.__setattr__(self, "augment", policy_of(self.augment))
        policy_of(self.augment)
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown(name, str(getattr(self, name)), [str(choice) for choice in known])
        for name, (low, high) in _RANGES.items():
            self._check_number(name, low, high)

    def _check_number(self, name: str, low: float, high: float) -> None:
        value, whole = getattr(self, name), name in _WHOLE
        if value is None and name in ("epochs", "frozen_epochs"):
            return
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise InputError(f"Expected {name} as {kind} from {low:g} to {high:g}. Received: {value!r}.")

    def for_rows(self, rows: int) -> Self:
        """The same recipe with what depends on the number of training rows filled in: epochs, and a batch no larger."""
        epochs = self.epochs or min(60, max(20, round(30_000 / rows)))
        return dataclasses.replace(self, epochs=epochs, batch_size=min(self.batch_size, rows))

    def to_json(self) -> str:
        """All fields, as one JSON object on one line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The recipe that `to_json` wrote; fields left away have their defaults."""
        try:
            fields = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"Expected a recipe as a JSON object. Received: {text[:40]!r} ({error}).") from error
        if not isinstance(fields, Mapping):
            raise InputError(f"Expected a recipe as a JSON object. Received: {text[:40]!r}.")
        return cls.from_fields(fields)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """The recipe with these fields, refusing any that it does not have."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in known:
                raise unknown("recipe field", name, known)
        return cls(**fields)


_CHOICES: dict[str, tuple[str | None, ...]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "class_weight": (None, "balanced"),
    "sampling": ("once", "balanced"),
}

_WHOLE = ("epochs", "batch_size", "patience", "frozen_epochs", "passes")
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 100_000),
    "batch_size": (1, 1_000_000),
    "learning_rate": (0, 100),
    "warmup": (0, 1),
    "weight_decay": (0, 100),
    "label_smoothing": (0, 0.99),
    "holdout": (0, 0.9),
    "patience": (1, 100_000),
    "frozen_epochs": (1, 100_000),
    "passes": (1, 1_000),
    "unfreeze": (0, 1),
    "layer_decay": (0, 1),
}
