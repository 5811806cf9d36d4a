"""One contestant of a duel: fitted, asked, its costs measured, its settings as plain values. It judges nothing."""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit import cost, runs
from toolkit.classifier import Classifier
from toolkit.data import Dataset, Split
from toolkit.errors import InputError

NETWORKS = ("KerasClassifier", "BackboneFeatures")  # ours; others are known by Keras' own classes
CALIBRATED = ("Calibrated", "CalibratedClassifierCV")  # ours and scikit-learn's


class Contended(NamedTuple):
    """A contestant after its part."""

    classifier: Classifier  # fitted
    predictions: runs.Predictions  # of the test rows
    costs: dict[str, Any]
    held_out: runs.Predictions | None = None  # of rows that it was given and has not learned from, where it tells


def contend(name: str, classifier: Classifier, dataset: Dataset, checkpoint: Path | None = None) -> Contended:
    """Fit one contestant and let it answer for the test rows; what it refuses (ValueError) bears its name.

    A network writes `checkpoint` after each epoch, and goes on from it where it is there.
    """
    learn, test = dataset.fitting, dataset.test
    with _named(name):
        with checkpointed(classifier, checkpoint):
            _, fit_seconds = cost.timed(lambda: fit(classifier, learn))
        classifier.predict_proba(test.images[:64])  # warm-up: compilation is not the price of an image
        answer, predict_seconds = cost.timed(lambda: classifier.predict_proba(test.images))
    predictions = predictions_of(name, classifier, np.asarray(answer), test, dataset)
    costs = {
        "fit_seconds": fit_seconds + earlier_seconds(classifier),
        "predict_seconds_per_image": predict_seconds / max(len(test.labels), 1),
        "size_bytes": cost.size_bytes(classifier),
        "cost": cost.measure(classifier, test.images).to_dict(),
        **learning_of(classifier),
        "made_of": made_of(classifier),
    }
    return Contended(classifier, predictions, costs, held_out(name, classifier, learn, dataset))


def held_out(name: str, classifier: Any, split: Split, dataset: Dataset) -> runs.Predictions | None:
    """What a classifier fitted on `split` answers for the rows of it that it held back, of those that tell: an
    attribute `held_out_` with `rows` (M,), their numbers in the split, and `probabilities` (M, K as it knows them).
    """
    told: Any = getattr(classifier, "held_out_", None)
    if not (hasattr(told, "rows") and hasattr(told, "probabilities")):
        return None
    columns = {column: values[told.rows] for column, values in split.columns.items()}
    rows = Split(split.images[:0], split.labels[told.rows], split.names[told.rows], columns)  # pixels are not asked for
    return predictions_of(name, classifier, np.asarray(told.probabilities), rows, dataset)


def fit(classifier: Any, split: Split) -> None:
    """Fit on a split, whose groups go to a `fit` that takes them: what it holds back has no siblings then."""
    groups = split.columns.get("group")
    takes = groups is not None and "groups" in inspect.signature(classifier.fit).parameters
    classifier.fit(split.images, split.labels, **({"groups": groups} if takes else {}))


def check_weights(contestants: Mapping[str, Any], image_shape: tuple[int, int, int]) -> None:
    """Let those that begin with weights of others read them once: seconds now, or one fails after the others' hours.

    Raises:
        InputError: weights that are missing, damaged or of another network, with the contestant's name.
    """
    for name, classifier in contestants.items():
        inside = classifier.get_params().values() if hasattr(classifier, "get_params") else ()
        for part in (classifier, *inside):  # a pipeline's features too
            if hasattr(part, "check_weights"):
                with _named(name):
                    part.check_weights(image_shape)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put a contestant's name before what it refuses; baselines, which know no InputError, refuse images alone."""
    try:
        yield
    except InputError as error:
        raise InputError(f"Contestant '{name}': {error}") from error
    except ValueError as error:
        raise InputError(f"Contestant '{name}' refuses these images: {error}") from error


@contextmanager
def checkpointed(classifier: Any, path: Path | None) -> Iterator[None]:
    """Inside, a classifier that can keep a checkpoint, and keeps none, does so at `path`."""
    wanted = path is not None and getattr(classifier, "checkpoint", path) is None
    if wanted:
        classifier.checkpoint = path
    try:
        yield
    finally:
        if wanted:
            classifier.checkpoint = None  # of this run, not of what was fitted


def earlier_seconds(classifier: Any) -> float:
    """What the fit had cost before the checkpoint that it went on from; 0 where there was none."""
    return float(getattr(classifier, "earlier_seconds_", 0.0))


def predictions_of(
    name: str, classifier: Any, answer: NDArray[Any], split: Split, dataset: Dataset
) -> runs.Predictions:
    """What `classifier.predict_proba` answered for the rows of a split (N, K as it knows them), as it is kept."""
    return runs.Predictions(
        labels=split.labels,
        probabilities=_columns(name, classifier, answer, len(dataset.class_names)),
        names=np.asarray(split.names, dtype=np.str_),
        class_names=tuple(dataset.class_names),
        manifest=dataset.manifest.sha256,
        columns={column: values for column, values in split.columns.items() if values.ndim == 1},
    )


def learning_of(classifier: Any) -> dict[str, Any]:
    """How it learned, of those that say so: `history_`, a value an epoch (NaN becomes None), `best_epoch_`, and
    `diagnosis`, what those say.
    """
    history = getattr(classifier, "history_", None)
    if not isinstance(history, Mapping):
        return {}
    values = {
        str(name): [float(value) if np.isfinite(value) else None for value in column]
        for name, column in history.items()
    }
    best = getattr(classifier, "best_epoch_", None)
    told: dict[str, Any] = {"history": values, "best_epoch": None if best is None else int(best)}
    diagnosis = getattr(classifier, "diagnosis", None)
    return told if diagnosis is None else {**told, "diagnosis": diagnosis.to_dict()}


def _columns(name: str, classifier: Any, answer: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """Put the columns, which follow `classes_`, in their places among all K; a class never seen in fit gets 0."""
    seen = np.asarray(getattr(classifier, "classes_", np.arange(classes)))
    if answer.ndim != 2 or answer.shape[1] != len(seen) or not np.isin(seen, np.arange(classes)).all():
        raise InputError(
            f"Expected '{name}' to answer with (N, {len(seen)}), a column for each class. Received: {answer.shape}."
        )
    probabilities = np.zeros((len(answer), classes), np.float32)
    probabilities[:, seen.astype(int)] = answer
    return probabilities


def made_of(classifier: Any) -> dict[str, Any]:
    """Whether a network is in it, at any depth; whether its own fit ends in a calibration; and the names of its
    members, where it is an ensemble of several.
    """
    members = getattr(classifier, "members", None) or getattr(classifier, "estimators", None) or ()
    named = [str(part[0]) for part in members if isinstance(part, tuple) and len(part) == 2]
    steps = getattr(classifier, "steps", None)
    calibrated = type(steps[-1][1] if steps else classifier).__name__ in CALIBRATED
    return {"network": _has_network(classifier), "calibrated": calibrated, "members": named}


def _has_network(part: Any) -> bool:
    """Look through scikit-learn's parameters, which hold steps, members and what is wrapped."""
    if type(part).__name__ in NETWORKS or any(
        (base.__module__.split(".")[0], base.__name__) == ("keras", "Model") for base in type(part).__mro__
    ):
        return True
    if isinstance(part, list | tuple):
        return any(_has_network(one) for one in part)
    if not hasattr(part, "get_params") or isinstance(part, type):
        return False
    return any(_has_network(value) for value in part.get_params(deep=False).values())


def settings(classifier: Any) -> dict[str, Any]:
    """What a contestant was told, as plain values: a dataclass's fields, scikit-learn's parameters, else its repr."""
    if dataclasses.is_dataclass(classifier) and not isinstance(classifier, type):
        told: dict[str, Any] = {
            field.name: getattr(classifier, field.name)
            for field in dataclasses.fields(classifier)
            if field.init and not field.name.endswith("_")
        }
    elif hasattr(classifier, "get_params"):
        told = {key: value for key, value in classifier.get_params().items() if not hasattr(value, "get_params")}
    else:
        told = {"repr": classifier}
    return {"type": type(classifier).__name__, **{key: plain(value) for key, value in sorted(told.items())}}


def plain(value: Any) -> Any:
    """A setting as JSON holds it; what has no such form, by its repr."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))  # an address would make every process another run
