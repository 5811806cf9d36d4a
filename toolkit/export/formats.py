"""How a Keras graph becomes a file of each format, and how the runtime of each answers. It knows no classifier."""

import contextlib
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "savedmodel": ""}
NEEDS = {"onnx": ("tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}  # modules, beside TensorFlow


def _write_saved_model(model: Any, path: Path, precision: str, images: NDArray[np.uint8]) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _write_onnx(model: Any, path: Path, precision: str, images: NDArray[np.uint8]) -> None:
    model(images[:1], training=False)  # Keras exports no model that has not been called
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
    if precision == "int8" and not _exact(model):
        converter.representative_dataset = lambda: ([images[row : row + 1]] for row in range(len(images)))
    path.write_bytes(converter.convert())
    shutil.rmtree(folder)


def _exact(model: Any) -> bool:
    """Whether it holds features or machines of `baselines`, of which whole numbers leave nothing: distances are small
    differences of large sums. Their weights alone take 8 bits; 99 % and more of the labels stayed, of 36 %.
    """
    return any(type(layer).__module__.startswith("baselines.") for layer in layers_of(model))


def layers_of(model: Any) -> Iterator[Any]:
    """Every layer of a network, those of networks inside it too."""
    for layer in model.layers:
        yield from layers_of(layer) if hasattr(layer, "layers") else (layer,)


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


WRITERS: dict[str, Callable[[Any, Path, str, NDArray[np.uint8]], None]] = {
    "savedmodel": _write_saved_model,
    "onnx": _write_onnx,
    "litert": _write_litert,
}
RUNNERS: dict[str, Callable[[Path], Callable[[NDArray[np.uint8]], NDArray[Any]]]] = {
    "savedmodel": _run_saved_model,
    "onnx": _run_onnx,
    "litert": _run_litert,
}


@contextlib.contextmanager
def hushed() -> Iterator[None]:
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
