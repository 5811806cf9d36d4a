"""What a training needs to go on after any epoch as if nothing had happened, in one file. It knows no network.

Batches are a pure function of seed, epoch and step, so weights, optimiser, the layers' random numbers and what was seen
so far are all that there is.
"""

import dataclasses
import hashlib
import json
import os
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.cost import stopwatch
from toolkit.errors import InputError
from toolkit.pipeline.batches import Images

LOOKED_AT = 512  # images whose pixels say which data this is; all labels do

Arrays = list[NDArray[Any]]
History = Mapping[str, list[float]]
EachEpoch = Callable[[History], bool | None]  # called with the history so far; True ends the training


@dataclass(frozen=True)
class State:
    """A training after an epoch."""

    phase: int  # 0 of a network from scratch, 1 of a head, 2 of a fine-tuning
    epochs: int  # done in this phase
    finished: bool  # this phase, by its number of epochs or by patience
    history: dict[str, list[float]]  # of all phases so far
    best_epoch: int
    variables: Arrays  # of the network that trains: weights, statistics, states of random numbers
    optimizer: Arrays
    best_weights: Arrays | None
    seconds: float = 0.0  # spent on all epochs so far, in earlier processes too; an epoch that was lost is not counted


class Checkpoint:
    """One file, rewritten after each epoch; without a path it keeps nothing."""

    def __init__(
        self,
        path: Path | None = None,
        identity: Mapping[str, Any] | None = None,
        each_epoch: EachEpoch | None = None,
        *,
        writes: bool = True,
    ) -> None:
        """Read the file if there is one.

        `identity` is what makes a training this one and no other, as plain values; `each_epoch` is called with the
        history so far; with `writes=False` (another process does it) the file is read only.

        Raises:
            InputError: the file is damaged, or of another training: it says in what that differs.
        """
        self.path, self.identity, self.each_epoch, self.writes = path, dict(identity or {}), each_epoch, writes
        self.state = _read(path, self.identity) if path is not None and path.exists() else None
        self.earlier_seconds = self.state.seconds if self.state is not None else 0.0
        self._seconds = stopwatch()

    def of(self, phase: int) -> State | None:
        """Where to go on in a phase; None: from its start."""
        return self.state if self.state is not None and self.state.phase == phase else None

    def epochs(self, phase: int) -> int:
        """How many epochs of a phase are done."""
        state = self.of(phase)
        return state.epochs if state else 0

    def past(self, phase: int) -> bool:
        """Whether a later phase had begun, so that there is nothing left to do in this one."""
        return self.state is not None and self.state.phase > phase

    def keep(self, state: Callable[[], State], history: History) -> bool:
        """Write a state, beside and renamed, and hand on the history; whether `each_epoch` wants the training ended."""
        if self.path is not None and self.writes:
            spent = self.earlier_seconds + self._seconds()
            _write(self.path, self.identity, dataclasses.replace(state(), seconds=spent))
        return self.each_epoch is not None and self.writes and bool(self.each_epoch(history))


def fingerprint(images: Images, labels: NDArray[np.int64]) -> str:
    """SHA-256 over the labels, the shape and the pixels of up to 512 images, evenly spaced."""
    rows = np.unique(np.linspace(0, len(labels) - 1, min(LOOKED_AT, len(labels))).astype(np.int64))
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    digest.update(np.ascontiguousarray(labels).tobytes())
    digest.update(np.ascontiguousarray(images[rows]).tobytes())
    return digest.hexdigest()


def _write(path: Path, identity: Mapping[str, Any], state: State) -> None:
    told = {
        field: getattr(state, field) for field in ("phase", "epochs", "finished", "history", "best_epoch", "seconds")
    }
    arrays = {f"variable_{index}": array for index, array in enumerate(state.variables)}
    arrays |= {f"optimizer_{index}": array for index, array in enumerate(state.optimizer)}
    arrays |= {f"best_{index}": array for index, array in enumerate(state.best_weights or ())}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, told=np.array(json.dumps({"identity": identity, **told})), **arrays)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _read(path: Path, identity: Mapping[str, Any]) -> State:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            told = json.loads(str(stored["told"]))
            arrays = {
                kind: [stored[f"{kind}_{index}"] for index in range(sum(key.startswith(kind) for key in stored.files))]
                for kind in ("variable", "optimizer", "best")
            }
        before = told.pop("identity")
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"Expected a checkpoint. {path} cannot be read: {error}. Delete it to begin anew.") from None
    wanted = json.loads(json.dumps(identity))  # as it would read back: tuples are lists
    differs = sorted(key for key in {*before, *wanted} if before.get(key) != wanted.get(key))
    if differs:
        raise InputError(
            f"Expected {path} to be of this very training. It differs in: {', '.join(differs)}. "
            "Name another place, or delete it."
        )
    best = arrays["best"] or None
    return State(**told, variables=arrays["variable"], optimizer=arrays["optimizer"], best_weights=best)


def values(variables: Any) -> Arrays:
    """Keras variables as NumPy arrays of their own."""
    return [np.array(variable) for variable in variables]


def assign(variables: Any, arrays: Arrays) -> None:
    """Put arrays back into as many variables of the same shapes."""
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [array.shape for array in arrays]:
        raise InputError("Expected a checkpoint of this network. Received one of another version; delete it.")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
