"""The model's folder: what it says about itself, the files it consists of, written and read whole. It knows no layer.

model.json        schema, what it is, class names, image shape, versions, metrics, and the SHA-256 of every other file
classifier.skops  the classifier, without its networks (skops: no pickle)
network_0.keras   a network, as Keras writes it; one for each that the classifier holds
"""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.artifact.card import CARD, SCHEMA, read_card
from toolkit.classifier import Classifier
from toolkit.data import Manifest
from toolkit.environment import versions
from toolkit.errors import InputError
from toolkit.runs import write_json

CLASSIFIER = "classifier.skops"
FILES = re.compile(r"classifier\.skops|network_\d+\.keras")  # all that may lie beside the card
IGNORED = frozenset({".DS_Store", "Thumbs.db"})  # left by who looks into folders on other systems


def save(
    classifier: Classifier,
    folder: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    manifest: Manifest | None = None,
    metrics: Mapping[str, Any] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Path:
    """Write a fitted classifier as a folder that `load_model` reads, whole or not at all; an older model is replaced.

    Args:
        classifier: pipelines of ours and of scikit-learn, `KerasClassifier`, and whatever is made of them.
        folder: where; it may hold a model, and nothing else.
        class_names: K names; without them the labels themselves. More than the classifier has seen are kept.
        manifest: of the data it was fitted to: its hash, and how pictures were brought to size.
        metrics: plain values, for whoever reads the card.
        image_shape: (H, W, C), where no part of the classifier tells it.

    Raises:
        InputError: a classifier that is not fitted, a part of a type that is not on the list, a folder in the way.
    """
    from toolkit.artifact.parts import describe, write_parts

    folder = Path(folder)
    classes = getattr(classifier, "classes_", None)
    if classes is None:
        raise InputError(f"Expected a fitted classifier. Received: {type(classifier).__name__} without classes_.")
    labels = [label.item() if hasattr(label, "item") else label for label in classes]
    if class_names is None and labels != list(range(len(labels))):
        labels = [str(label) for label in labels]  # which name themselves
    names = [str(name) for name in (class_names if class_names is not None else labels)]
    for label in labels:
        if type(label) is int and not 0 <= label < len(names):
            raise InputError(f"Expected a name for each class. Received: {len(names)} names and the class {label}.")
    if folder.exists() and not (folder / CARD).is_file():
        raise InputError(f"Expected a new folder, or one that holds a model. {folder} holds something else.")
    partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.partial")
    older = partial.with_suffix(".older.partial")
    partial.mkdir(parents=True)
    try:
        write_parts(classifier, partial, CLASSIFIER)
        found = describe(classifier)
        shape = image_shape if image_shape is not None else found.image_shape
        card = {
            "schema": SCHEMA,
            "what": found.what,
            "classes": labels,
            "class_names": names,
            "image_shape": None if shape is None else [int(side) for side in shape],
            "fit": str(manifest.settings.get("fit") or "crop") if manifest else "crop",
            "weights": found.weights,
            "manifest": manifest.sha256 if manifest else "",
            "metrics": dict(metrics or {}),
            "versions": versions(),
            "files": {path.name: _sha256(path) for path in sorted(partial.iterdir())},
        }
        write_json(partial / CARD, card)
        if folder.exists():
            os.replace(folder, older)  # in one step: what is left of a killed removal would be no model, and in the way
        os.replace(partial, folder)
    finally:
        if older.exists() and not folder.exists():
            os.replace(older, folder)
        for rest in (partial, older):
            shutil.rmtree(rest, ignore_errors=True)
    return folder


def load_model(folder: str | Path) -> Classifier:
    """The classifier that `save` wrote, fitted: the same probabilities to 1e-6, in any process and on any backend.

    Nothing that the folder holds is run: files are compared with the card, types with a closed list, first.

    Raises:
        InputError: no model, one of a newer schema, a file missing, changed or added, a type that is not on the list.
    """
    from toolkit.artifact.parts import read_parts

    folder = Path(folder)
    card = read_card(folder)
    _check_files(folder, card["files"])
    classifier = read_parts(folder, CLASSIFIER)
    if not isinstance(classifier, Classifier):
        raise InputError(
            f"Expected a classifier with fit and predict_proba in {folder}. Received: {type(classifier).__name__}."
        )
    return classifier


def _check_files(folder: Path, files: Mapping[str, Any]) -> None:
    """Refuse a folder whose files are not exactly those of the card: one missing, one changed, one planted."""
    there = {path.name for path in folder.iterdir()} - {CARD} - IGNORED
    for name in sorted(set(files) | there):
        path = folder / name
        if name not in files:
            raise InputError(f"Expected in {folder} only the files that its {CARD} names. Received: {name}. Delete it.")
        if not FILES.fullmatch(name):
            raise InputError(f"Expected in {folder} only {CLASSIFIER} and network_N.keras. Received: {name}.")
        if path.is_symlink():
            raise InputError(f"Expected {path} as a file of its own. Received: a link; a model is one folder.")
        if name not in there or not path.is_file():
            raise InputError(f"Expected the file {name} in {folder}. It is missing; save the model again.")
        if _sha256(path) != files[name]:
            raise InputError(f"Expected {path} as it was saved. It has changed (SHA-256); save the model again.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
