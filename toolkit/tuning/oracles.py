"""Who says what is tried next: KerasTuner's oracles, with suggestions that depend on seed and history alone.

KerasTuner keeps the book of trials, of who runs which, and of those that failed. What is ours is `populate_space`, its
place for algorithms: there seed 0 is a seed, nothing is proposed twice, and a search that was killed goes on as if it
had not been, because trial n is drawn from (seed, n, trials so far) and not from a random state that died with it.
"""

import math
from collections.abc import Iterator
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial as OracleTrial
from keras_tuner.engine.trial import TrialStatus
from numpy.typing import NDArray

from toolkit.tuning.gaussian import propose
from toolkit.tuning.points import Cube, Values, key
from toolkit.tuning.trial import OBJECTIVES, Trial

MOST_DRAWS = 1000  # random settings in a row that were tried before: then the space is exhausted
GRID_STEPS = 5  # of a continuous parameter
MOST_CELLS = 10**6  # of a grid that are put in order, or drawn
ETA = 3  # hyperband keeps a third
ROUNDS = 3  # of hyperband: 1/9, 1/3 and all of the training rows
RANDOM_POINTS = (4, 10)  # before the first suggestion, defaults included: as many as parameters, but from 4 to 10


STATUS = {
    "running": TrialStatus.RUNNING,
    "finished": TrialStatus.COMPLETED,
    "pruned": TrialStatus.COMPLETED,  # its score is that of the epochs that it had
    "failed": TrialStatus.FAILED,
}


class Oracle(keras_tuner.Oracle):
    """Trials at random; the others differ in `choose`."""

    def __init__(self, space: Any, objective: str, seed: int, first: int | None = None) -> None:
        super().__init__(
            objective=keras_tuner.Objective(objective, OBJECTIVES[objective]),
            max_trials=None,  # the search counts them too; the default of 10 would end it
            hyperparameters=space.copy(),
            seed=seed + 1,  # KerasTuner takes 0 for none
            max_consecutive_failed_trials=-1,  # the search counts them
        )
        self.verbose = 0
        self.cube = Cube(space)
        self.own_seed = seed
        self.first = first_points(len(self.cube)) if first is None else first
        self.notes: dict[str, dict[str, Any]] = {}  # trial id -> origin and, for hyperband, share, bracket, parent

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """KerasTuner's question for the next values."""
        number = len(self.trials)
        chosen = self.choose(number)
        if isinstance(chosen, str):
            return {"status": chosen, "values": None}
        origin, values, extra = chosen
        self.notes[trial_id] = {"origin": origin, **extra}
        return {"status": TrialStatus.RUNNING, "values": values}

    def choose(self, number: int) -> tuple[str, Values, dict[str, Any]] | str:
        """Origin, values and notes of trial `number`; or STOPPED where all was tried, IDLE to wait for a result."""
        if number == 0:
            return "defaults", self.cube.defaults(), {}
        return self.fresh(number)

    def fresh(self, number: int, origin: str = "random") -> tuple[str, Values, dict[str, Any]] | str:
        """Values drawn evenly over the cube that were not tried yet."""
        random, tried = np.random.default_rng([self.own_seed, number]), self.tried()
        for _ in range(MOST_DRAWS):
            values = self.cube.values(random.random(len(self.cube)))
            if key(values) not in tried:
                return origin, values, {}
        return TrialStatus.STOPPED

    def tried(self) -> set[str]:
        """The keys of everything begun so far."""
        return {key(trial.hyperparameters.values) for trial in self.trials.values()}

    def restore(self, trial: Trial) -> None:
        """Take up a trial of an earlier run; one that was running is given out again, to the name `lost N`."""
        parameters = self.get_space()
        parameters.values = dict(trial.values)
        status = STATUS[trial.status]
        own = OracleTrial(parameters, trial_id=f"{trial.number:04d}", status=status, message=trial.error)
        own.score = trial.metrics.get(self.objective.name)
        self.trials[own.trial_id] = own
        self.start_order.append(own.trial_id)
        self.notes[own.trial_id] = {
            "origin": trial.origin,
            "share": trial.share,
            "bracket": trial.bracket,
            "level": trial.level,
        }
        if trial.status == "running":
            self.ongoing_trials[f"lost {trial.number}"] = own
        else:
            self.end_order.append(own.trial_id)

    def save(self) -> None:
        """Nothing: the search keeps the one book that counts."""

    def _save_trial(self, trial: Any) -> None:
        """Nothing, as `save`."""

    def loss(self, trial: Any) -> float:
        """The score, turned so that lower is better."""
        return -float(trial.score) if self.objective.direction == "max" else float(trial.score)


class Bayesian(Oracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Defaults, some random points, then the most expected improvement of a Gaussian process over all that ended.

    A trial still running counts as having given the middle score, so that its neighbourhood is not asked for twice
    (constant liar, Ginsbourger et al. 2010); a failed one as the worst. KerasTuner's own acquisition is replaced: it
    follows gradients by finite differences through the steps between choices, which takes many seconds, has one length
    scale for all parameters, places unordered choices on a line, and proposes what was tried.
    """

    def choose(self, number: int) -> tuple[str, Values, dict[str, Any]] | str:
        """See `Oracle.choose`."""
        finished = [trial for trial in self.trials.values() if trial.status == TrialStatus.COMPLETED]
        if number < self.first or len(finished) < 2:
            return super().choose(number)
        losses = [self.loss(trial) for trial in finished]
        stand_in = {TrialStatus.COMPLETED: None, TrialStatus.RUNNING: float(np.median(losses))}
        points, scores = [], []
        for trial in self.trials.values():
            guess = stand_in.get(trial.status, max(losses))
            points.append(self.cube.point(trial.hyperparameters.values))
            scores.append(self.loss(trial) if guess is None else guess)
        tried = self.tried()
        for point in propose(np.array(points), np.array(scores), self.cube.features, [self.own_seed, number]):
            values = self.cube.values(point)
            if key(values) not in tried:
                return "suggested", values, {}
        return self.fresh(number)


class Grid(Oracle):
    """The defaults, then every combination once, shuffled by the seed: a short budget sees the whole breadth."""

    def choose(self, number: int) -> tuple[str, Values, dict[str, Any]] | str:
        """See `Oracle.choose`."""
        if number == 0:
            return super().choose(number)
        shape, tried = self.cube.grid_shape(GRID_STEPS), self.tried()
        for steps in self._order(shape):
            values = self.cube.values((steps + 0.5) / np.array(shape, float))
            if key(values) not in tried:
                return "grid", values, {}
        return TrialStatus.STOPPED

    def _order(self, shape: tuple[int, ...]) -> Iterator[NDArray[np.int64]]:
        """The cells (M,) of the grid, each once; of a vast one some at random, which nobody will ever exhaust."""
        random, total = np.random.default_rng(self.own_seed), math.prod(shape)
        if total > MOST_CELLS:
            yield from (random.integers(np.array(shape)) for _ in range(MOST_CELLS))
            return
        for index in random.permutation(total):
            yield np.array(np.unravel_index(int(index), shape) if shape else (), np.int64)


class Hyperband(Oracle):
    """Many settings on few training rows, the best third of them on three times as many, and so on.

    Li et al. (JMLR 2018), with training rows for the resource, because every contestant has rows and only networks have
    epochs. Its brackets start with 1/9, 1/3 and all of the rows, then again.
    """

    def choose(self, number: int) -> tuple[str, Values, dict[str, Any]] | str:
        """See `Oracle.choose`."""
        book = [(self.notes[name], trial) for name, trial in self.trials.items()]
        waiting = False
        for bracket in range(len(book) + 1):
            depth = ROUNDS - 1 - bracket % ROUNDS
            size = math.ceil(ROUNDS / (depth + 1)) * ETA**depth
            members = [[entry for entry in book if _slot(entry[0]) == (bracket, level)] for level in range(depth + 1)]
            for level in range(1, depth + 1):
                places = size // ETA**level
                below = members[level - 1]
                if len(members[level]) >= places or len(below) < places * ETA:
                    continue
                if any(trial.status == TrialStatus.RUNNING for _, trial in below):
                    waiting = True
                    continue
                passed = {key(trial.hyperparameters.values) for _, trial in members[level]}
                ended = [trial for _, trial in below if trial.status == TrialStatus.COMPLETED]
                best = sorted(ended, key=self.loss)[:places]
                for trial in best:
                    if key(trial.hyperparameters.values) not in passed:
                        values = dict(trial.hyperparameters.values)
                        return "promoted", values, _note(bracket, level, depth)
            if len(members[0]) < size:
                chosen = super().choose(number)
                if isinstance(chosen, str):
                    return TrialStatus.IDLE if waiting else chosen
                return chosen[0], chosen[1], _note(bracket, 0, depth)
        return TrialStatus.STOPPED


def _note(bracket: int, level: int, depth: int) -> dict[str, Any]:
    return {"bracket": bracket, "level": level, "share": float(ETA) ** (level - depth)}


def _slot(note: dict[str, Any]) -> tuple[int, int]:
    return note["bracket"], note["level"]


METHODS: dict[str, type[Oracle]] = {"bayesian": Bayesian, "random": Oracle, "grid": Grid, "hyperband": Hyperband}


def first_points(dimensions: int) -> int:
    """Trials before the first suggestion where nobody says how many."""
    return min(max(dimensions, RANDOM_POINTS[0]), RANDOM_POINTS[1])
