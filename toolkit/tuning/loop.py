"""The loop between the oracle that proposes, the workers that run and the book. It fits nothing itself."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from toolkit.cost import timed
from toolkit.errors import InputError
from toolkit.tuning import journal, pruning
from toolkit.tuning.settings import Budget
from toolkit.tuning.trial import Trial

FAILURES = 5  # in a row, and the search stops
Watch = Callable[[Sequence[Trial]], None]  # called with all trials whenever one begins or ends


class Pool(Protocol):
    """Where trials run: in this process, in others, on other machines."""

    places: tuple[str, ...]  # each for one trial at a time; more may turn up in `ended`

    @property
    def waking(self) -> bool:
        """Whether all that run trials are still starting, which costs a search nothing."""
        ...

    def start(self, place: str, trial: Trial) -> None:
        """Have the trial run at that place."""
        ...

    def ended(self) -> list[tuple[str, Trial | None]]:
        """Wait for news: a trial that ended, and where; or a place that is free, with None. An empty list is none."""
        ...


class Loop:
    """Trials between the oracle, the workers and the book."""

    def __init__(
        self,
        oracle: Any,
        pool: Pool,
        budget: Budget,
        folder: Path | None,
        head: Mapping[str, Any],
        watch: Watch | None,
        trials: dict[int, Trial],
    ) -> None:
        self.oracle, self.pool, self.budget, self.folder, self.head, self.watch = (
            oracle, pool, budget, folder, head, watch
        )  # fmt: skip
        self.trials = trials
        self.elapsed = max((trial.elapsed_seconds for trial in trials.values()), default=0.0)
        self.failures = 0
        for trial in self.book():
            oracle.restore(trial)
        self.free = list(pool.places)
        self.lost = list(oracle.ongoing_trials)  # names of trials that died with an earlier run; they come first
        self.running: dict[int, str] = {}  # number of a trial -> the oracle's name for who runs it

    def book(self) -> list[Trial]:
        """All trials by their number."""
        return [self.trials[number] for number in sorted(self.trials)]

    def run(self) -> None:
        """Until the budget is used up, or nothing is left to try."""
        while True:
            more, seconds = timed(self._begin)
            self.elapsed += seconds
            if not self.running and not more:
                return
            begun = bool(self.running) and not self.pool.waking  # waiting for the first worker costs nothing
            news, seconds = timed(self.pool.ended)
            self.elapsed += seconds if begun else 0
            for place, trial in news:
                if trial is not None:
                    self._record(trial)
                if (trial is None or place in self.pool.places) and place not in self.free:
                    self.free.append(place)

    def _begin(self) -> bool:
        """Give every free place a trial; whether there may be one for the next place too."""
        while self.lost or not self.budget.over(len(self.trials), self.elapsed):
            if not self.free:
                return True
            name = self.lost[0] if self.lost else f"place {len(self.trials)}"
            given = self.oracle.create_trial(name)
            if given.status != "RUNNING":
                return given.status == "IDLE"
            if self.lost:
                self.lost.pop(0)
            number = int(given.trial_id)
            if number not in self.trials:
                values = dict(given.hyperparameters.values)
                trial = Trial(number, values=values, **self.oracle.notes[given.trial_id])
                self.trials[number] = dataclasses.replace(trial, limits=self._limits(trial.share))
            self._write()
            self.running[number] = name
            self.pool.start(self.free.pop(0), self.trials[number])
        return False

    def _limits(self, share: float) -> tuple[float, ...]:
        """What a training on that share of the rows has to keep up with."""
        if not self.head["prune"]:
            return ()
        known = [trial for trial in self.trials.values() if trial.status in ("finished", "pruned")]
        return pruning.limits([trial.curve for trial in known if trial.share == share])

    def _record(self, trial: Trial) -> None:
        """Tell the oracle and the book how a trial ended."""
        trial = dataclasses.replace(trial, elapsed_seconds=self.elapsed)
        self.trials[trial.number] = trial
        given = self.oracle.ongoing_trials[self.running.pop(trial.number)]
        if trial.status == "failed":
            given.status, given.message = "FAILED", trial.error
        else:
            self.oracle.update_trial(given.trial_id, trial.metrics)
            given.status = "COMPLETED"
        self.oracle.end_trial(given)
        self._write()
        self.failures = self.failures + 1 if trial.status == "failed" else 0
        if self.failures == FAILURES:
            where = f" {self.folder / journal.TABLE} lists them." if self.folder else ""
            raise InputError(
                f"Expected trials that run. The last {FAILURES} failed, the latest with {trial.error}.{where}"
            )

    def _write(self) -> None:
        if self.folder is not None:
            journal.write_trials(self.folder, self.head, self.book())
        if self.watch is not None:
            self.watch(self.book())
