"""One trial: fit on training rows, score on validation rows. It knows the protocol, and not who proposed the values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from toolkit.cost import timed
from toolkit.data import Dataset, Split
from toolkit.errors import InputError, unknown
from toolkit.tuning.declared import ChangedError, Space, build
from toolkit.tuning.pruning import hopeless

OBJECTIVES = {"log_loss": "min", "accuracy": "max", "macro_f1": "max"}


@dataclass(frozen=True)
class Trial:
    """One setting and what became of it; plain values, JSON both ways."""

    number: int  # from 0
    origin: str  # "defaults", "random", "suggested", "grid" or "promoted"
    values: dict[str, Any]
    share: float = 1.0  # of the training rows, which hyperband gives in parts
    bracket: int = 0  # of hyperband
    level: int = 0  # of that bracket
    status: str = "running"  # or "finished", "failed", "pruned": ended before its time, as hopeless
    metrics: dict[str, float] = field(default_factory=dict)  # every objective, on the validation rows
    error: str = ""
    curve: tuple[float, ...] = ()  # hold-out loss by epoch, of those that learn in epochs, in the first fold
    limits: tuple[float, ...] = ()  # by epoch, while it runs: worse is hopeless
    seconds: float = 0.0  # of fit and predict
    elapsed_seconds: float = 0.0  # of the search, when it ended

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` gave, read from JSON."""
        sequences = {name: tuple(values[name]) for name in ("curve", "limits") if name in values}
        return cls(**{**values, **sequences})


@dataclass(frozen=True)
class Job:
    """What all trials of a search share."""

    function: Space
    space: Any  # keras_tuner.HyperParameters
    rows: "Rows"
    seed: int
    declared: Sequence[Mapping[str, Any]]  # `description` of what the function asks for, before it was narrowed
    digest: str = ""  # SHA-256 of all that makes the search this one and no other


@dataclass(frozen=True)
class Rows:
    """What a trial may see: pairs of row numbers to learn from and to be scored on, over images that never change."""

    images: NDArray[np.uint8]  # (N, H, W, C)
    labels: NDArray[np.int64]  # (N,)
    folds: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]  # one pair for the hold-out
    classes: int


def check_objective(objective: str) -> None:
    """Refuse a name that is not among `OBJECTIVES`."""
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES)


def rows_of(dataset: Dataset, folds: int, seed: int) -> Rows:
    """The rows of a search, never those of the test: train against validation, or k folds of both together.

    Folds keep the shares of the classes, and rows of one `group` in one fold where the data name groups.
    """
    both: Split = dataset.fitting
    count = len(dataset.train)
    if folds == 0:
        if not len(dataset.validation):
            raise InputError(
                "Expected validation rows to choose by. This data set has none: load it with validation=0.1, or ask "
                "for folds (--folds 3)."
            )
        pairs = ((np.arange(count), np.arange(count, len(both))),)
        return Rows(both.images, both.labels, pairs, dataset.classes)
    smallest = int(np.bincount(both.labels, minlength=dataset.classes).min())
    if not 2 <= folds <= smallest:
        raise InputError(f"Expected 2 to {smallest} folds, the rows of the smallest class. Received: {folds}.")
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    groups = both.columns.get("group")
    splitter = (StratifiedKFold if groups is None else StratifiedGroupKFold)(folds, shuffle=True, random_state=seed)
    return Rows(
        both.images, both.labels, tuple(splitter.split(np.zeros(len(both)), both.labels, groups)), dataset.classes
    )


def run_trial(job: Job, trial: Trial) -> Trial:
    """The trial with its outcome; an error of the classifier is an outcome too."""
    watch = _Curve(trial.limits)

    def guarded() -> dict[str, float] | str:
        try:
            return _scored(job, trial, watch)
        except ChangedError:
            raise
        except Exception as error:  # a failing setting is a result, whatever it raised
            return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]

    result, seconds = timed(guarded)
    trial = replace(trial, seconds=seconds, curve=tuple(watch.losses), limits=())
    if isinstance(result, str):
        return replace(trial, status="failed", error=result)
    return replace(trial, status="pruned" if watch.ended else "finished", metrics=result)


class _Curve:
    """The hold-out losses of a training, and whether it was ended by them."""

    def __init__(self, limits: tuple[float, ...]) -> None:
        self.limits, self.losses, self.ended = limits, list[float](), False

    def __call__(self, history: Mapping[str, list[float]]) -> bool:
        """Called after each epoch with a list of values an epoch; True ends the training."""
        self.losses = [round(float(loss), 6) for loss in history.get("holdout_loss", ())]
        self.ended = self.ended or hopeless(self.losses, self.limits)
        return self.ended


def _scored(job: Job, trial: Trial, watch: _Curve) -> dict[str, float]:
    """Every objective over the rows of all folds taken together; of a pruned trial, of the first."""
    from toolkit.evaluation import point_metrics  # here, because Keras takes seconds to import

    rows, labels, answers = job.rows, [], []
    for fold, (learn, judge) in enumerate(rows.folds):
        learn = _part(rows.labels, learn, trial.share, job.seed)
        classifier = build(job.function, job.space, trial.values, job.declared)
        if fold == 0 and hasattr(classifier, "each_epoch"):
            classifier.each_epoch = watch
        classifier.fit(_taken(rows.images, learn), rows.labels[learn])
        answer = np.asarray(classifier.predict_proba(_taken(rows.images, judge)))
        answers.append(_columns(classifier, answer, rows.classes))
        labels.append(rows.labels[judge])
        if watch.ended:
            break
    probabilities = np.concatenate(answers)
    if not np.isfinite(probabilities).all():
        raise ValueError("Expected probabilities. Received NaN or infinity.")
    metrics: Mapping[str, float] = point_metrics(np.concatenate(labels), probabilities)
    return {name: float(metrics[name]) for name in OBJECTIVES}


def _taken(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The rows; without a copy where they follow each other."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return images[rows[0] : rows[-1] + 1]
    return images[rows]


def _part(labels: NDArray[np.int64], rows: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """A share of the rows, the same for all trials: of each class, and no fewer than 5 of it or all."""
    if share >= 1:
        return rows
    random = np.random.default_rng(seed)
    kept = []
    for label in np.unique(labels[rows]):
        own = random.permutation(rows[labels[rows] == label])
        kept.append(own[: max(5, round(share * len(own)))])
    return np.sort(np.concatenate(kept))


def _columns(classifier: Any, answer: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """Columns in the order of `classes_` -> a column for each of all K classes, zeros for those not seen in fit."""
    seen = np.asarray(getattr(classifier, "classes_", np.arange(classes)))
    if answer.ndim != 2 or answer.shape[1] != len(seen):
        raise ValueError(f"Expected probabilities (N, {len(seen)}). Received: {answer.shape}.")
    probabilities = np.zeros((len(answer), classes), np.float32)
    probabilities[:, seen.astype(int)] = answer
    return probabilities
