"""Where it works and where not: metrics for each camera, site or batch, the worst named. It knows no model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact, t

from toolkit.errors import InputError
from toolkit.evaluation.checks import check_arrays
from toolkit.evaluation.design import Design, check_design, codes, standard_error, within
from toolkit.evaluation.evaluation import Evaluation, evaluate
from toolkit.evaluation.precision import double_precision
from toolkit.evaluation.significance import holm

MOST_GROUPS = 500


@dataclass(frozen=True)
class Group:
    """One value of the column, and how the contestant does on its rows."""

    name: str
    evaluation: Evaluation
    p: float  # of its accuracy against that of all other rows, two-sided
    holm_p: float  # adjusted for all groups looked at together
    verdict: str  # "worse than the rest", "better than the rest" or "cannot tell"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return vars(self) | {"evaluation": self.evaluation.to_dict()}


@dataclass(frozen=True)
class GroupTable:
    """All groups, the lowest accuracy first."""

    groups: tuple[Group, ...]

    @property
    def worst(self) -> Group:
        """The group with the lowest accuracy; only its verdict says whether that is more than chance."""
        return self.groups[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"worst": self.worst.name, "groups": [group.to_dict() for group in self.groups]}


@double_precision
def evaluate_groups(
    labels: Any,
    probabilities: Any,
    column: Any,
    class_names: Any = None,
    *,
    confidence: float = 0.95,
    design: Design | None = None,
) -> GroupTable:
    """Evaluate each group of rows that share a value of `column` (N,): labels (N,), probabilities (N, K).

    Some group is always the worst, by chance alone; whether it is worse than the rest is tested, and adjusted for the
    number of groups: by Fisher's exact test, or, where rows came in clusters (`design`), by how far apart the clusters
    are. Raises InputError for a column with more than 500 values, which is no grouping.
    """
    truth, values = check_arrays(labels, probabilities)
    code = codes(column, len(truth), "a column of groups")
    if code is None:
        raise InputError("Expected a column of groups, one value a row. Received: None.")
    names = [str(name) for name in np.unique(np.asarray(column))]
    if len(names) > MOST_GROUPS:
        raise InputError(f"Expected a column of at most {MOST_GROUPS} groups. Received: {len(names)} different values.")
    whole = check_design(design, len(truth))
    parts = [
        evaluate(
            truth[code == index],
            values[code == index],
            class_names,
            confidence=confidence,
            design=within(whole, code == index),
        )
        for index in range(len(names))
    ]
    right, total = (np.array(counts) for counts in zip(*[_counts(part) for part in parts], strict=True))
    correct = np.argmax(values, axis=1) == truth
    p_values = [
        _clustered(correct, code == index, whole) if whole.clustered else _against_the_rest(index, right, total)
        for index in range(len(names))
    ]
    found = []
    for index, (name, part, p, adjusted) in enumerate(zip(names, parts, p_values, holm(p_values), strict=True)):
        rest = (right.sum() - right[index]) / max(total.sum() - total[index], 1)
        word = "worse" if part["accuracy"].value < rest else "better"
        verdict = f"{word} than the rest" if adjusted <= 1 - confidence else "cannot tell"
        found.append(Group(name, part, p, adjusted, verdict))
    return GroupTable(tuple(sorted(found, key=lambda group: group.evaluation["accuracy"].value)))


def _counts(part: Evaluation) -> tuple[int, int]:
    """How many rows were right, and how many there are."""
    return int(np.trace(part.confusion)), part.rows


def _against_the_rest(index: int, right: NDArray[np.int64], total: NDArray[np.int64]) -> float:
    """Fisher's exact p for the group's right and wrong rows against everybody else's."""
    mine = (right[index], total[index] - right[index])
    rest = (right.sum() - right[index], (total - right).sum() - mine[1])
    return float(fisher_exact([mine, rest]).pvalue)


def _clustered(correct: NDArray[np.bool_], mine: NDArray[np.bool_], design: Design) -> float:
    """Two-sided p for the accuracy of rows `mine` (N,) against all others, from what each cluster does to it.

    Student's t with as many degrees of freedom as the side of fewer clusters has; 1 where that side is one cluster.
    """
    sides = (mine, ~mine)
    fewest = min(len(np.unique(design.cluster[side])) for side in sides)  # type: ignore[index]
    if fewest < 2:
        return 1.0
    shares = [float(correct[side].mean()) for side in sides]
    pull = np.where(mine, (correct - shares[0]) / mine.sum(), -(correct - shares[1]) / (~mine).sum())
    error, difference = standard_error(design.sums(pull)), abs(shares[0] - shares[1])
    if difference == 0:
        return 1.0
    return 2 * float(t.sf(difference / error, fewest - 1)) if error > 0 else 0.0
