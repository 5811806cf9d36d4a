"""What a training's curves say about it: under-fitting, over-fitting, fine, and what to change. It knows numbers only.

Rules of thumb, as textbooks read learning curves (Goodfellow, Bengio & Courville, Deep Learning, 2016, chapter 11); the
thresholds are ours. Accuracies are measured from chance, so that 0.6 of two classes and 0.2 of ten are both little.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

GAP = 0.1  # of accuracy, from the rows learned from to those held back: more is over-fitting
RISE = 0.25  # of the held-back loss behind its best epoch, by that: more is over-fitting
LITTLE = 0.75  # of the way from chance to 1, on the rows learned from: less is under-fitting
FALL = 0.1  # of the loss in the last fifth of the epochs, by its value before: more is not converged
STEADY = 0.03  # the same for each epoch of that fifth, where it is a few
JUMP, JUMPS = 0.3, 0.15  # a loss that rises by that share of itself in one epoch; such epochs by all: more is unstable
MOVE = 0.02  # of the logarithm of the classes: a loss that changes by less has not moved, whatever share that is
FEWEST = 3  # epochs of which anything is said


@dataclass(frozen=True)
class Diagnosis:
    """`kind` is one of fine, over-fitting, under-fitting, not converged, unstable, too short."""

    kind: str
    words: str  # what was seen, with the numbers
    advice: tuple[str, ...]  # what to change, the most promising first

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "advice": list(self.advice)}

    def __str__(self) -> str:
        """The kind, the words and the advice on a few lines."""
        tries = "".join(f"\n  - {line}" for line in self.advice)
        return f"{self.kind[0].upper()}{self.kind[1:]}: {self.words}{tries}"


def diagnose(
    history: Mapping[str, Sequence[float | None]], best_epoch: int, classes: int, mirror: bool = False
) -> Diagnosis:
    """Judge `history_` and `best_epoch_` of a `KerasClassifier` that was fitted on so many classes.

    Of a training in phases, the phase of the best epoch is judged. Without rows held back, over-fitting is not seen.
    mirror: whether features are averaged over an image and its mirror image already.
    """
    loss, accuracy, held, right, best = _of_phase(history, best_epoch)
    if history.get("phase") and history["phase"][best_epoch] == OPTIMUM:
        return _of_optimum(accuracy[best], right[best] if right else math.nan, classes, mirror)
    if len(loss) < FEWEST:
        words = f"the curve has {len(loss)} of the {FEWEST} epochs that it takes to say anything."
        return Diagnosis("too short", words, ("Train longer: more `epochs`.",))
    guess = 1 / classes
    judged = held or loss
    end = accuracy[-1]
    reached = f"accuracy {accuracy[best]:.3f} on the rows learned from"
    reached += f", {right[best]:.3f} on those held back" if right else "; no rows were held back"
    if _jumps(loss) > max(1, JUMPS * len(loss)):
        words = f"the loss rose by more than {JUMP:.0%} in {_jumps(loss)} of {len(loss)} epochs; {reached}."
        return Diagnosis("unstable", words, _ADVICE["unstable"])
    moved = MOVE * math.log(classes)
    rise = held[-1] / held[best] - 1 if held and held[best] > 0 and held[-1] > held[best] + moved else 0.0
    gap = end - right[best] if right else 0.0
    if held and (gap > GAP or (rise > RISE and loss[-1] < loss[best])):
        words = f"{reached}"
        if rise > RISE:
            words += f"; the held-back loss was lowest in epoch {best + 1} and rose by {rise:.0%} after it"
        else:
            words += f", a gap of {gap:.2f} at the end"
        return Diagnosis("over-fitting", f"{words}.", _ADVICE["over-fitting"])
    back = max(1, len(judged) // 5)
    before = judged[-1 - back]
    fall = min(FALL, STEADY * back)
    if best == len(loss) - 1 and judged[-1] < min((1 - fall) * before, before - moved):
        last = "last epoch" if back == 1 else f"last {back} epochs"
        words = f"the loss still fell, from {before:.3f} to {judged[-1]:.3f} in the {last}; {reached}."
        return Diagnosis("not converged", words, _ADVICE["not converged"])
    top = max(accuracy[best], right[best] if right else 0.0)  # mixed and varied rows are harder than those held back
    if top - guess < LITTLE * (1 - guess):
        words = f"{reached}, where {guess:.3f} is guessing, and it gains little more."
        return Diagnosis("under-fitting", words, _ADVICE["under-fitting"])
    advice = () if held else ("Hold rows back (`holdout`) to see whether it over-fits.",)
    return Diagnosis("fine", f"{reached}; the best epoch was {best + 1} of {len(loss)}.", advice)


def _of_optimum(learned: float, unseen: float, classes: int, mirror: bool) -> Diagnosis:
    """Of a linear head that was solved: no longer training would change it, so only its two accuracies count."""
    words = f"the linear head was solved to its optimum: accuracy {learned:.3f} on the rows learned from"
    if not math.isfinite(unseen):
        return Diagnosis("fine", f"{words}; there were too few to try it on others.", ())
    words += f", {unseen:.3f} on rows that it had not seen"
    if max(learned, unseen) - 1 / classes < LITTLE * (1 - 1 / classes):
        return Diagnosis("under-fitting", f"{words}, where {1 / classes:.3f} is guessing.", _OPTIMUM["under-fitting"])
    if learned - unseen > GAP:
        more = "More images" + ("." if mirror else _MIRROR)
        return Diagnosis("over-fitting", f"{words}.", (more, *_OPTIMUM["over-fitting"]))
    return Diagnosis("fine", f"{words}.", ())


OPTIMUM = 1.5  # the phase of such a head in a history
_MIRROR = "; or features averaged over each image and its mirror image: the option `mirror`."
_OPTIMUM = {
    "under-fitting": (
        "Another or a larger backbone, larger images.",
        "Its last layers fine-tuned: `unfreeze=0.3`.",
        "Look at the labels: `touchstone audit DATA`.",
    ),
    "over-fitting": (
        "Its last layers fine-tuned with variation: `unfreeze=0.3`, `augment`.",
        "Another backbone, nearer to these images.",
    ),
}
_ADVICE = {
    "unstable": (
        "A lower `learning_rate`: a third of it, or what `--find-rate` finds.",
        "A longer `warmup`, a larger `batch_size`.",
        "Gradients cut to a length (`clip`).",
    ),
    "over-fitting": (
        "More images, or stronger variation of those there are (`augment`: light, standard, strong).",
        "A pretrained network with its backbone frozen, or a smaller network.",
        "More `weight_decay`, `dropout`, `label_smoothing`.",
    ),
    "not converged": ("More `epochs`: twice as many.", "A higher `learning_rate`, as `--find-rate` finds it."),
    "under-fitting": (
        "A higher `learning_rate`, as `--find-rate` finds it, or more `epochs`.",
        "A larger or a pretrained network, larger images.",
        "Less of what holds it back: `augment`, `weight_decay`, `dropout`.",
        "Look at the labels: `touchstone audit DATA`.",
    ),
}


def _of_phase(
    history: Mapping[str, Sequence[float | None]], best_epoch: int
) -> tuple[list[float], list[float], list[float], list[float], int]:
    """Loss, accuracy, held-back loss and accuracy of the best epoch's phase, and its number in it."""
    columns = {
        name: [math.inf if value is None else float(value) for value in column] for name, column in history.items()
    }
    phases = columns.get("phase") or [0.0] * len(columns["loss"])
    phase = phases[best_epoch]
    chosen = [epoch for epoch, number in enumerate(phases) if number == phase]
    names = ("loss", "accuracy", "holdout_loss", "holdout_accuracy")
    loss, accuracy, held, right = (
        [columns[name][epoch] for epoch in chosen] if name in columns else [] for name in names
    )
    return loss, accuracy, held, right, best_epoch - chosen[0]


def _jumps(loss: Sequence[float]) -> int:
    """Epochs whose loss is higher than that of the epoch before by more than a share of it, and by more than noise."""
    return sum(after > (1 + JUMP) * before + 0.02 for before, after in pairwise(loss))
