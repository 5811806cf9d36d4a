"""Everything about a training but the network, the images and the seed, as plain values. It knows no Keras."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from toolkit.errors import InputError, unknown
from toolkit.pipeline.policy import Policy, policy_of

LOSSES = ("cross_entropy", "sparse_cross_entropy", "focal", "margin")
OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop", "lion")
SCHEDULES = ("cosine", "constant", "step", "one_cycle")
PRECISIONS = ("float32", "bfloat16", "float16", "auto")


@dataclass(frozen=True)
class Recipe:
    """How to train: `Recipe(epochs=50, augment="standard")`; `to_json` and `from_json` are each other's inverse.

    Raises:
        InputError: a value out of its range, or an unknown name with the nearest known one.
    """

    epochs: int | None = None  # at most, see `patience`; None: as many as show 30,000 images, from 20 to 60
    batch_size: int = 64  # or all training rows, where those are fewer
    loss: str = "cross_entropy"  # focal: Lin et al. (2017); margin: what capsules want, Sabour et al. (2017)
    optimizer: str = "adamw"
    learning_rate: float = 2e-3  # the schedule's peak; of a frozen head times the root of 1,280 / its features
    momentum: float = 0.9  # of sgd, in Nesterov's form
    schedule: str = "cosine"  # from the peak to zero
    warmup: float = 0.1  # share of all steps over which the rate rises from zero to the peak
    weight_decay: float = 0.05  # decoupled, times the learning rate; biases, norms are spared
    l2: float = 0.0  # times the sum of the kernels' squares, added to the loss: decay through the optimiser
    clip: float = 0.0  # greatest length of the gradient of all weights together; 0: any
    ema: float = 0.0  # momentum of the weights' moving average, which is judged and kept in their place; 0: none
    label_smoothing: float = 0.0
    dropout: float | None = None  # of the network; None: its own
    stochastic_depth: float | None = None  # of the network, at its last block; None: its own
    precision: str = "float32"  # bfloat16, float16: mixed, weights and logits stay float32; auto: where the GPU gains
    deterministic: bool = False  # the same bits in every run on the same machine, at a price in speed
    augment: str | Policy = "light"
    class_weight: str | None = None  # "balanced": every class counts the same in the loss
    sampling: str = "once"  # or "balanced": every class is seen equally often
    holdout: float = 0.1  # share of the training rows, of each class, that choose the best epoch; 0: the last is kept
    patience: int = 10  # epochs without a better hold-out loss before the training ends
    # Of networks with pretrained weights: first their head on frozen features, then their last layers, 20 times slower
    frozen_epochs: int | None = None  # of the head, at most; None: as `epochs`
    passes: int = 1  # through the frozen backbone; 1: the images as they are, more: each time augmented anew
    refit: bool = (
        True  # a head that was watched is then solved, if linear, or trained anew; without `unfreeze` on all rows
    )
    unfreeze: float | str = 0.0  # what moves then: a share of the layers from the last, "all", or names' beginnings
    layer_decay: float = 0.1  # learning rate of the lowest layer that moves, by the head's; geometric between

    def __post_init__(self) -> None:
        if not isinstance(self.augment, str):
            object.__setattr__(self, "augment", policy_of(self.augment))
        mixes = policy_of(self.augment).mixes
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown(name, str(getattr(self, name)), [str(choice) for choice in known])
        for name, (low, high) in _RANGES.items():
            self._check_number(name, low, high)
        for name in ("deterministic", "refit"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"Expected {name} as true or false. Received: {getattr(self, name)!r}.")
        if self.loss == "sparse_cross_entropy" and (self.label_smoothing or mixes):
            raise InputError(
                "Expected loss='cross_entropy' with label smoothing, MixUp or CutMix, whose labels are shares. "
                "Received: 'sparse_cross_entropy'."
            )

    def _check_number(self, name: str, low: float, high: float) -> None:
        value, whole = getattr(self, name), name in _WHOLE
        if (value is None and name in _MAY_BE_NONE) or (name == "unfreeze" and isinstance(value, str) and value):
            return
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise InputError(f"Expected {name} as {kind} from {low:g} to {high:g}. Received: {value!r}.")

    @classmethod
    def preset(cls, name: str, **fields: Any) -> Self:
        """The recipe of that name in `PRESETS`, with these fields in place of its own."""
        if name not in PRESETS:
            raise unknown("preset", name, PRESETS)
        return cls.from_fields({**PRESETS[name], **fields})

    def for_rows(self, rows: int) -> Self:
        """The same recipe with what depends on the number of training rows filled in: epochs, and a batch no larger."""
        epochs = self.epochs or min(60, max(20, round(30_000 / rows)))
        return dataclasses.replace(self, epochs=epochs, batch_size=min(self.batch_size, rows))

    def for_head(self, width: int) -> Self:
        """What a head on `width` frozen features is trained by: its own epochs, and a rate that fits them."""
        rate = self.learning_rate * math.sqrt(FEATURES / width)
        return dataclasses.replace(self, epochs=self.frozen_epochs or self.epochs, learning_rate=rate)

    def network_options(self) -> dict[str, float]:
        """What of the recipe is built into the network; a network that has no such option refuses it."""
        told = {"dropout": self.dropout, "depth": self.stochastic_depth}
        return {name: value for name, value in told.items() if value is not None}

    def describe(
        self, pretrained: bool = False, *, held: int | None = None, width: int | None = None
    ) -> tuple[str, ...]:
        """What will be done, a line for each phase; `pretrained` says that the network begins with others' weights.

        `held` is the number of images held back, and `width` that of features before the head, where they are known.
        """
        if not pretrained:
            return (f"{self._length(self.epochs)}, all layers: {self._means(held)}, {self._picture()}",)
        first = self.for_head(width or FEATURES)
        seen = f"{self.passes} passes, {self._picture()}" if self.passes > 1 else "each image seen once, as it is"
        head = f"{self._length(first.epochs)}, head on frozen features ({seen}): {first._means(held)}"
        if self.refit and self.holdout and held != 0:
            head += f", then{'' if self.unfreeze else ' on all rows,'} a linear one to its optimum"
        if not self.unfreeze:
            return (head,)
        what = "all layers" if self.unfreeze in (1, "all") else f"the layers {self.unfreeze}"
        if not isinstance(self.unfreeze, str) and self.unfreeze != 1:
            what = f"the last {self.unfreeze:.0%} of the layers"
        rates = f"learning rate {FINE * self.learning_rate:g}, {self.layer_decay:g} times that in the lowest"
        return head, f"{self._length(self.epochs)}, {what} and the head: {rates}, BatchNorm fixed, {self._picture()}"

    def _length(self, epochs: int | None) -> str:
        count = f"{epochs} epochs" if epochs else "epochs by the number of images"
        return f"{count} of batches of {self.batch_size}"

    def _means(self, held: int | None) -> str:
        """Loss, optimiser, rate, and of the rest what is not switched off."""
        parts = [
            self.loss.replace("_", " ") + (f" smoothed by {self.label_smoothing:g}" if self.label_smoothing else ""),
            f"{self.optimizer}, {self.schedule} learning rate {self.learning_rate:.3g}",
        ]
        for name in ("weight_decay", "l2", "clip", "ema", "dropout", "stochastic_depth"):
            parts += [f"{name.replace('_', ' ')} {getattr(self, name):g}"] if getattr(self, name) else []
        parts += [self.precision] if self.precision != "float32" else []
        parts += ["balanced classes"] if self.class_weight else []
        parts += ["balanced sampling"] if self.sampling != "once" else []
        parts += ["bit-equal runs"] if self.deterministic else []
        back = f"{self.holdout:.0%}" if held is None else f"{held} images"
        kept = f"best of the epochs on {back} held back" if self.holdout and held != 0 else "last epoch kept"
        if self.holdout and held == 0:
            kept += ", for the classes are too small to hold images back"
        return ", ".join([*parts, kept])

    def _picture(self) -> str:
        return f"augmentation {self.augment if isinstance(self.augment, str) else 'of its own'}"

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


FEATURES = 1280  # for so many the learning rate holds in a head; Adam's steps add up over more of them
FINE = 0.05  # phase two's learning rate, as a share of phase one's

PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"epochs": 10, "patience": 3},  # does it learn at all?
    "standard": {},
    "thorough": {  # two to five times as long, for the last points
        "epochs": 100, "patience": 20, "label_smoothing": 0.1, "ema": 0.99, "clip": 1.0, "passes": 4, "unfreeze": 0.3,
    },
    # He, Zhang, Ren & Sun (CVPR 2016), section 4.2, on CIFAR-10: the rate falls after a half and three quarters of the
    # 64,000 steps. Nesterov's momentum where theirs is plain; `l2` is half of their decay, which is the gradient's.
    "paper": {
        "epochs": 164, "batch_size": 128, "optimizer": "sgd", "learning_rate": 0.1, "schedule": "step", "warmup": 0.0,
        "weight_decay": 0.0, "l2": 5e-5, "augment": {"flip_horizontal": 0.5, "translation": 0.125}, "holdout": 0.0,
    },
}  # fmt: skip

_CHOICES: dict[str, tuple[str | None, ...]] = {
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "class_weight": (None, "balanced"),
    "sampling": ("once", "balanced"),
}

_WHOLE = ("epochs", "batch_size", "patience", "frozen_epochs", "passes")
_MAY_BE_NONE = ("epochs", "frozen_epochs", "dropout", "stochastic_depth")
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 100_000),
    "batch_size": (1, 1_000_000),
    "learning_rate": (0, 100),
    "momentum": (0, 0.9999),
    "warmup": (0, 1),
    "weight_decay": (0, 100),
    "l2": (0, 100),
    "clip": (0, 1e9),
    "ema": (0, 0.99999),
    "label_smoothing": (0, 0.99),
    "dropout": (0, 0.99),
    "stochastic_depth": (0, 0.99),
    "holdout": (0, 0.9),
    "patience": (1, 100_000),
    "frozen_epochs": (1, 100_000),
    "passes": (1, 1_000),
    "unfreeze": (0, 1),
    "layer_decay": (0, 1),
}
