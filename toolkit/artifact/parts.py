"""A classifier as files that hold no code: networks by Keras, all else by skops, types from a closed list.

What `trusted.py` lists is read and looked into. Nothing else is, and so nothing else is written.
"""

import json
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from toolkit.artifact.archive import check_archive
from toolkit.artifact.inside import filled, learned_shape, parts, swapped, usurped
from toolkit.artifact.licences import licence
from toolkit.artifact.network import Architecture, read_network, write_network
from toolkit.artifact.trees import check_trees
from toolkit.artifact.trusted import TRUSTED, check_types
from toolkit.artifact.vectors import check_vectors
from toolkit.errors import InputError
from toolkit.training import KerasClassifier, Recipe

# What `fit` leaves on a KerasClassifier beside its weights, and so all that may be poured into one again
LEARNED = ("classes_", "image_shape_", "recipe_", "history_", "best_epoch_", "earlier_seconds_")
# Settings of the place where a network was fitted: files to write and devices to use, which are nobody else's
LOCAL = ("checkpoint", "feature_cache", "each_epoch", "devices")


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

    without = swapped(classifier, KerasClassifier, store)
    try:
        data = skops.io.dumps(without)
    except Exception as error:  # a class inside a function, a lambda, an open file: skops raises many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"Expected a classifier made of plain values and arrays. Received: {reason}") from error
    check_types(data, "save")
    (folder / name).write_bytes(data)


def read_parts(folder: Path, name: str) -> Any:
    """The classifier that `write_parts` wrote; refuses types that are not on the list before it builds any."""
    import skops.io

    path = folder / name
    if not path.is_file():
        raise InputError(f"Expected the file {name} in {folder}. It is missing; save the model again.")
    try:
        check_archive(path)
        data = path.read_bytes()
        check_types(data, "load")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of another version of scikit-learn; the card tells which
            stored = skops.io.loads(data, trusted=sorted(TRUSTED))
        for part in parts(stored):
            _check_part(part, path)
        return swapped(stored, Stored, lambda found: _restored(found, folder))
    except InputError:
        raise
    except Exception as error:  # a damaged or forged file: skops, NumPy and what is built raise many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"Expected {path} as skops writes it. Received something else: {reason}") from error


def _check_part(part: Any, path: Path) -> None:
    """Refuse an object that would lead scikit-learn astray; give one of ours what it takes by now."""
    wrong = usurped(part)
    if wrong:
        raise InputError(
            f"Expected {path} to hold plain attributes. Received: one in place of {type(part).__name__}.{wrong[0]}."
        )
    shape = vars(part).get("image_shape_")
    if shape is not None and not (isinstance(shape, tuple | list) and list(map(type, shape)) == [int] * 3):
        raise InputError(f"Expected {path} to tell image shapes as (H, W, C). Received: {str(shape)[:80]}.")
    filled(part)
    check_trees(part, path)
    check_vectors(part, path)


def describe(classifier: Any) -> Description:
    """What it is, the image shape that a part of it learned, and whose weights it began with."""
    found = list(parts(classifier))
    whole = classifier.__repr__(N_CHAR_MAX=10**6) if isinstance(classifier, BaseEstimator) else repr(classifier)
    what = " ".join(whole.split())  # whole: what is cut could leave half a path
    begun = set()
    for part in found:
        backbone, weights = _beginning(part)
        if weights is not None:
            told = Path(weights).name  # not where it lies here
            what = what.replace(weights, told)
            begun.add(f"{backbone}: {told}; licence: {licence(backbone, weights)}")
    return Description(what, learned_shape(classifier), sorted(begun))


def _beginning(part: Any) -> tuple[str, str | None]:
    """A backbone's name, and the weights of others that it began with."""
    if isinstance(part, KerasClassifier):
        name, weights = part.model, part.options.get("weights")
    else:  # `toolkit.deep_features.BackboneFeatures` by its settings
        name, weights = (
            getattr(part, "backbone", ""),
            getattr(part, "weights", None) if hasattr(part, "backbone") else None,
        )
    return str(name), None if weights is None else str(weights)


def _restored(stored: Stored, folder: Path) -> KerasClassifier:
    known = {field.name for field in fields(KerasClassifier)} - set(LOCAL)
    settings = {key: value for key, value in stored.settings.items() if key in known}
    settings["recipe"] = Recipe.from_json(settings["recipe"])
    if not stored.file:
        return KerasClassifier(**settings)
    if Path(stored.file).name != stored.file:
        raise InputError(f"Expected a network's file inside {folder}. Received: {stored.file}.")
    network = read_network(folder / stored.file)
    if settings["model"] is None:
        settings["model"] = Architecture(network.to_json())
    learned = {key: _untold(stored.learned[key]) for key in LEARNED if key in stored.learned}
    expected = (*network.input_shape[1:], network.output_shape[-1])
    told = (*learned["image_shape_"], len(learned["classes_"]))
    if told != expected:
        raise InputError(
            f"Expected the network in {folder / stored.file} as it was fitted, {told}. Received: {expected}."
        )
    return KerasClassifier(**settings).restore(network, learned)


def _settings(classifier: KerasClassifier) -> dict[str, Any]:
    """The fields of the dataclass as plain values; a function that builds the network becomes None."""
    told = {field.name: getattr(classifier, field.name) for field in fields(classifier) if field.name not in LOCAL}
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
