"""Other machinery than Keras for a network's forward pass, by name. It knows neither images nor labels.

OpenVINO (Intel, Apache-2.0) is the extra `openvino`: on a CPU with 16-bit units it is up to 3 times as fast.
"""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError, unknown

ENGINES = ("keras", "openvino")


class OpenVino:
    """A network compiled by OpenVINO for this CPU, which answers as `keras.Model.predict_on_batch` does.

    Weights are those of the moment. `precision` is a hint: bfloat16 where the CPU has units for it, else float32.
    """

    def __init__(self, network: Any, precision: str = "bf16") -> None:
        openvino = _openvino()
        self.output_shape = network.output_shape
        self._resizing, rest = _parts(network)
        self._core = openvino.Core()
        self._compiled: dict[tuple[int, ...], Any] = {}
        supported = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._hint = precision if precision.upper() in supported else "f32"
        with tempfile.TemporaryDirectory() as folder:
            self._graph = self._core.read_model(_graph_file(rest, folder, whole=self._resizing is None))

    def predict_on_batch(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """uint8 (B, H, W, C), or features float32 (B, D) -> (B, K); compiled anew for each size of batch."""
        batch = np.asarray(batch if self._resizing is None else self._resizing.predict_on_batch(batch))
        shape = batch.shape
        if shape not in self._compiled:
            self._graph.reshape(list(shape))
            settings = {"INFERENCE_PRECISION_HINT": self._hint}
            self._compiled[shape] = self._core.compile_model(self._graph, "CPU", settings)
        return np.asarray(self._compiled[shape](np.ascontiguousarray(batch))[0], np.float32)


def _parts(network: Any) -> tuple[Any, Any]:
    """What shrinks images, if anything, and the rest: OpenVINO has no such resampling and leaves it to Keras."""
    found = next((layer for layer in network.layers if isinstance(layer, keras.layers.Resizing)), None)
    if found is None or not found.antialias:
        return None, network
    return keras.Model(network.input, found.output), keras.Model(found.output, network.output)


def running(network: Any, engine: str) -> Any:
    """The network as it is, or compiled by the engine of that name; either has `predict_on_batch`.

    Raises:
        InputError: an unknown engine, an extra that is missing, another Keras backend than TensorFlow.
    """
    check_engine(engine)
    return OpenVino(network) if engine == "openvino" else network


def check_engine(engine: str) -> None:
    """Refuse an engine that is unknown or cannot run here."""
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if engine == "openvino":
        _openvino()
        if keras.backend.backend() != "tensorflow":
            raise InputError(
                "Expected KERAS_BACKEND=tensorflow with engine='openvino', which reads TensorFlow's graphs. "
                f"Received: {keras.backend.backend()}."
            )


def _openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        remedy = "Install it: pip install 'touchstone-vision[openvino]'."
        raise InputError(f"Expected OpenVINO, for engine='openvino'. Received: {error}. {remedy}") from None
    return openvino


def _graph_file(network: Any, folder: str, whole: bool) -> Path:
    """TensorFlow's graph without variables, in a file that OpenVINO reads by itself; a `whole` network takes uint8.

    OpenVINO's converter would take a Keras model, and report its use over the network.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    kind = tf.uint8 if whole and len(network.input_shape) == 4 else tf.float32
    answer = tf.function(lambda batch: network(tf.cast(batch, tf.float32), training=False))
    frozen = convert_variables_to_constants_v2(answer.get_concrete_function(tf.TensorSpec(network.input_shape, kind)))
    path = Path(folder, "network.pb")
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    return path
