"""A fitted classifier as one graph in a file of another runtime, checked there against the original. It draws nothing.

The graph takes uint8 pixels (B, H, W, C) of the model's size and answers with probabilities float32 (B, K), normalising
inside. The exporters are those of Keras (tf2onnx for ONNX, TensorFlow's converter for LiteRT).
"""

import os
import tempfile
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.artifact import learned_shape
from toolkit.classifier import check_images
from toolkit.errors import InputError, unknown
from toolkit.export.formats import NEEDS, RUNNERS, SUFFIXES, WRITERS, hushed, layers_of
from toolkit.export.graphs import graph

PRECISIONS = ("float32", "float16", "int8")  # the latter two for LiteRT
# Of the mean difference of a probability, float32: more is another model, not rounding. Single pictures may differ by
# more, for a gradient on the edge of two bins of a HOG falls to either side.
TOLERANCE = 1e-3
LEAST_SAME = 0.9  # of the labels, whatever the precision: below, the file is another model
AT_ONCE = 32  # pictures


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how far its answers are from the original's."""

    path: Path
    format: str
    precision: str
    size_bytes: int
    images: int  # that both were asked about
    largest_difference: float  # of any probability
    same_labels: float  # share of the images
    accuracy: float | None  # of the file, where labels were given
    accuracy_before: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "path": str(self.path)}


def export(
    classifier: Any,
    path: str | Path,
    format: str,
    images: NDArray[np.uint8],
    *,
    labels: NDArray[np.int64] | None = None,
    precision: str = "float32",
) -> Exported:
    """Write a fitted classifier as `format` and compare the file, in its own runtime, with the classifier.

    Args:
        classifier: a `KerasClassifier`, a Pipeline of steps that `baselines.graph` knows, perhaps behind a backbone's
            features, or an ensemble of those.
        path: of the file, .onnx or .tflite, or of the folder of a SavedModel; it must not be there.
        format: onnx, litert or savedmodel.
        images: uint8 (N, H, W, C) that both are asked about; int8 sets its scales by them, so they should be real.
        labels: (N,), values of `classes_`; with them the accuracy before and after is told.
        precision: float32; for litert also float16 (weights) and int8 (weights and activations where it can, weights
            alone of features and machines of `baselines`).

    Raises:
        InputError: a step or a layer that the format cannot carry (named), a runtime that is not installed, or a
            float32 file whose answers differ by more than `TOLERANCE` on average, or one of fewer bits that gives less
            than `LEAST_SAME` of the labels: neither is kept.
    """
    path = Path(path)
    _check_request(path, format, precision)
    _check_classifier(classifier, images, labels)
    model = graph(classifier, tuple(images.shape[1:]))
    with tempfile.TemporaryDirectory(dir=path.resolve().parent, prefix=".export-") as folder:
        partial = Path(folder) / f"model{SUFFIXES[format]}"
        try:
            with hushed():
                WRITERS[format](model, partial, precision, images)
                RUNNERS[format](partial)(
                    images[:1]
                )  # tf2onnx writes operations that it does not know, and says nothing
        except Exception as error:  # of converters that share no exception
            culprit = _culprit(model, format, precision, images)
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise InputError(f"Expected layers that {format} can carry. Received: {culprit}. ({reason})") from error
        before = np.asarray(classifier.predict_proba(images), np.float64)
        after = run(partial, format, images)
        differences = np.abs(after - before)
        if precision == "float32" and not differences.mean() <= TOLERANCE:  # not: NaN compares as false
            raise InputError(
                f"Expected the {format} file to answer as the classifier does, to {TOLERANCE} on average. Received: a "
                f"difference of {differences.mean():.3g}; the file was not kept."
            )
        same = float(np.mean(before.argmax(axis=1) == after.argmax(axis=1)))
        if precision != "float32" and same < LEAST_SAME:
            raise InputError(
                f"Expected {LEAST_SAME:.0%} of the labels or more to stay the same in {precision}. Received: "
                f"{same:.1%}; the file was not kept. Take {'float16' if precision == 'int8' else 'float32'}."
            )
        os.replace(partial, path)
    right = None if labels is None else [_right(answer, classifier.classes_, labels) for answer in (before, after)]
    return Exported(
        path,
        format,
        precision,
        _size(path),
        len(images),
        float(differences.max()),
        same,
        None if right is None else right[1],
        None if right is None else right[0],
    )


def run(path: Path, format: str, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Probabilities (N, K) of uint8 (N, H, W, C) by an exported file in the format's own runtime."""
    with hushed():
        answer = RUNNERS[format](path)
        parts = [
            answer(np.ascontiguousarray(images[start : start + AT_ONCE])) for start in range(0, len(images), AT_ONCE)
        ]
    return np.concatenate(parts).astype(np.float64)


def _check_classifier(classifier: Any, images: Any, labels: Any) -> None:
    """Refuse one that is not fitted, images that are not those of `fit`, labels that it does not know."""
    classes = getattr(classifier, "classes_", None)
    if classes is None:
        raise InputError(f"Expected a fitted classifier. Received: {type(classifier).__name__} without classes_.")
    if not len(check_images(images, learned_shape(classifier))):
        raise InputError("Expected images to compare the file on. Received: none.")
    if labels is not None and (np.shape(labels) != (len(images),) or not np.isin(labels, classes).all()):
        raise InputError(
            f"Expected {len(images)} labels among {np.asarray(classes).tolist()}. Received: {np.asarray(labels).dtype} "
            f"{np.shape(labels)}, of which some are others."
        )


def _check_request(path: Path, format: str, precision: str) -> None:
    import keras

    if format not in SUFFIXES:
        raise unknown("format", format, SUFFIXES)
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if precision != "float32" and format != "litert":
        raise InputError(f"Expected float16 or int8 with the format litert. Received: {format}.")
    if SUFFIXES[format] and path.suffix != SUFFIXES[format]:
        raise InputError(f"Expected a file that ends in {SUFFIXES[format]}. Received: {path}.")
    if path.exists():
        raise InputError(f"Expected a name that is free. {path} is there already; delete it or choose another.")
    if not path.resolve().parent.is_dir():
        raise InputError(f"Expected a folder for {path.name}. {path.parent} is not there.")
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Expected the TensorFlow backend for an export. Received: {keras.backend.backend()}. A model is read "
            "under any: run again with KERAS_BACKEND=tensorflow."
        )
    missing = [module for module in NEEDS.get(format, ()) if find_spec(module) is None]
    if missing:
        raise InputError(
            f"Expected {' and '.join(missing)} for the format {format}. Received: none installed. "
            f"Install with: pip install 'touchstone-vision[{format}]'"
        )


def _culprit(model: Any, format: str, precision: str, images: NDArray[np.uint8]) -> str:
    """The first layer that cannot be written alone, by name and kind; each kind with its settings is tried once."""
    import keras

    tried: set[str] = set()
    for layer in layers_of(model):
        if not isinstance(getattr(layer, "input", None), keras.KerasTensor) or type(layer).__name__ in tried:
            continue
        tried.add(type(layer).__name__)
        inputs = keras.Input(layer.input.shape[1:], dtype=layer.input.dtype)
        random = np.random.default_rng(0).integers(0, 255, (2, *(side or 1 for side in inputs.shape[1:])))
        with tempfile.TemporaryDirectory() as folder, hushed():
            try:
                alone = keras.Model(inputs, layer(inputs))
                path, values = Path(folder) / f"one{SUFFIXES[format]}", random.astype(inputs.dtype)
                WRITERS[format](alone, path, precision, values)
                RUNNERS[format](path)(values)
            except Exception:
                return f"the layer '{layer.name}', a {type(layer).__name__}"
    return "layers that can be written alone but not together"


def _right(answer: NDArray[np.float64], classes: NDArray[Any], labels: NDArray[np.int64]) -> float:
    return float(np.mean(np.asarray(classes)[answer.argmax(axis=1)] == labels))


def _size(path: Path) -> int:
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )
