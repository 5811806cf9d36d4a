"""What a saved classifier says of pictures in files: decoded ahead in threads, answered in batches, in their order.

It knows the protocol only, and that scikit-learn's estimators may be asked by several threads at once. A picture is
brought to the model's size as the training's were, and to its channels.
"""

import contextlib
import glob
import os
import queue
import threading
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

from toolkit.artifact import check_card, learned_shape
from toolkit.classifier import Classifier
from toolkit.data.content import in_order, read_bytes
from toolkit.data.decode import Fit, Unreadable, decode, quiet
from toolkit.data.listing import images_below
from toolkit.errors import InputError

Piece = tuple[Sequence[str], NDArray[np.uint8], list[str]]  # paths, pixels (n, H, W, C), why each is no picture or ""
Item = TypeVar("Item")
Answered = tuple[
    list[tuple[str, str]], NDArray[Any]
]  # each path and its error or "", probabilities (those without error, K)

PATIENCE = 0.05  # seconds for a path to come, after which those before it are answered
END = object()


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
        """What `toolkit.artifact` read; refuses a card without an image shape, or one that is not the classifier's."""
        check_card(card, "model.json")
        shape, names, classes = card.get("image_shape"), card["class_names"], card["classes"]
        if shape is None:
            raise InputError(
                "Expected a model that tells its image shape. Received: none. Save it with image_shape=(H, W, C)."
            )
        learned = learned_shape(classifier)
        if learned is not None and tuple(shape) != learned:
            raise InputError(
                f"Expected model.json to tell the image shape {learned} as in fit. Received: {tuple(shape)}."
            )
        columns = len(getattr(classifier, "classes_", classes))
        if columns != len(classes):
            raise InputError(
                f"Expected model.json to tell the classifier's {columns} classes. Received: {len(classes)}."
            )
        known = [names[label] if type(label) is int else str(label) for label in classes]
        return cls(classifier, (shape[0], shape[1], shape[2]), known, card.get("fit") or "crop")

    def predict(
        self,
        paths: Iterable[str],
        *,
        top: int = 1,
        threshold: float = 0.0,
        batch: int = 512,
        threads: int = 0,
        waiting: bool = False,
    ) -> Iterator[Prediction]:
        """A prediction for each path, in order, as they are ready; a file that is no picture gives its error.

        Args:
            paths: files; read no faster than they are worked on, so they may come from a pipe.
            top: so many classes at most.
            threshold: abstain where the most probable class has less.
            batch: pictures that the classifier is asked about at once.
            threads: that decode, and as many that answer; 0: one a core.
            waiting: paths may be long in coming, so that what has come is answered whenever no more is there.
        """
        threads = threads or os.cpu_count() or 1
        size = max(1, batch // (2 * threads))  # so that about a batch is decoded while the last is answered
        several = isinstance(self.classifier, BaseEstimator)  # a batch is a core's work; others use all by themselves
        answering, together = threads if several else 1, max(1, batch // size)
        pushing = 2 * threads + 1 + together * (answering + 2)  # empty groups behind which no path is under way
        groups = _as_they_come(paths, size, pushing) if waiting else _groups(paths, size)
        with quiet(), threadpool_limits(1 if several else None, "blas"):
            decoded = _groups(in_order(self._decode, groups, threads), together)
            for first in islice(decoded, 1):  # alone, for it compiles
                yield from self._told(self._answer(first), top, threshold)
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
        chances = self.answer(np.concatenate(good))
        return [
            (path, error) for paths, _, errors in pieces for path, error in zip(paths, errors, strict=True)
        ], chances

    def answer(self, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """uint8 (N, H, W, C) -> probabilities (N, K); a model that does not take them is an InputError."""
        if not len(images):
            return np.empty((0, len(self.class_names)))
        try:
            chances = np.asarray(self.classifier.predict_proba(images))
        except ValueError as error:  # the protocol's way to say that images are not what it takes
            reason = " ".join(str(error).split())
            raise InputError(
                f"Expected pictures {images.shape[1:]} that the model takes. It answered: {reason}"
            ) from error
        if chances.shape != (len(images), len(self.class_names)):
            raise InputError(f"Expected {len(self.class_names)} probabilities a picture. Received: {chances.shape}.")
        return chances

    def _told(self, answered: Answered, top: int, threshold: float) -> Iterator[Prediction]:
        files, chances = answered
        orders = iter(np.argsort(-chances, axis=-1, kind="stable")[..., :top].tolist())
        rows = iter(chances)
        for path, error in files:
            if error:
                yield Prediction(path, error=error)
                continue
            order, row = next(orders), next(rows)
            if not np.isfinite(row).all():
                yield Prediction(path, error="the model answers with what is no number")
                continue
            found = tuple(float(row[place]) for place in order)
            yield Prediction(path, tuple(self.class_names[place] for place in order), found, not found[0] >= threshold)


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


def _as_they_come(items: Iterable[Item], count: int, pushing: int) -> Iterator[list[Item]]:
    """Groups of at most `count`, read in a thread; before the next item is waited for, `pushing` empty ones."""
    come: queue.Queue[Any] = queue.Queue(2 * count)
    left = threading.Event()

    def read() -> None:
        try:
            for item in items:
                while not left.is_set():
                    with contextlib.suppress(queue.Full):
                        come.put(item, timeout=PATIENCE)
                        break
                else:
                    return
        except BaseException as error:  # raised again where the items are used
            come.put(error)
        else:
            come.put(END)

    threading.Thread(target=read, daemon=True).start()
    try:
        while True:
            group = _at_hand(come, count)
            if not group:
                yield from ([] for _ in range(pushing))
                group = [come.get()]
            if isinstance(group[-1], BaseException):
                yield group[:-1]
                raise group[-1]
            if group[-1] is END:
                yield group[:-1]
                return
            yield group
    finally:
        left.set()


def _at_hand(come: "queue.Queue[Any]", count: int) -> list[Any]:
    """At most so many that are there or come soon, up to the end."""
    group: list[Any] = []
    with contextlib.suppress(queue.Empty):
        while len(group) < count and not (group and (group[-1] is END or isinstance(group[-1], BaseException))):
            group.append(come.get(timeout=PATIENCE))
    return group
