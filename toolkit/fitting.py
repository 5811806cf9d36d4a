"""One contestant, fitted in a folder of its own: how it learned, and what it is worth on validation rows.

RUN/run.json is what makes a run this run and no other; RUN/checkpoint.npz, history.csv and tensorboard/ grow with the
epochs, and a frozen backbone's features wait in RUN/features; RUN/training.json is there when the fit is finished, and
with it predictions.npz, diagnosis.json and model/. Then checkpoint and features are gone.
"""

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import contending, cost, runs
from toolkit.artifact import load_model, save
from toolkit.classifier import Classifier
from toolkit.contending import earlier_seconds, learning_of, plain, predictions_of, settings
from toolkit.data import Dataset
from toolkit.environment import device, versions
from toolkit.errors import InputError
from toolkit.evaluation import Evaluation, evaluate
from toolkit.training.devices import processes

SCHEMA = 1  # of training.json
FILES = {"validation": "predictions.npz", "test": "test_predictions.npz"}


@dataclass(frozen=True)
class Fitted:
    """What `train` leaves behind."""

    name: str
    folder: Path
    details: dict[str, Any]  # training.json: settings, recipe, history, best_epoch, diagnosis, notes, seconds, versions
    evaluations: dict[str, Evaluation]  # by the part judged: validation, and test where that was asked for


def train(
    name: str,
    classifier: Classifier,
    dataset: Dataset,
    *,
    out: str | Path,
    test: bool = False,
    tensorboard: bool = False,
    find_rate: bool = False,
    command: str = "",
) -> Fitted:
    """Fit a contestant on the training rows and judge it on the validation rows, in the folder `out`.

    The same call goes on where an earlier one was ended, a network after its last whole epoch; another is refused. The
    test rows are judged with `test` only. With `find_rate` a network's learning rate is searched first.

    Of several processes (`toolkit.training.devices.join`) the first one writes; all need to see `out`.

    Raises:
        InputError: `out` is another run or no run, the contestant refuses the images, there is no row to judge on.
    """
    folder = Path(out)
    parts = ["validation"] * bool(len(dataset.validation.labels)) + ["test"] * test
    if not parts:
        raise InputError("Expected validation rows to judge on. Received none; give --validation a share, or --test.")
    identity: dict[str, Any] = {
        "schema": SCHEMA,
        "data": {
            "sha256": dataset.manifest.sha256,
            "pixels": dataset.pixels,
            "settings": plain(dict(dataset.manifest.settings)),
        },
        "contestants": {name: settings(classifier)},
        "learning rate": "searched" if find_rate else "given",
    }
    first = processes()[0] == 0  # the others fit with it, and leave writing and judging to it
    if first or (folder / "run.json").exists():
        runs.open_run(folder, identity)
    finished = folder / "training.json"
    missing = [part for part in parts if not (finished.exists() and (folder / FILES[part]).exists())]
    if missing and finished.exists() and (folder / "model").is_dir():
        if first:
            _judge(name, load_model(folder / "model"), dataset, folder, missing)
    elif missing:
        details = {"schema": SCHEMA, "name": name, "settings": identity["contestants"][name], "command": command}
        details |= _fit(name, classifier, dataset, folder, tensorboard=tensorboard and first, find_rate=find_rate)
        if not first:
            return Fitted(name, folder, details, {})
        _judge(name, classifier, dataset, folder, missing)
        details["notes"] += _keep_model(classifier, dataset, folder / "model")
        if "diagnosis" in details:
            runs.write_json(folder / "diagnosis.json", details["diagnosis"])
        runs.write_json(finished, details)
    if first:
        _clear(folder)
    stored = {part: runs.read_predictions(folder / FILES[part]) for part in parts}
    judged = {part: evaluate(one.labels, one.probabilities, one.class_names) for part, one in stored.items()}
    return Fitted(name, folder, runs.read_json(finished), judged)


def _clear(folder: Path) -> None:
    """Take away what only an unfinished training needs; it may have been killed when it had just been finished."""
    shutil.rmtree(folder / "features", ignore_errors=True)
    if (folder / "model").is_dir():  # else the checkpoint spares a second training where test rows are judged later
        (folder / runs.CHECKPOINT).unlink(missing_ok=True)


def _judge(name: str, classifier: Classifier, dataset: Dataset, folder: Path, parts: list[str]) -> None:
    """Write down what the fitted classifier answers for these parts of the data."""
    for part in parts:
        split = getattr(dataset, part)
        answer = np.asarray(classifier.predict_proba(split.images))
        runs.write_predictions(folder / FILES[part], predictions_of(name, classifier, answer, split, dataset))


def _fit(
    name: str, classifier: Any, dataset: Dataset, folder: Path, *, tensorboard: bool, find_rate: bool
) -> dict[str, Any]:
    """Fit in place, writing beside what can be written on the way; what there is to tell about it as plain values."""
    rows, ends, told = dataset.train, [], []
    keeps_features = getattr(classifier, "feature_cache", folder) is None
    if keeps_features:
        classifier.feature_cache = folder / "features"
    if hasattr(classifier, "checkpoint"):
        if find_rate:
            told = _take_rate(classifier, dataset, folder)
        writers: list[Callable[[Any], None]] = [lambda history: _write_table(folder, history)]
        if tensorboard:
            from toolkit.training.logs import TensorBoard

            events = TensorBoard(folder / "tensorboard")
            writers.append(events)
            ends.append(events.close)
        classifier.checkpoint = folder / runs.CHECKPOINT
        classifier.each_epoch = partial(_tell, writers)
    try:
        _, seconds = cost.timed(lambda: contending.fit(classifier, rows))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"Contestant '{name}' refuses these images: {error}") from error
    finally:
        for end in ends:
            end()
        if hasattr(classifier, "checkpoint"):
            classifier.checkpoint = classifier.each_epoch = None  # of this run, not of what was fitted
        if keeps_features:
            classifier.feature_cache = None
    seconds += earlier_seconds(classifier)
    details = {"fit_seconds": seconds, "notes": told + notes(classifier, dataset), **learning_of(classifier)}
    if hasattr(classifier, "recipe_"):
        if processes()[0] == 0:
            _write_table(folder, classifier.history_)
        details["recipe"] = dataclasses.asdict(classifier.recipe_)
    return {**details, "versions": versions(), "device": device()}


def _keep_model(classifier: Classifier, dataset: Dataset, folder: Path) -> list[str]:
    """Write the fitted classifier, or say in a line why that cannot be."""
    names, manifest, shape = dataset.class_names, dataset.manifest, dataset.image_shape
    try:
        save(classifier, folder, class_names=names, manifest=manifest, image_shape=shape)
    except InputError as error:
        return [f"No model is kept: {error}"]
    return []


def _tell(writers: list[Callable[[Any], None]], history: Any) -> None:
    for writer in writers:
        writer(history)


def _write_table(folder: Path, history: Any) -> None:
    from toolkit.training.logs import table

    runs.write_text(folder / "history.csv", table(history))


def _take_rate(classifier: Any, dataset: Dataset, folder: Path) -> list[str]:
    """Give the recipe the learning rate found, which is kept: a run that goes on does not search anew.

    A line says why where there was none to be found.
    """
    from toolkit.training.rates import find_learning_rate
    from toolkit.training.recipe import FINE

    kept = folder / "rates.json"
    if not kept.exists():
        if processes()[1] > 1:
            raise InputError("Expected --find-rate in one process. Received several; find it first, then --set it.")
        found = find_learning_rate(classifier, dataset.train.images, dataset.train.labels)
        if found is None:
            rate = classifier.recipe.learning_rate
            fine = f" The fine-tuning takes {FINE * rate:g}, {FINE:g} times learning_rate={rate:g}; --set another."
            tuned = fine if classifier.recipe.unfreeze else ""
            return [f"No learning rate was searched: the head is solved to its optimum, whatever the rate.{tuned}"]
        runs.write_json(kept, dataclasses.asdict(found))
    classifier.recipe = dataclasses.replace(classifier.recipe, learning_rate=runs.read_json(kept)["suggestion"])
    return []


def notes(classifier: Any, dataset: Dataset) -> list[str]:
    """What was done otherwise than told, and what a fit can make little of."""
    found = []
    wanted, carried_out = getattr(classifier, "recipe", None), getattr(classifier, "recipe_", None)
    if wanted is not None and carried_out is not None and wanted.batch_size > carried_out.batch_size:
        rows = carried_out.batch_size
        found.append(f"A batch of {wanted.batch_size} is more than the {rows} rows to learn from: all {rows} at once.")
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.class_names))
    for label in np.flatnonzero(counts == 1):
        found.append(
            f"Class '{dataset.class_names[label]}' has one image to learn from: nothing to hold back, or vary."
        )
    return found
