"""A fitted classifier as one graph in a file of another runtime, checked there against the original. It draws nothing.

The graph takes uint8 pixels (B, H, W, C) of the model's size and answers with probabilities float32 (B, K), normalising
inside. The exporters are those of Keras (tf2onnx for ONNX, TensorFlow's converter for LiteRT).
"""

import contextlib
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError, unknown

FORMATS = {"onnx": ".onnx", "litert": ".tflite", "savedmodel": ""}
PRECISIONS = ("float32", "float16", "int8")  # the latter two for LiteRT
NEEDS = {"onnx": ("tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
TOLERANCE = 1e-3  # of a probability, float32: more is another model, not rounding; HOG and networks stay under 1e-5
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
        classifier: a `KerasClassifier`, or a Pipeline of steps that `baselines.graph` knows.
        path: of the file, .onnx or .tflite, or of the folder of a SavedModel; it must not be there.
        format: onnx, litert or savedmodel.
        images: uint8 (N, H, W, C) that both are asked about; int8 sets its scales by them, so they should be real.
        labels: (N,), values of `classes_`; with them the accuracy before and after is told.
        precision: float32; for litert also float16 (weights) and int8 (weights and activations where it can).

    Raises:
        InputError: a step or a layer that the format cannot carry (named), a runtime that is not installed, or a
            float32 file whose answers differ by more than `TOLERANCE`: it is not kept.
    """
    path = Path(path)
    _check_request(path, format, precision)
    model = graph(classifier, tuple(images.shape[1:]))
    with tempfile.TemporaryDirectory(dir=path.resolve().parent, prefix=".export-") as folder:
        partial = Path(folder) / f"model{FORMATS[format]}"
        try:
            with _hushed():
                _WRITERS[format](model, partial, precision, images)
        except Exception as error:  # of converters that share no exception
            culprit = _culprit(model, format, precision, images)
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise InputError(f"Expected layers that {format} can carry. Received: {culprit}. ({reason})") from error
        before = np.asarray(classifier.predict_proba(images), np.float64)
        after = run(partial, format, images)
        difference = float(np.abs(after - before).max())
        if precision == "float32" and not difference <= TOLERANCE:
            raise InputError(
                f"Expected the {format} file to answer as the classifier does, to {TOLERANCE}. Received: a difference "
                f"of {difference:.3g}; the file was not kept."
            )
        os.replace(partial, path)
    right = None if labels is None else [_right(answer, classifier.classes_, labels) for answer in (before, after)]
    return Exported(
        path,
        format,
        precision,
        _size(path),
        len(images),
        difference,
        float(np.mean(before.argmax(axis=1) == after.argmax(axis=1))),
        None if right is None else right[1],
        None if right is None else right[0],
    )


def graph(classifier: Any, image_shape: tuple[int, ...]) -> Any:
    """The classifier as a keras.Model, uint8 (B, H, W, C) -> probabilities float32 (B, K), columns as `classes_`.

    Raises:
        InputError: naming the step that has no layers.
    """
    import keras
    from keras import layers

    from baselines.graph import graph as pipeline_graph

    network = getattr(classifier, "network", None)
    if network is None:
        try:
            return pipeline_graph(classifier, (image_shape[0], image_shape[1], image_shape[2]))
        except ValueError as error:
            raise InputError(f"Expected a classifier that can be one graph. {error}") from error
    pixels = keras.Input(image_shape, dtype="uint8", name="images")
    answer = layers.Softmax(dtype="float32")(network(layers.Rescaling(1.0, dtype="float32")(pixels)))
    return keras.Model(pixels, layers.Identity(name="probabilities", dtype="float32")(answer), name="network")


def run(path: Path, format: str, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Probabilities (N, K) of uint8 (N, H, W, C) by an exported file in the format's own runtime."""
    with _hushed():
        answer = _RUNNERS[format](path)
        parts = [
            answer(np.ascontiguousarray(images[start : start + AT_ONCE])) for start in range(0, len(images), AT_ONCE)
        ]
    return np.concatenate(parts).astype(np.float64)


def _check_request(path: Path, format: str, precision: str) -> None:
    import keras

    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if precision != "float32" and format != "litert":
        raise InputError(f"Expected float16 or int8 with the format litert. Received: {format}.")
    if FORMATS[format] and path.suffix != FORMATS[format]:
        raise InputError(f"Expected a file that ends in {FORMATS[format]}. Received: {path}.")
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


def _write_saved_model(model: Any, path: Path, precision: str, images: NDArray[np.uint8]) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _write_onnx(model: Any, path: Path, precision: str, images: NDArray[np.uint8]) -> None:
    model.export(path, format="onnx", verbose=False)


def _write_litert(model: Any, path: Path, precision: str, images: NDArray[np.uint8]) -> None:
    import tensorflow

    folder = path.with_suffix(".saved")
    model.export(folder, format="tf_saved_model", verbose=False)
    converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(folder))
    if precision != "float32":
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tensorflow.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ([images[row : row + 1]] for row in range(len(images)))
    path.write_bytes(converter.convert())
    shutil.rmtree(folder)


def _run_saved_model(path: Path) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    return lambda images: loaded.serve(images).numpy()


def _run_onnx(path: Path) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def _run_litert(path: Path) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def answer(images: NDArray[np.uint8]) -> NDArray[Any]:
        interpreter.resize_tensor_input(source, images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, images)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(target))

    return answer


_WRITERS: dict[str, Callable[[Any, Path, str, NDArray[np.uint8]], None]] = {
    "savedmodel": _write_saved_model,
    "onnx": _write_onnx,
    "litert": _write_litert,
}
_RUNNERS: dict[str, Callable[[Path], Callable[[NDArray[np.uint8]], NDArray[Any]]]] = {
    "savedmodel": _run_saved_model,
    "onnx": _run_onnx,
    "litert": _run_litert,
}


def _culprit(model: Any, format: str, precision: str, images: NDArray[np.uint8]) -> str:
    """The first layer that cannot be written alone, by name and kind; each kind with its settings is tried once."""
    import keras

    tried: set[str] = set()
    for layer in _layers(model):
        if not isinstance(getattr(layer, "input", None), keras.KerasTensor) or type(layer).__name__ in tried:
            continue
        tried.add(type(layer).__name__)
        inputs = keras.Input(layer.input.shape[1:], dtype=layer.input.dtype)
        random = np.random.default_rng(0).integers(0, 255, (2, *(side or 1 for side in inputs.shape[1:])))
        with tempfile.TemporaryDirectory() as folder, _hushed():
            try:
                alone = keras.Model(inputs, layer(inputs))
                _WRITERS[format](alone, Path(folder) / f"one{FORMATS[format]}", precision, random.astype(inputs.dtype))
            except Exception:
                return f"the layer '{layer.name}', a {type(layer).__name__}"
    return "layers that can be written alone but not together"


def _layers(model: Any) -> Iterator[Any]:
    """Every layer of a network, those of networks inside it too."""
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else (layer,)


def _right(answer: NDArray[np.float64], classes: NDArray[Any], labels: NDArray[np.int64]) -> float:
    return float(np.mean(np.asarray(classes)[answer.argmax(axis=1)] == labels))


def _size(path: Path) -> int:
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Without what the converters and runtimes tell, in C++ and in Python: what matters is raised."""
    kept, level = os.dup(2), logging.root.manager.disable
    try:
        with open(os.devnull, "wb") as nowhere, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.disable(logging.CRITICAL)
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        logging.disable(level)
        os.dup2(kept, 2)
        os.close(kept)
