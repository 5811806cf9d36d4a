"""Weights files of Keras (HDF5, `.keras`) into a network, or one line on why not. It knows no architecture."""

import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from toolkit.errors import InputError
from toolkit.models.hub import renamed

MOST_EXTRA = (
    6  # arrays a file may hold beyond the network: the head that is left behind, VGG's three dense layers at most
)
Shapes = dict[str, tuple[int, ...]]


def load_weights(network: Any, path: Path, name: str) -> None:
    """Fill `network` (a backbone without head, layers as `keras.applications` or KerasHub make them) from a file.

    The file may hold a head besides, and optimiser state; both are left. A classifier around a KerasHub backbone is
    looked into, and so is a network of ours that was trained on this backbone.

    Raises:
        InputError: for a file that is missing, truncated or foreign, and for other shapes, with the layers that differ.
    """
    if not path.is_file():
        raise InputError(
            f"Expected a weights file for '{name}' at {path}. Received: a path that is not a file; "
            "name one, or 'imagenet'."
        )
    with _opened(path) as file:
        root = file.get("model_weights", file)
        if "layer_names" in root.attrs:
            _load_older(network, root, path, name)
        elif "layers" in root:
            _load_keras3(network, _backbone(root), path, name)
        else:
            raise InputError(f"Expected Keras weights for '{name}' in {path}. Received: HDF5 with {sorted(file)[:5]}.")


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file at `path`, or the one inside a `.keras` archive; refuses what is neither, and what breaks off."""
    with path.open("rb") as stream, tempfile.TemporaryDirectory() as folder:
        start = stream.read(8)
        source = path
        if start[:2] == b"PK":
            try:
                with zipfile.ZipFile(path) as archive:
                    source = Path(archive.extract("model.weights.h5", folder))
            except KeyError:
                raise InputError(
                    f"Expected a `.keras` archive with model.weights.h5. Received: {path}, without."
                ) from None
            except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
                raise _broken(path, error) from None
        elif start != b"\x89HDF\r\n\x1a\n":
            raise InputError(
                f"Expected a weights file of Keras (.h5, .weights.h5, .keras) at {path}. Received: a file that "
                f"starts with {start!r} ({path.stat().st_size} bytes); convert it, or fetch it again."
            )
        try:
            with h5py.File(source) as file:
                yield file
        except (OSError, RuntimeError, KeyError) as error:
            raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:120]
    return InputError(
        f"Expected a whole weights file at {path}. Received: one that breaks off ({reason}); fetch it again."
    )


def _load_older(network: Any, group: h5py.Group, path: Path, name: str) -> None:
    """Keras 2's HDF5: layers in the order of the network, their names left to chance."""
    layers = [layer for layer in network.layers if layer.weights]
    found = []
    for stored in (_text(entry) for entry in group.attrs["layer_names"]):
        arrays = [group[stored][_text(entry)] for entry in group[stored].attrs["weight_names"]]
        if arrays and not stored.startswith("normalization"):  # EfficientNet's, whose work our own rescaling does
            found.append((stored, arrays))
    expected: Shapes = {layer.name: () for layer in layers}
    if len(found) < len(layers) or sum(len(arrays) for _, arrays in found[len(layers) :]) > MOST_EXTRA:
        raise _other(path, name, expected, {stored: () for stored, _ in found}, f"{len(found)} layers with weights")
    pairs = list(zip(layers, found, strict=False))
    ours = {f"{layer.name}/{v.name}": tuple(v.shape) for layer, _ in pairs for v in layer.weights}
    theirs = {
        f"{layer.name}/{layer.weights[i].name if i < len(layer.weights) else i}": array.shape
        for layer, (_, arrays) in pairs
        for i, array in enumerate(arrays)
    }
    if ours != theirs:
        raise _other(path, name, ours, theirs, "")
    for layer, (_, arrays) in pairs:
        for variable, array in zip(layer.weights, arrays, strict=True):
            variable.assign(array[()])


def _load_keras3(network: Any, group: h5py.Group, path: Path, name: str) -> None:
    """Keras 3's HDF5: paths count layers class by class. Compared first, since Keras leaves out what it cannot find."""
    with tempfile.TemporaryDirectory() as folder:
        group = renamed(group, folder)
        ours, theirs = Path(folder, "ours.weights.h5"), Path(folder, "theirs.weights.h5")
        network.save_weights(ours)
        with h5py.File(ours) as file:
            expected = _shapes(file)
        received = _shapes(group)
        differs = any(received.get(key) != shape for key, shape in expected.items())
        if differs or len(received) - len(expected) > MOST_EXTRA + 3:  # and EfficientNet's mean, variance and count
            raise _other(path, name, _named(expected, network), _named(received, network), "")
        with h5py.File(theirs, "w") as file:
            for part in group:
                group.copy(part, file)
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Skipping", category=UserWarning
            )  # containers that hold no weights
            network.load_weights(theirs)


def _backbone(root: h5py.Group) -> h5py.Group:
    """The group of the backbone inside a classifier, where there is one."""
    inner = [part for part in root["layers"] if part.endswith("backbone") and "layers" in root["layers"][part]]
    return root["layers"][inner[0]] if len(inner) == 1 else root


def _shapes(group: h5py.Group) -> Shapes:
    """Path and shape of every weight under `layers`; seeds of dropout are no weights."""
    found: Shapes = {}

    def visit(key: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and "seed_generator" not in key:
            found[f"layers/{key}"] = item.shape

    group["layers"].visititems(visit)
    return found


def _named(shapes: Shapes, network: Any) -> Shapes:
    """The same in the network's order, with its names of layers and weights in place of Keras' classes and counts."""
    layers: dict[str, Any] = {}
    seen: dict[str, int] = {}
    for layer in network.layers:
        kind = _snake(type(layer).__name__)
        count = seen.get(kind, 0)
        layers[f"{kind}_{count}" if count else kind] = layer
        seen[kind] = count + 1
    places = {name: place for place, name in enumerate(layers)}
    named = {}
    for key in sorted(shapes, key=lambda key: places.get(key.split("/")[1], len(places))):
        _, layer_path, *rest = key.split("/")
        rest = [part for part in rest if part != "vars"]
        layer = layers.get(layer_path)
        if layer is not None and len(rest) == 1 and rest[0].isdigit() and int(rest[0]) < len(layer.weights):
            rest = [layer.weights[int(rest[0])].name]
        named["/".join([layer.name if layer is not None else layer_path, *rest])] = shapes[key]
    return named


def _other(path: Path, name: str, ours: Shapes, theirs: Shapes, instead: str) -> InputError:
    """What differs, by layer: the first one in words, the others counted."""
    layers: dict[str, str] = {}
    for key in ours:
        if ours[key] != theirs.get(key):
            came = f"{theirs[key]} in the file" if key in theirs else "missing in the file"
            layers.setdefault(key.split("/")[0], f"{key} is {ours[key]} here and {came}")
    if instead or not layers:
        first = instead or f"{len(theirs)} weights"
        return InputError(
            f"Expected weights of '{name}', {len(ours)} layers. Received: {path} with {first}. "
            "Name the network that they are of."
        )
    others = [layer for layer in layers if layer != next(iter(layers))]
    more = f", and {len(others)} more layers differ ({', '.join(others[:4])}{', ...' if len(others) > 4 else ''})"
    return InputError(
        f"Expected weights of '{name}'. Received others in {path}: {next(iter(layers.values()))}"
        f"{more if others else ''}. Name the network and the size that they are of."
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _snake(name: str) -> str:
    """A class name as Keras' files write it: Conv2D -> conv2d, BatchNormalization -> batch_normalization."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
