"""What a saved classifier says of pictures in files: decoded ahead in threads, answered in batches, in their order.

It knows the protocol only, and that scikit-learn's estimators may be asked by several threads at once. A picture is
brought to the model's size as the training's were, and to its channels.
"""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from toolkit.classifier import Classifier
from toolkit.data.content import in_order, read_bytes
from toolkit.data.decode import FITS, Fit, Unreadable, decode, quiet
from toolkit.data.listing import images_below
from toolkit.errors import InputError, unknown

Piece = tuple[Sequence[str], NDArray[np.uint8], list[str]]  # paths, pixels (n, H, W, C), why each is no picture or ""
Item = TypeVar("Item")
Answered = tuple[list[tuple[str, str]], Any]  # each path and its error or "", probabilities (those without error, K)


@dataclass(frozen=True)
class Prediction:
    """What was said of one file."""

    path: str
    labels: tuple[str, ...] = ()  # the most probable first; none where the file is bad
    probabilities: tuple[float, ...] = ()
    abstained: bool = False  # the first probability is under the threshold
    error: str = ""  # why the file is no picture


@dataclass(frozen=True)
class Predictor:
    """A fitted classifier and how its pictures are made: shape (H, W, C), what happens to other proportions, names."""

    classifier: Classifier
    image_shape: tuple[int, int, int]
    class_names: Sequence[str]  # a name a column of the answer
    fit: Fit = "crop"

    @classmethod
    def of(cls, classifier: Classifier, card: dict[str, Any]) -> "Predictor":
        """What `toolkit.artifact` read; refuses a card that tells no image shape."""
        shape, names, classes = card.get("image_shape"), list(card["class_names"]), card["classes"]
        if not isinstance(shape, list) or len(shape) != 3 or shape[2] not in (1, 3):
            raise InputError(
                f"Expected a model that tells its image shape. Received: {shape}. Save it with image_shape=(H, W, C)."
            )
        if card.get("fit", "crop") not in FITS:
            raise unknown("fit", str(card["fit"]), FITS)
        known = [names[label] if isinstance(label, int) and label < len(names) else str(label) for label in classes]
        return cls(classifier, (int(shape[0]), int(shape[1]), int(shape[2])), known, card.get("fit", "crop"))

    def predict(
        self, paths: Iterable[str], *, top: int = 1, threshold: float = 0.0, batch: int = 512, threads: int = 0
    ) -> Iterator[Prediction]:
        """A prediction for each path, in order, as they are ready; a file that is no picture gives its error.

        Args:
            paths: files; read no faster than they are worked on, so they may come from a pipe.
            top: so many classes at most.
            threshold: abstain where the most probable class has less.
            batch: pictures that the classifier is asked about at once.
            threads: that decode, and as many that answer; 0: one a core.
        """
        threads = threads or os.cpu_count() or 1
        size = max(1, batch // (2 * threads))  # so that about a batch is decoded while the last is answered
        several = isinstance(
            self.classifier, BaseEstimator
        )  # a batch is a core's work; others use all cores by themselves
        with quiet(), threadpool_limits(1 if several else None, "blas"):
            decoded = _groups(in_order(self._decode, _groups(paths, size), threads), batch // size)
            for first in islice(decoded, 1):  # alone, for it compiles
                yield from self._told(self._answer(first), top, threshold)
            answering = threads if several else 1
            for answered in in_order(self._answer, decoded, answering, ahead=answering):
                yield from self._told(answered, top, threshold)

    def pictures(self, paths: Sequence[str]) -> tuple[NDArray[np.uint8], list[str]]:
        """The pictures that can be read, uint8 (N, H, W, C), and which those are."""
        with quiet():
            _, pixels, errors = self._decode(paths)
        good = [row for row, error in enumerate(errors) if not error]
        return pixels[good], [paths[row] for row in good]

    def labels(self, paths: Sequence[str]) -> NDArray[Any] | None:
        """Values of the classifier's `classes_` by the folder that each picture lies in; None where one is no class."""
        places = {name: place for place, name in enumerate(self.class_names)}
        found = [places.get(Path(path).parent.name) for path in paths]
        if None in found:
            return None
        return np.asarray(getattr(self.classifier, "classes_", np.arange(len(places))))[np.array(found, int)]

    def stacked(self, files: Iterable[bytes]) -> NDArray[np.uint8]:
        """Files' bytes -> uint8 (N, H, W, C)."""
        return np.stack([np.broadcast_to(self.pixels(data), self.image_shape) for data in files])

    def _decode(self, paths: Sequence[str]) -> Piece:
        pixels = np.zeros((len(paths), *self.image_shape), np.uint8)
        errors = []
        for row, path in enumerate(paths):
            try:
                pixels[row] = self.pixels(read_bytes(Path(path)))
            except Unreadable as error:
                errors.append(str(error))
            else:
                errors.append("")
        return paths, pixels, errors

    def pixels(self, data: bytes) -> NDArray[np.uint8]:
        """A file's bytes -> uint8 (H, W, C); colours become grey by the weights of ITU-R 601 where C is 1."""
        height, width, channels = self.image_shape
        found = decode(data, (height, width), self.fit).pixels
        if found.shape[2] == 3 and channels == 1:
            found = cv2.cvtColor(found, cv2.COLOR_RGB2GRAY)[:, :, None]
        return found  # grey is repeated when it is written into three channels

    def _answer(self, pieces: Sequence[Piece]) -> Answered:
        good = [pixels[[not error for error in errors]] for _, pixels, errors in pieces]
        images = np.concatenate(good)
        chances = self.classifier.predict_proba(images) if len(images) else ()
        return [
            (path, error) for paths, _, errors in pieces for path, error in zip(paths, errors, strict=True)
        ], chances

    def _told(self, answered: Answered, top: int, threshold: float) -> Iterator[Prediction]:
        files, chances = answered
        orders = iter(np.argsort(-np.asarray(chances), axis=-1, kind="stable")[..., :top].tolist())
        rows = iter(chances)
        for path, error in files:
            if error:
                yield Prediction(path, error=error)
                continue
            order, row = next(orders), next(rows)
            found = tuple(float(row[place]) for place in order)
            yield Prediction(path, tuple(self.class_names[place] for place in order), found, found[0] < threshold)


def files_of(arguments: Iterable[str], lines: Iterable[str] = ()) -> Iterator[str]:
    """Paths: files as they are, every image below a folder, what a pattern (*, ?, **) matches, `lines` for "-".

    A file that is not there comes through, for its row to say so.

    Raises:
        InputError: a folder without images, a pattern that nothing matches.
    """
    for argument in arguments:
        if argument == "-":
            yield from (line.rstrip("\r\n") for line in lines if line.strip())
        elif os.path.isdir(argument):
            below = map(str, images_below(Path(argument), Counter(), frozenset()))
            yield from _some(below, f"images below '{argument}'")
        elif glob.has_magic(argument) and not os.path.exists(argument):
            matching = (path for path in sorted(glob.iglob(argument, recursive=True)) if os.path.isfile(path))
            yield from _some(matching, f"files that match '{argument}'")
        else:
            yield argument


def _some(paths: Iterator[str], what: str) -> Iterator[str]:
    first = next(paths, None)
    if first is None:
        raise InputError(f"Expected {what}. Received none.")
    yield first
    yield from paths


def _groups(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    source = iter(items)
    while group := list(islice(source, count)):
        yield group
