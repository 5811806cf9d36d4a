"""A classifier as files that hold no code: networks by Keras, all else by skops, types from a closed list.

What skops trusts by itself (scikit-learn's public estimators, NumPy's and SciPy's functions of numbers, plain values)
and `TRUSTED` is read. Nothing else is, and so nothing else is written.
"""

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.artifact.network import Architecture, read_network, write_network
from toolkit.artifact.trees import check_trees
from toolkit.errors import InputError
from toolkit.training import KerasClassifier, Recipe

# The types beyond skops' own that a model may hold. They are ours, or scikit-learn's private ones, and run nothing when
# they are built. Trees are looked into afterwards (`trees.py`).
TRUSTED = frozenset(
    {
        *(f"baselines.features.{name}" for name in ("HOGFeatures", "LBPFeatures", "PixelFeatures")),
        *(f"baselines.gridded.{name}Features" for name in ("Colour", "GLCM", "Gabor", "OpenCVHOG")),
        *(f"baselines.machines.{name}" for name in ("Calibrated", "PairwiseSVM", "SquaredHingeSVM")),
        *("baselines.approximate.KernelMap", "baselines.hinge.MinibatchSVM", "baselines.svm.ChosenByRows"),
        "baselines.heads.UnitScale",
        *(f"toolkit.ensemble.{name}" for name in ("Bagging", "Seeds", "Snapshots", "Stacking", "Voting")),
        *("toolkit.deep_features.BackboneFeatures", "toolkit.training.recipe.Recipe", "toolkit.pipeline.policy.Policy"),
        "toolkit.artifact.parts.Stored",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
    }
)
OWN = ("baselines.", "toolkit.", "sklearn.")  # modules whose objects are looked into for networks


@dataclass
class Stored:
    """What stands in a network's place inside classifier.skops: plain values and arrays."""

    file: str  # "" of one that was not fitted
    settings: dict[str, Any]  # what __init__ takes; the recipe as JSON
    learned: dict[str, Any]  # attributes that `fit` left, but the weights


@dataclass(frozen=True)
class Description:
    """What can be told about a classifier without asking it anything."""

    what: str
    image_shape: tuple[int, ...] | None
    weights: list[str]  # of networks that began with the weights of others, where those came from


def write_parts(classifier: Any, folder: Path, name: str) -> None:
    """Write `name` and network_0.keras, network_1.keras, ... into a new folder; refuse what could not be read back."""
    import skops.io

    count = 0

    def store(found: KerasClassifier) -> Stored:
        nonlocal count
        learned = found.learned()
        file = f"network_{count}.keras" if learned else ""
        if learned:
            write_network(found.network, folder / file)
            count += 1
        return Stored(file, _settings(found), {key: _told(value) for key, value in learned.items() if _tellable(value)})

    swapped = _swapped(classifier, KerasClassifier, store)
    try:
        data = skops.io.dumps(swapped)
    except Exception as error:  # a class inside a function, a lambda, an open file: skops raises many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"Expected a classifier made of plain values and arrays. Received: {reason}") from error
    _check_types(data, "save")
    (folder / name).write_bytes(data)


def read_parts(folder: Path, name: str) -> Any:
    """The classifier that `write_parts` wrote; refuses types that are not on the list before it builds any."""
    import skops.io

    path = folder / name
    if not path.is_file():
        raise InputError(f"Expected the file {name} in {folder}. It is missing; save the model again.")
    data = path.read_bytes()
    try:
        _check_types(data, "load")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of another version of scikit-learn; the card tells which
            stored = skops.io.loads(data, trusted=sorted(TRUSTED))
    except InputError:
        raise
    except Exception as error:  # a damaged or forged file: skops and NumPy raise many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"Expected {path} as skops writes it. Received something else: {reason}") from error
    for part in _parts(stored):
        check_trees(part, path)
    return _swapped(stored, Stored, lambda found: _restored(found, folder))


def describe(classifier: Any) -> Description:
    """What it is, the image shape that a part of it learned, and whose weights it began with."""
    parts = list(_parts(classifier))
    shapes = [tuple(shape) for part in parts if (shape := getattr(part, "image_shape_", None)) is not None]
    begun = [
        f"{part.model}: {part.options['weights']}; their publisher's licence applies"
        for part in parts
        if isinstance(part, KerasClassifier) and part.options.get("weights") is not None
    ]
    return Description(" ".join(repr(classifier).split()), shapes[0] if shapes else None, sorted(set(begun)))


def _check_types(data: bytes, doing: str) -> None:
    import skops.io

    unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - TRUSTED)
    if unknown:
        raise InputError(
            f"Expected to {doing} a classifier of types that are on the list (scikit-learn's public ones and ours). "
            f"Received: {', '.join(unknown)}."
        )


def _restored(stored: Stored, folder: Path) -> KerasClassifier:
    settings = dict(stored.settings)
    known = {field.name for field in fields(KerasClassifier)}
    settings = {key: value for key, value in settings.items() if key in known}
    settings["recipe"] = Recipe.from_json(settings["recipe"])
    if not stored.file:
        return KerasClassifier(**settings)
    if Path(stored.file).name != stored.file:
        raise InputError(f"Expected a network's file inside {folder}. Received: {stored.file}.")
    network = read_network(folder / stored.file)
    if settings["model"] is None:
        settings["model"] = Architecture(network.to_json())
    learned = {key: _untold(value) for key, value in stored.learned.items()}
    return KerasClassifier(**settings).restore(network, learned)


def _settings(classifier: KerasClassifier) -> dict[str, Any]:
    """The fields of the dataclass as plain values; a function that builds the network becomes None."""
    told = {field.name: getattr(classifier, field.name) for field in fields(classifier)}
    if not isinstance(told["model"], str):
        if not hasattr(classifier, "weights_"):
            raise InputError("Expected networks by name where they are not fitted. Received: a function.")
        told["model"] = None
    told["recipe"] = classifier.recipe.to_json()
    told["options"] = {
        str(key): str(value) if isinstance(value, Path) else value for key, value in classifier.options.items()
    }
    return {key: value for key, value in told.items() if _tellable(value)}


def _told(value: Any) -> Any:
    return {"recipe": value.to_json()} if isinstance(value, Recipe) else value


def _untold(value: Any) -> Any:
    return Recipe.from_json(value["recipe"]) if isinstance(value, dict) and set(value) == {"recipe"} else value


def _tellable(value: Any) -> bool:
    """Whether a value is plain, or an array of numbers, or a recipe: of all else a classifier is not made."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biufU"
    if isinstance(value, Recipe):
        return True
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _parts(value: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """The value and everything of ours or of scikit-learn inside it, each once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    for inner in _inside(value).values():
        yield from _parts(inner, seen)
    if _looked_into(value):
        yield value


def _swapped(value: Any, kind: type, swap: Callable[[Any], Any], done: dict[int, Any] | None = None) -> Any:
    """A copy in which `swap` has replaced each object of `kind`, however deep; what holds none is not copied."""
    done = {} if done is None else done
    if id(value) in done:
        return done[id(value)][1]
    if isinstance(value, kind):
        result = swap(value)
    else:
        before = _inside(value)
        after = {key: _swapped(inner, kind, swap, done) for key, inner in before.items()}
        changed = {key: inner for key, inner in after.items() if inner is not before[key]}
        result = _with(value, after, changed) if changed else value
    done[id(value)] = value, result  # the value is kept, so that its id is not given to another
    return result


def _looked_into(value: Any) -> bool:
    return type(value).__module__.startswith(OWN) and not isinstance(value, type) and hasattr(value, "__dict__")


def _inside(value: Any) -> dict[Any, Any]:
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if isinstance(value, Mapping):
        return dict(value)
    return dict(vars(value)) if _looked_into(value) else {}


def _with(value: Any, after: dict[Any, Any], changed: dict[Any, Any]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(after.values())
    result = copy.copy(value)
    (result if isinstance(value, Mapping) else vars(result)).update(changed)
    return result
