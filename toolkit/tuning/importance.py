"""How much of the scores each hyper-parameter explains. It knows trials, and no classifier."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.tuning.points import Cube
from toolkit.tuning.trial import Trial

FEWEST = 8  # finished trials; below, importance would be noise


def importance(space: Any, trials: Sequence[Trial], objective: str, seed: int) -> dict[str, float]:
    """Shares by name, summing to 1, the largest first; empty for fewer than 8 finished trials, or equal scores.

    How much worse a random forest predicts the ranks of the scores with one column shuffled (permutation importance,
    Breiman 2001). Ranks, because one diverged run would explain everything.
    """
    from sklearn.ensemble import RandomForestRegressor

    full = [trial for trial in trials if trial.status == "finished" and trial.share == 1]
    cube = Cube(space)
    if len(full) < FEWEST or not len(cube):
        return {}
    points = np.array([cube.point(trial.values) for trial in full])
    ranks = np.argsort(np.argsort([trial.metrics[objective] for trial in full])).astype(float)
    if len({trial.metrics[objective] for trial in full}) == 1:
        return {}
    random = np.random.default_rng(seed)
    forest = RandomForestRegressor(100, min_samples_leaf=2, random_state=seed).fit(cube.features(points), ranks)
    before = np.mean((forest.predict(cube.features(points)) - ranks) ** 2)
    losses = []
    for column in range(len(cube)):
        worse = []
        for _ in range(5):
            shuffled = points.copy()
            shuffled[:, column] = random.permutation(shuffled[:, column])
            worse.append(np.mean((forest.predict(cube.features(shuffled)) - ranks) ** 2))
        losses.append(max(float(np.mean(worse) - before), 0.0))
    total = sum(losses) or 1.0
    shares = {axis.parameter.name: loss / total for axis, loss in zip(cube.axes, losses, strict=True)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
