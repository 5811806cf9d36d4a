"""Who trains, who validates, who tests: stratified, grouped, seeded. It knows labels and groups, but no image."""

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from toolkit.data.dataset import SPLITS
from toolkit.errors import InputError

Rows = NDArray[np.int64]
ATTEMPTS = 20  # orders of the groups that are tried before a class is said not to fit


def split_rows(
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    given: NDArray[np.str_] | None = None,
    groups: NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.2,
) -> Mapping[str, Rows]:
    """The rows of train, validation and test, each in ascending order; together they are all rows, each once.

    Rows that are `given` to a split stay there. A split that is given to nobody is drawn from the rows of train and of
    nobody: the fraction `validation` or `test` of each class among them, at least one row (none if the fraction is 0).
    Rows of one number in `groups` (N,) are drawn together.
    """
    check_fractions(validation, test)
    _check_classes(labels, class_names)
    given = np.full(len(labels), "") if given is None else given
    fractions = {
        name: part for name, part in (("validation", validation), ("test", test)) if part and name not in given
    }
    pool = np.flatnonzero((given == "") | (given == "train"))
    counts = np.bincount(labels[pool], minlength=len(class_names))
    where = "" if (given == "").all() else " outside the given splits"
    _check_counts(counts, class_names, 1 + len(fractions), f"images of each class{where}")
    targets = np.array([_targets(count, list(fractions.values())) for count in counts.tolist()])
    parts = _assigned(labels[pool], None if groups is None else groups[pool], targets, class_names, seed)
    chosen = {name: [np.flatnonzero(given == name)] for name in ("validation", "test")} | {"train": []}
    for number, name in enumerate(("train", *fractions)):
        chosen[name].append(pool[parts == number])
    return {name: np.sort(np.concatenate(chosen[name])) for name in SPLITS}


def folds(
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    count: int = 5,
    groups: NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
) -> list[Rows]:
    """The rows that each of `count` folds holds out, each row once; stratified and grouped as in `split_rows`."""
    if count < 2:
        raise InputError(f"Expected two folds or more. Received: {count}.")
    _check_classes(labels, class_names)
    sizes = np.bincount(labels, minlength=len(class_names))
    _check_counts(sizes, class_names, count, "images of each class")
    # Which folds take the remainder rotates with the class, so that the folds come out equally large.
    targets = np.array(
        [[(size + (fold + row) % count) // count for fold in range(count)] for row, size in enumerate(sizes)]
    )
    parts = _assigned(labels, groups, targets, class_names, seed)
    return [np.flatnonzero(parts == number) for number in range(count)]


def check_fractions(validation: float, test: float) -> None:
    """Refuse fractions that leave nothing to test or to train on."""
    if not (0 <= validation < 1 and 0 < test < 1 and validation + test < 1):
        raise InputError(
            "Expected 0 <= validation, 0 < test and validation + test < 1. "
            f"Received: validation={validation}, test={test}."
        )


def _check_classes(labels: NDArray[np.int64], class_names: tuple[str, ...]) -> None:
    present = np.bincount(labels, minlength=len(class_names)) > 0
    if present.sum() < 2:
        only = [name for name, there in zip(class_names, present, strict=True) if there]
        raise InputError(f"Expected at least two classes. Received: {len(only)} ({', '.join(only) or 'none'}).")


def _check_counts(counts: NDArray[np.int64], class_names: tuple[str, ...], parts: int, what: str) -> None:
    for name, count in zip(class_names, counts.tolist(), strict=True):
        if count < parts:
            raise InputError(
                f"Expected at least {parts} {what}, one for each split to fill. Received: {count} of '{name}'. "
                "Add some, or leave that class out."
            )


def _targets(rows: int, fractions: list[float]) -> list[int]:
    """Rows for train and for each fraction: rounded, at least one each."""
    counts = [max(1, round(rows * fraction)) for fraction in fractions]
    while sum(counts) >= rows:
        counts[int(np.argmax(counts))] -= 1
    return [rows - sum(counts), *counts]


def _assigned(
    labels: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    targets: NDArray[np.int64],
    class_names: tuple[str, ...],
    seed: int,
) -> NDArray[np.int64]:
    """The part of each row, (N,), so that part p has about `targets[k, p]` rows of class k and no group is torn."""
    random = np.random.default_rng(seed)
    units = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(units)
    holders = np.bincount(
        labels[np.unique(units * len(targets) + labels, return_index=True)[1]], minlength=len(targets)
    )
    together = "groups (with copies of images counted as one) of each class"
    _check_counts(holders, class_names, targets.shape[1], together)
    for attempt in range(2 * ATTEMPTS):
        parts = _placed(labels, units, sizes, targets, random, first=attempt >= ATTEMPTS)
        found = np.zeros(targets.shape, np.int64)
        np.add.at(found, (labels, parts), 1)
        if (found > 0).all():
            return parts
    class_number = int(np.argmin(found.min(axis=1)))
    raise InputError(
        f"Expected groups that leave images of each class to every split. Received: none for a split of "
        f"'{class_names[class_number]}'. Make groups smaller, or give the splits yourself."
    )


def _placed(
    labels: NDArray[np.int64],
    units: NDArray[np.int64],
    sizes: NDArray[np.int64],
    targets: NDArray[np.int64],
    random: np.random.Generator,
    first: bool = False,
) -> NDArray[np.int64]:
    """Units of several rows first, the largest first, each where it is missed most; then single rows fill up.

    first: before all others, give each part but the first the smallest unit of each class that it has none of.
    """
    parts = np.full(len(labels), -1)
    left = targets.astype(np.int64)
    members = np.split(np.argsort(units, kind="stable"), np.cumsum(sizes)[:-1])
    several = random.permutation(np.flatnonzero(sizes > 1))
    for number, part in product(range(len(targets)), range(1, targets.shape[1])) if first else ():
        free = [unit for unit in np.unique(units[(labels == number) & (parts < 0)]) if unit in several]
        if free and not np.any((labels == number) & (parts == part)):
            unit = min(random.permutation(free), key=lambda one: sizes[one])
            parts[members[unit]] = part
            left[:, part] -= np.bincount(labels[members[unit]], minlength=len(targets))
            several = several[several != unit]
    for unit in several[np.argsort(-sizes[several], kind="stable")]:
        held = np.bincount(labels[members[unit]], minlength=len(targets))
        lack = (held[:, None] * (left - held[:, None]) / np.maximum(targets, 1)).sum(axis=0)
        best = int(random.choice(np.flatnonzero(lack == lack.max())))
        parts[members[unit]] = best
        left[:, best] -= held
    for number, lacking in enumerate(np.maximum(left, 0)):
        rows = random.permutation(np.flatnonzero((parts < 0) & (labels == number)))
        start = 0
        for part in range(
            targets.shape[1] - 1, 0, -1
        ):  # the first part takes what groups took too much or too little of
            parts[rows[start : start + lacking[part]]] = part
            start += lacking[part]
        parts[rows[start:]] = 0
    return parts
