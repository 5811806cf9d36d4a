"""PyTorch's older checkpoint files (before its zip format) as arrays; nothing of what they say is run."""

import collections
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Storage(NamedTuple):
    """A run of numbers, whose bytes follow after the pickles."""

    kind: type
    key: str
    count: int


class Tensor(NamedTuple):
    """A view of a storage; offset and strides in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *rest: Any) -> Tensor:
    return Tensor(storage, offset, shape, strides)


class _Reader(pickle.Unpickler):
    ALLOWED = {  # noqa: RUF012
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor"): _tensor,
        ("torch._utils", "_rebuild_parameter"): lambda tensor, *rest: tensor,
        ("torch", "FloatStorage"): np.float32,
        ("torch.cuda", "FloatStorage"): np.float32,
        ("torch", "LongStorage"): np.int64,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return self.ALLOWED[module, name]

    def persistent_load(self, entry: tuple[Any, ...]) -> Storage:
        _, kind, key, _, count, *_ = entry
        return Storage(kind, key, count)


def read(path: Path) -> dict[str, Any]:
    """What was saved, each tensor as an array in its own shape."""
    with path.open("rb") as stream:
        _magic, _protocol, _system = (_Reader(stream).load() for _ in range(3))
        saved, keys = _Reader(stream).load(), _Reader(stream).load()
        kinds = {tensor.storage.key: tensor.storage for tensor in saved["state_dict"].values()}
        numbers = {}
        for key in keys:
            (count,) = np.fromfile(stream, "<i8", 1)
            numbers[key] = np.fromfile(stream, kinds[key].kind, count)

    def array(tensor: Tensor) -> np.ndarray:
        flat = numbers[tensor.storage.key][tensor.offset :]
        steps = [stride * flat.itemsize for stride in tensor.strides]
        return np.lib.stride_tricks.as_strided(flat, tensor.shape, steps).copy()

    return {name: array(tensor) for name, tensor in saved["state_dict"].items()}
