"""Who trains, who validates, who tests: stratified and seeded, from labels alone. It knows no image and no file."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from toolkit.data.dataset import SPLITS
from toolkit.errors import InputError

Rows = NDArray[np.int64]


def split_rows(
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    given: NDArray[np.str_] | None = None,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.2,
) -> Mapping[str, Rows]:
    """The rows of train, validation and test, each in ascending order: disjoint, together all, the classes in each as in the whole.

    Rows that are `given` to a split stay there. A split that is given to nobody is drawn from the rows of train and of nobody:
    the fraction `validation` or `test` of each class among them, at least one row (none if the fraction is 0).
    """
    check_fractions(validation, test)
    given = np.full(len(labels), "") if given is None else given
    _check_classes(labels, class_names)
    fractions = {
        name: part for name, part in (("validation", validation), ("test", test)) if part and name not in given
    }
    pool = (given == "") | (given == "train")
    parts = {name: [np.flatnonzero(given == name)] for name in ("validation", "test")}
    random = np.random.default_rng(seed)
    for number, class_name in enumerate(class_names):
        rows = np.flatnonzero(pool & (labels == number))
        if len(rows) < 1 + len(fractions):
            where = "" if (given == "").all() else " outside the given splits"
            raise InputError(
                f"Expected at least {1 + len(fractions)} images of each class{where}, one for each split to fill. "
                f"Received: {len(rows)} of '{class_name}'."
            )
        rows, start = random.permutation(rows), 0
        for count, (name, fraction) in zip(
            _counts(len(rows), list(fractions.values())), fractions.items(), strict=True
        ):
            parts[name].append(rows[start : start + count])
            start += count
    chosen = {name: np.sort(np.concatenate(rows)) for name, rows in parts.items()}
    left = np.ones(len(labels), bool)
    left[np.concatenate(list(chosen.values()))] = False
    return {name: chosen.get(name, np.flatnonzero(left)) for name in SPLITS}


def check_fractions(validation: float, test: float) -> None:
    """Refuse fractions that leave nothing to test or to train on."""
    if not (0 <= validation < 1 and 0 < test < 1 and validation + test < 1):
        raise InputError(
            f"Expected 0 <= validation, 0 < test and validation + test < 1. Received: validation={validation}, test={test}."
        )


def _check_classes(labels: NDArray[np.int64], class_names: tuple[str, ...]) -> None:
    present = np.bincount(labels, minlength=len(class_names)) > 0
    if present.sum() < 2:
        only = [name for name, there in zip(class_names, present, strict=True) if there]
        raise InputError(f"Expected at least two classes. Received: {len(only)} ({', '.join(only) or 'none'}).")


def _counts(rows: int, fractions: list[float]) -> list[int]:
    """Rows for each fraction: rounded, at least one each, and one left for train."""
    counts = [max(1, round(rows * fraction)) for fraction in fractions]
    while sum(counts) >= rows:
        counts[int(np.argmax(counts))] -= 1
    return counts
