"""A network as a .keras file, perhaps a stranger's: its layers are compared with a list before Keras reads it.

Keras' safe mode refuses Lambda layers, but imports every module of keras, keras_hub and others that a file names.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.artifact.archive import check_archive, check_weights
from toolkit.errors import InputError

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}  # of the file: no assets, which vocabularies would be
MODELS = {"Functional", "Sequential", "Model"}
# Layers that compute from their inputs and weights alone. Not here: Lambda, TFSMLayer, JaxLayer, FlaxLayer and
# TorchModuleWrapper, which run what they are given, and the text layers, which open files.
LAYERS = {
    "Activation", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average", "AveragePooling1D",
    "AveragePooling2D", "BatchNormalization", "CenterCrop", "Concatenate", "Conv1D", "Conv2D", "Conv2DTranspose",
    "Cropping1D", "Cropping2D", "Dense", "DepthwiseConv2D", "Dot", "Dropout", "ELU", "EinsumDense", "Embedding",
    "Flatten", "GELU", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GroupNormalization", "GroupQueryAttention", "Identity",
    "InputLayer", "LayerNormalization", "LeakyReLU", "MaxPooling1D", "MaxPooling2D", "Maximum", "Minimum",
    "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization", "ReLU",
    "RepeatVector", "Rescaling", "Reshape", "Resizing", "SeparableConv2D", "Softmax", "SpatialDropout2D",
    "SpectralNormalization", "Subtract", "UnitNormalization", "UpSampling2D", "ZeroPadding2D",
}  # fmt: skip
# Of keras.ops, where a network calls them on its tensors
OPERATIONS = {
    "Abs", "Absolute", "Add", "Cast", "Clip", "Concatenate", "ConvertToTensor", "Divide", "Einsum", "Exp",
    "ExpandDims", "Flip", "Gelu", "GetItem", "LogSoftmax", "Log", "Matmul", "Max", "Maximum", "Mean", "Minimum",
    "Multiply", "Negative", "Pad", "Power", "Relu", "Reshape", "Resize", "Rsqrt", "Sigmoid", "Silu", "Softmax",
    "Sqrt", "Square", "Squeeze", "Stack", "Subtract", "Sum", "Tanh", "Transpose", "TrueDivide",
}  # fmt: skip
OURS = frozenset(  # of toolkit.models.layers
    {"CapsuleLogits", "MeanOfHalves", "Reconstruction", "Root", "Routing", "Tokens", "WithMirror"}
)
MARKS = frozenset({"__keras_tensor__", "__tuple__"})  # how Keras writes what is no object
PLAIN = {  # what layers are told by name, module: names in it
    "keras.activations": "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear "
    "log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus "
    "sparsemax squareplus tanh tanh_shrink threshold",
    "keras.initializers": "Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform "
    "Ones Orthogonal RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros",
    "keras.regularizers": "L1 L1L2 L2 OrthogonalRegularizer",
    "keras.constraints": "MaxNorm MinMaxNorm NonNeg UnitNorm",
    "keras.dtype_policies": "DTypePolicy FloatDTypePolicy",
}


@dataclass(frozen=True)
class Architecture:
    """A network as Keras describes it: builds it anew, with fresh weights, without the function that once made it."""

    config: str  # JSON

    def __call__(self, image_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
        """The network, if it is one for such images and so many classes; options were spent when it was described."""
        from keras.models import model_from_json

        _check_config(json.loads(self.config), "the stored network")
        network = model_from_json(self.config)
        expected = (*network.input_shape[1:], network.output_shape[-1])
        if expected != (*image_shape, classes):
            raise InputError(
                f"Expected images {expected[:-1]} and {expected[-1]} classes, for which the stored network was made. "
                f"Received: {tuple(image_shape)} and {classes}."
            )
        return network


def write_network(network: Any, path: Path) -> None:
    """Write a network without optimiser or losses; refuse one that `read_network` would."""
    if network.compiled:
        weights = network.get_weights()
        network = type(network).from_config(network.get_config())
        network.set_weights(weights)
    _check_config(json.loads(network.to_json()), f"the network '{network.name}'")
    network.save(path)


def read_network(path: Path) -> Any:
    """The keras.Model of a file that holds nothing but layers on the list.

    Raises:
        InputError: naming the layer or the member that is not on the list, or what is damaged.
    """
    import keras

    import toolkit.models.layers  # noqa: F401  # so that Keras knows our layers by name

    if not path.is_file():
        raise InputError(f"Expected the file {path.name} in {path.parent}. It is missing; save the model again.")
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            members = {name for name in archive.namelist() if not name.endswith("/")}
            foreign = sorted(members - MEMBERS)
            if foreign:
                raise InputError(f"Expected {path} to hold {', '.join(sorted(MEMBERS))}. Received: {foreign[0]}.")
            _check_config(json.loads(archive.read("config.json")), str(path))
            with archive.open("model.weights.h5") as weights:
                check_weights(weights, path.stat().st_size, path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except InputError:
        raise
    except Exception as error:  # damaged or forged: zipfile, json, h5py and Keras raise many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"Expected {path} as Keras writes it. Received something else: {reason}") from error


def _check_config(config: Any, where: str) -> None:
    """Refuse a configuration that names a class beyond the lists."""
    for module, name in _named(config):
        if not _allowed(module, name):
            shown = f"{module}.{name}" if module else name
            raise InputError(f"Expected {where} to hold layers that are on the list. Received: {shown}.")


def _named(node: Any) -> Iterator[tuple[str, str]]:
    """Module and name of every class or function that a configuration mentions, at any depth."""
    inner: Iterator[Any] = iter(())
    if isinstance(node, dict):
        if node.get("class_name") == "function":
            yield str(node.get("module") or ""), str(node.get("config"))
        elif "class_name" in node:
            yield str(node.get("module") or ""), str(node["class_name"])
        if node.get("registered_name") and node["registered_name"] != node.get("class_name"):
            package, _, name = str(node["registered_name"]).rpartition(">")
            if package != "touchstone" or name != node.get("class_name"):
                yield "", str(node["registered_name"])
        inner = iter(node.values())
    elif isinstance(node, list):
        inner = iter(node)
    for value in inner:
        yield from _named(value)


def _allowed(module: str, name: str) -> bool:
    if module == "":
        return name in MARKS
    if module in PLAIN:
        return name in PLAIN[module].split()
    known = {
        "keras": MODELS | {"DTypePolicy"},
        "keras.models": MODELS,
        "keras.layers": LAYERS,
        "keras.src.models.functional": MODELS,
        "keras.src.models.sequential": MODELS,
        "keras.src.applications.convnext": {"LayerScale"},
        "keras.src.ops.core": OPERATIONS,
        "keras.src.ops.nn": OPERATIONS,
        "keras.src.ops.numpy": OPERATIONS,
        "keras.src.ops.image": OPERATIONS,
        "toolkit.models.layers": OURS,
    }
    return name in known.get(module, ())
