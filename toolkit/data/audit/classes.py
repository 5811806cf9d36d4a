"""Faults of the classes: too small, too unequal, or told by what is not in the picture. It compares no pixel.

What gives a class away is tested twice. A *value* (a size, a format, a colour mode, an EXIF orientation): at least 10
pictures share it, at least 80 of 100 of them are of one class, and by chance that would happen less than once in a
million (binomial test against the share of the class). A *number* (brightness, size, proportions): a small decision
tree on it alone, balanced over the classes and cross-validated five times, finds a class with a true-positive rate
that lies at least 0.85 above its false-positive rate. Of the clean sets tried, none reaches 0.8 by brightness.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from toolkit.data.audit.findings import Finding
from toolkit.data.audit.measure import Pictures, Source

TINY = 10  # pictures
UNEQUAL = 5.0  # the largest class to the smallest
LEAST, PURE, CHANCE = 10, 0.8, 1e-6
FOLDS, FOUND = 5, 0.85


def unequal(source: Source, pictures: Pictures) -> list[Finding]:
    """Tiny classes, classes of very different sizes, classes that a split lacks; unreadable pictures do not count."""
    labels = source.labels[pictures.rows["readable"]]
    counts = np.bincount(labels, minlength=len(source.class_names))
    found = []
    for number in np.flatnonzero(counts < TINY):
        detail = (
            f"'{source.class_names[number]}' has {counts[number]} readable images; {TINY} are few to learn or judge by"
        )
        found.append(Finding("tiny class", "warning", detail))
    large, small = int(counts.argmax()), int(counts.argmin())
    if counts[large] >= UNEQUAL * max(1, counts[small]):
        most, least = source.class_names[large], source.class_names[small]
        detail = f"'{most}' has {counts[large]:,} images, '{least}' {counts[small]:,}"
        found.append(Finding("imbalance", "warning", f"{detail}: accuracy will hide the small ones"))
    if source.splits is not None:
        for split in [name for name in np.unique(source.splits) if name]:
            there = np.bincount(source.labels[source.splits == split], minlength=len(counts))
            if lacking := [source.class_names[number] for number in np.flatnonzero((there == 0) & (counts > 0))]:
                found.append(Finding("missing class", "warning", f"{split} has no image of {', '.join(lacking)}"))
    return found


def giveaways(source: Source, pictures: Pictures, groups: NDArray[np.int64]) -> list[Finding]:
    """Sizes, formats and shades that alone tell the class: what a network may learn in the place of what is seen.

    Of copies (`groups`, see `group_copies`) one counts.
    """
    readable = np.flatnonzero(pictures.rows["readable"] & (groups == np.arange(len(groups))))
    rows, labels = pictures.rows[readable], source.labels[readable]
    found, told = [], set()
    for column, values in _values(rows):
        for value, label, members, share in _telling(values, labels, len(source.class_names)):
            name = source.class_names[label]
            told.add((column, label))
            members = members[np.argsort(labels[members] != label, kind="stable")]
            right = int((labels[members] == label).sum())
            detail = (
                f"{right:,} of the {len(members):,} pictures with {column} {value} are of class '{name}', "
                f"which {share:.0%} of all are: the {column} gives the class away"
            )
            found.append(Finding("giveaway", "warning", detail, tuple(source.names[row] for row in readable[members])))
    numbers = {
        "brightness": rows["brightness"],
        "size": np.sqrt(rows["width"].astype(np.float64) * rows["height"]),
        "proportions": rows["width"] / np.maximum(1, rows["height"]),
    }
    for column, number in numbers.items():
        for label, rightly, wrongly in _predicted_by(number, labels, len(source.class_names)):
            if (column, label) in told or (("size", label) in told and column == "proportions"):
                continue
            detail = (
                f"{column} alone finds class '{source.class_names[label]}': {rightly:.0%} of its pictures, "
                f"and {wrongly:.0%} of the others (a decision tree, cross-validated {FOLDS} times)"
            )
            found.append(Finding("giveaway", "warning", detail))
    return found


def _values(rows: NDArray[np.void]) -> Iterator[tuple[str, NDArray[np.str_]]]:
    sizes = np.char.add(np.char.add(rows["width"].astype(str), " x "), rows["height"].astype(str))
    yield "size", sizes
    for column in ("format", "mode"):
        yield column, rows[column]
    yield "EXIF orientation", rows["orientation"].astype(str)


def _telling(
    values: NDArray[np.str_], labels: NDArray[np.int64], classes: int
) -> Iterator[tuple[str, int, NDArray[np.int64], float]]:
    """Values that tell a class: the value, the class, the rows with the value, the share of the class among all."""
    from scipy.stats import binom

    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    shares = np.bincount(labels, minlength=classes) / max(1, len(labels))
    for number in np.flatnonzero((counts >= LEAST) & (counts < len(labels))):
        members = np.flatnonzero(inverse == number)
        within = np.bincount(labels[members], minlength=classes)
        label = int(within.argmax())
        pure = within[label] >= PURE * len(members)
        if pure and binom.sf(within[label] - 1, len(members), shares[label]) * len(distinct) < CHANCE:
            yield str(distinct[number]), label, members, float(shares[label])


def _predicted_by(
    number: NDArray[np.floating], labels: NDArray[np.int64], classes: int
) -> Iterator[tuple[int, float, float]]:
    """Classes that this number finds: the class, its true-positive rate, its false-positive rate."""
    counts = np.bincount(labels, minlength=classes)
    kept = (counts >= LEAST)[labels]
    if (counts >= LEAST).sum() < 2 or np.ptp(number[kept]) == 0:
        return
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        max_leaf_nodes=2 * classes, min_samples_leaf=5, class_weight="balanced", random_state=0
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    truth = labels[kept]
    said = cross_val_predict(tree, number[kept, None], truth, cv=folds)
    for label in np.flatnonzero(counts >= LEAST):
        right, wrong = (said[truth == label] == label).mean(), (said[truth != label] == label).mean()
        if right - wrong >= FOUND:
            yield int(label), float(right), float(wrong)
