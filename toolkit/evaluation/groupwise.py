"""Where it works and where not: metrics for each camera, site or batch, the worst named. It knows no model."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom, t

from toolkit.errors import InputError
from toolkit.evaluation.checks import Labels, Probabilities, check_arrays
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
    smallest_difference: float  # from the rest, that would be significant among so many groups
    verdict: str  # "worse than the rest", "better than the rest" or "cannot tell"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; a smallest difference that is infinite becomes None."""
        smallest = self.smallest_difference if math.isfinite(self.smallest_difference) else None
        return vars(self) | {"evaluation": self.evaluation.to_dict(), "smallest_difference": smallest}


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
    are. A group that lies within one cluster has no interval, as nobody knows how far another would be from it. Raises
    InputError for a column with more than 500 values, which is no grouping.
    """
    truth, values = check_arrays(labels, probabilities)
    code = codes(column, len(truth), "a column of groups")
    if code is None:
        raise InputError("Expected a column of groups, one value a row. Received: None.")
    names = [str(name) for name in np.unique(np.asarray(column))]
    if len(names) > MOST_GROUPS:
        raise InputError(f"Expected a column of at most {MOST_GROUPS} groups. Received: {len(names)} different values.")
    whole = check_design(design, len(truth))
    level = (1 - confidence) / len(names)  # Holm's first step, which is enough whatever the others show
    told = np.asarray(probabilities)  # in the precision that came, which the log loss depends on
    parts = [_of_rows(truth, told, code == index, class_names, confidence, whole) for index in range(len(names))]
    right, total = (np.array(counts) for counts in zip(*[_counts(part) for part in parts], strict=True))
    correct = np.argmax(values, axis=1) == truth
    p_values, smallest = zip(
        *[
            _clustered(correct, code == index, whole, level)
            if whole.clustered
            else _against_the_rest(right[index], total[index], right.sum(), total.sum(), level)
            for index in range(len(names))
        ],
        strict=True,
    )
    found = []
    for index, (name, part, p, adjusted) in enumerate(zip(names, parts, p_values, holm(p_values), strict=True)):
        rest = (right.sum() - right[index]) / max(total.sum() - total[index], 1)
        word = "worse" if part["accuracy"].value < rest else "better"
        verdict = f"{word} than the rest" if adjusted <= 1 - confidence else "cannot tell"
        found.append(Group(name, part, p, adjusted, smallest[index], verdict))
    return GroupTable(tuple(sorted(found, key=lambda group: group.evaluation["accuracy"].value)))


def _counts(part: Evaluation) -> tuple[int, int]:
    """How many rows were right, and how many there are."""
    return int(np.trace(part.confusion)), part.rows


def _of_rows(
    labels: Labels, values: Probabilities, mine: NDArray[np.bool_], class_names: Any, confidence: float, whole: Design
) -> Evaluation:
    """The evaluation of the rows `mine` (N,), its intervals without ends where they lie within one cluster."""
    design = within(whole, mine)
    found = evaluate(labels[mine], values[mine], class_names, confidence=confidence, design=design)
    if design is not None:
        return found
    classes = tuple(
        replace(one, precision=one.precision.endless, recall=one.recall.endless, f1=one.f1.endless)
        for one in found.per_class
    )
    metrics = {metric: interval.endless for metric, interval in found.metrics.items()}
    return replace(found, metrics=metrics, per_class=classes)


def _against_the_rest(right: int, mine: int, all_right: int, rows: int, level: float) -> tuple[float, float]:
    """Fisher's exact p for `right` of `mine` rows against everybody else's, and the smallest difference it would show.

    With so many rows right in all, every split of them has its p; from the smallest difference on, all are significant.
    """
    others = rows - mine
    if others == 0:
        return 1.0, math.inf
    split = np.arange(max(0, all_right - others), min(mine, all_right) + 1)  # how many of them could be the group's
    chance = hypergeom.pmf(split, rows, all_right, mine)
    order = np.argsort(chance, kind="stable")
    ends = np.searchsorted(chance[order], chance * (1 + 1e-7), side="right")  # as likely but for rounding
    tails = np.minimum(np.cumsum(chance[order])[ends - 1], 1.0)
    apart = np.abs(split / mine - (all_right - split) / others)
    most = apart[tails > level].max(initial=-1.0)
    shown = apart[apart > most * (1 + 1e-12)]
    return float(tails[right - split[0]]), float(shown.min(initial=math.inf))


def _clustered(
    correct: NDArray[np.bool_], mine: NDArray[np.bool_], design: Design, level: float
) -> tuple[float, float]:
    """Two-sided p for the accuracy of rows `mine` (N,) against all others, and the smallest difference it would show.

    From what each cluster does to the difference: Student's t with as many degrees of freedom as the side of fewer
    clusters has, and no p below that of exchanging whole clusters; 1 where that side is one cluster.
    """
    sides = (mine, ~mine)
    fewest = min(len(np.unique(design.cluster[side])) for side in sides)  # type: ignore[index]
    if fewest < 2:
        return 1.0, math.inf
    shares = [float(correct[side].mean()) for side in sides]
    pull = np.where(mine, (correct - shares[0]) / mine.sum(), -(correct - shares[1]) / (~mine).sum())
    error, difference = standard_error(design.sums(pull)), abs(shares[0] - shares[1])
    if difference == 0:
        return 1.0, math.inf
    here, there = (np.isin(np.arange(design.units), design.cluster[side]) for side in sides)  # type: ignore[index]
    apart = int(np.sum(here != there)), int(np.sum(here & ~there))  # clusters of one side alone; of the first alone
    ways = math.comb(*apart) * 2 ** int(np.sum(here & there))  # to exchange whole clusters, or their two parts
    rarest = min(1.0, 2 / ways)  # this one and its mirror
    if error == 0:  # all clusters of a side alike
        return rarest, math.inf
    reach = float(t.isf(level / 2, fewest - 1)) * error
    return max(rarest, 2 * float(t.sf(difference / error, fewest - 1))), reach if reach <= 1 else math.inf
