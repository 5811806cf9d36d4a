"""Settings as points of the unit cube, and back. It knows KerasTuner's hyper-parameters, not what they do."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = dict[str, Any]  # the active hyper-parameters by name, plain values
Points = NDArray[np.float64]  # (N, M), 0..1, a column for each of M parameters that can vary

MOST_LEVELS = 10_000  # of a parameter; beyond, one level is like the next, and naming them all takes memory
APART = 0.7  # of two choices without an order, on each of their coordinates: about 1 in all


@dataclass(frozen=True)
class Axis:
    """A parameter that can vary."""

    parameter: Any  # of keras_tuner
    levels: tuple[Any, ...]  # what it can be, in its order; empty where it is continuous or has too many to name
    ordered: bool
    needs: tuple[tuple[int, tuple[int, ...]], ...]  # it is active where each of these axes is at one of these levels


class Cube:
    """The parameters of a space (`keras_tuner.HyperParameters`) that can vary, one axis each."""

    def __init__(self, space: Any) -> None:
        self.space = space
        self.axes: list[Axis] = []
        names: dict[str, int] = {}
        fixed = {one.name: one.value for one in space.space if _kind(one) == "Fixed"}
        for one in space.space:
            if _kind(one) == "Fixed":
                continue
            levels = _levels(one)
            needs = tuple(_need(condition, names, self.axes, fixed) for condition in one.conditions)
            names[one.name] = len(self.axes)
            ordered = _kind(one) != "Boolean" and getattr(one, "ordered", True)
            self.axes.append(Axis(one, levels, ordered, tuple(need for need in needs if need is not None)))

    def __len__(self) -> int:
        return len(self.axes)

    def values(self, point: NDArray[np.float64]) -> Values:
        """Point (M,) -> the values that are active there, rounded as each parameter rounds."""
        coordinates = iter(point)
        chosen = type(self.space)()
        for one in self.space.space:
            fixed = _kind(one) == "Fixed"
            value = one.value if fixed else one.prob_to_value(float(np.clip(next(coordinates), 0, 1)))
            chosen.merge([one])
            if chosen.is_active(one):
                chosen.values[one.name] = value
        return dict(chosen.values)

    def defaults(self) -> Values:
        """What a fresh space gives."""
        fresh = type(self.space)()
        fresh.merge(self.space)
        return dict(fresh.values)

    def point(self, values: Mapping[str, Any]) -> NDArray[np.float64]:
        """Values -> a point (M,) that gives them; the middle of each parameter that is not among them."""
        return np.array([
            float(axis.parameter.value_to_prob(values[axis.parameter.name])) if axis.parameter.name in values else 0.5
            for axis in self.axes
        ])  # fmt: skip

    def features(self, points: Points) -> NDArray[np.float64]:
        """Points (N, M) -> (N, F) for a model of the scores: points that give the same setting give the same features.

        An ordered parameter is one coordinate, an unordered one has a coordinate for each choice; where a parameter is
        not active, it stands in the middle.
        """
        columns: list[NDArray[np.float64]] = []
        at: list[NDArray[np.int64]] = []
        active: list[NDArray[np.bool_]] = []
        for axis, column in zip(self.axes, points.T, strict=True):
            count = len(axis.levels)
            level = np.minimum((column * count).astype(np.int64), max(count - 1, 0))
            here = np.ones(len(points), bool)
            for parent, allowed in axis.needs:
                here &= np.isin(at[parent], allowed) & active[parent] if parent >= 0 else False
            at.append(level)
            active.append(here)
            if axis.ordered:
                columns.append(np.where(here, (level + 0.5) / count if count else column, 0.5))
            else:
                columns += [np.where(here, APART * (level == one), APART / count) for one in range(count)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(points), 0))

    def grid_shape(self, most: int) -> tuple[int, ...]:
        """Steps on each axis: its levels, or `most` where it is continuous."""
        return tuple(len(axis.levels) or most for axis in self.axes)


def key(values: Mapping[str, Any]) -> str:
    """What two settings share exactly when they are one and the same; floats to nine digits."""
    return repr(sorted((name, f"{v:.9g}" if isinstance(v, float) else repr(v)) for name, v in values.items()))


def _kind(parameter: Any) -> str:
    return type(parameter).__name__


def _levels(parameter: Any) -> tuple[Any, ...]:
    """What it can be, in its order; empty where it is continuous or can be too much."""
    if _kind(parameter) in ("Choice", "Boolean"):
        return tuple(parameter.values)
    if parameter.step is None:
        return ()
    levels = tuple(itertools.islice(parameter.values, MOST_LEVELS + 1))
    return levels if len(levels) <= MOST_LEVELS else ()


def _need(
    condition: Any, names: Mapping[str, int], axes: list[Axis], fixed: Mapping[str, Any]
) -> tuple[int, tuple[int, ...]] | None:
    """The axis of a condition's parent and the levels that meet it; None: it is always met; axis -1: never."""
    if condition.name in names:
        parent = axes[names[condition.name]]
        if not parent.levels:
            return None  # it cannot be told from a point where that is met: taken as met
        return names[condition.name], tuple(i for i, level in enumerate(parent.levels) if level in condition.values)
    return None if fixed.get(condition.name) in condition.values else (-1, ())
