"""The loop between the oracle that proposes, the workers that run and the book. It fits nothing itself."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.cost import timed
from toolkit.errors import InputError
from toolkit.tuning import journal
from toolkit.tuning.settings import Budget
from toolkit.tuning.trial import Trial

FAILURES = 5  # in a row, and the search stops
Watch = Callable[[Sequence[Trial]], None]  # called with all trials whenever one begins or ends


class Loop:
    """Trials between the oracle, the workers and the book."""

    def __init__(
        self,
        oracle: Any,
        pool: Any,
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
        self.busy = 0
        for trial in self.book():
            oracle.restore(trial)

    def book(self) -> list[Trial]:
        """All trials by their number."""
        return [self.trials[number] for number in sorted(self.trials)]

    def run(self, workers: int) -> None:
        """Until the budget is used up, or nothing is left to try."""
        own = [f"worker {number}" for number in range(workers)]
        free = [*self.oracle.ongoing_trials, *own]  # whose trials died with an earlier run come first
        while True:
            _, seconds = timed(lambda: self._begin(free, workers))
            self.elapsed += seconds
            if not self.busy:
                return
            ended, seconds = timed(self.pool.ended)
            self.elapsed += seconds
            for name, trial in ended:
                self._record(name, trial)
                if name in own:
                    free.append(name)

    def _begin(self, free: list[str], workers: int) -> None:
        """Give every free worker a trial, those of an earlier run first."""
        while free and self.busy < workers:
            name = free[0]
            again = name in self.oracle.ongoing_trials
            if not again and self.budget.over(len(self.trials), self.elapsed):
                return
            given = self.oracle.create_trial(name)
            if given.status != "RUNNING":
                return
            free.pop(0)
            number = int(given.trial_id)
            if number not in self.trials:
                values = dict(given.hyperparameters.values)
                self.trials[number] = Trial(number, values=values, **self.oracle.notes[given.trial_id])
            self._write()
            self.busy += 1
            self.pool.start(name, self.trials[number])

    def _record(self, name: str, trial: Trial) -> None:
        """Tell the oracle and the book how a trial ended."""
        self.busy -= 1
        trial = dataclasses.replace(trial, elapsed_seconds=self.elapsed)
        self.trials[trial.number] = trial
        given = self.oracle.ongoing_trials[name]
        if trial.status == "finished":
            self.oracle.update_trial(given.trial_id, trial.metrics)
            given.status = "COMPLETED"
        else:
            given.status, given.message = "FAILED", trial.error
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
