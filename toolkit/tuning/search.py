"""The search for a contestant's best setting under a budget, on validation rows. It knows the protocol only.

The test rows are never looked at here.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from toolkit import runs
from toolkit.data import Dataset
from toolkit.errors import InputError
from toolkit.tuning import journal
from toolkit.tuning.declared import Space, at, declared, description, narrowed
from toolkit.tuning.importance import importance
from toolkit.tuning.loop import Loop, Watch
from toolkit.tuning.settings import Budget, Settings
from toolkit.tuning.trial import Job, Trial, rows_of


@dataclass(frozen=True)
class Search:
    """What `tune` found: `best` and `classifier()`, `trials` in their order."""

    name: str
    objective: str
    method: str
    trials: tuple[Trial, ...]
    importance: dict[str, float]  # share of the score's variation that each hyper-parameter explains; sums to 1
    function: Space
    space: Any  # keras_tuner.HyperParameters
    folds: int = 0  # 0: chosen on the hold-out

    @property
    def best(self) -> Trial:
        """The trial with the best score."""
        best = journal.best_of(self.trials, self.objective)
        if best is None:
            raise InputError(f"Expected a trial that ended well. All {len(self.trials)} failed.")
        return best

    @property
    def spent(self) -> dict[str, float]:
        """Trials, those that failed, and seconds."""
        return journal.spent(self.trials)

    def classifier(self) -> Any:
        """A new, unfitted classifier of the best setting."""
        return self.function(at(self.space, self.best.values))


Pools = Callable[[Job], Any]  # makes the `Pool` of a search, a context manager


def tune(
    space: Space,
    dataset: Dataset,
    *,
    trials: int | None = None,
    seconds: float | None = None,
    out: str | Path | None = None,
    settings: Settings | None = None,
    name: str | None = None,
    workers: int | Pools = 1,
    watch: Watch | None = None,
) -> Search:
    """Search the settings of `space(hp) -> Classifier` for the one with the best score on the validation rows.

    The defaults are the first trial. With `out`, every trial is written to that folder when it ends; the same call goes
    on with a search that was ended or killed, a larger budget continues it, and a search of other settings is refused.
    `workers` processes run trials side by side; 0 runs them here; `chief(address)` and `rays(...)` of this package run
    them on other machines. A process that dies has its trial run again. Networks that fall behind the median of the
    others are ended early (`Settings.prune`) and are never the best.

    Raises:
        InputError: a budget of nothing, a space that cannot be built or changes, a folder of something else, no
            validation rows, or five trials in a row that failed.
    """
    from toolkit.tuning.oracles import METHODS

    budget, settings = Budget(trials, seconds), settings or Settings()
    job, head = prepared(space, dataset, settings, name)
    with ExitStack() as stack:
        folder = Path(out) if out is not None else None
        known = _opened(folder, head, stack) if folder is not None else []
        book = {**head, "budget": budget.to_dict()}  # which may grow, and so does not make the search another
        oracle = METHODS[settings.method](job.space, settings.objective, settings.seed, head["first"])
        pool = stack.enter_context(_pools(workers)(job))
        loop = Loop(oracle, pool, budget, folder, book, watch, {trial.number: trial for trial in known})
        loop.run()
    ended = tuple(trial for trial in loop.book() if trial.status != "running")
    found = Search(head["contestant"], settings.objective, settings.method, ended, {}, space, job.space, settings.folds)
    _ = found.best  # refuses a search without one
    weights = importance(job.space, ended, settings.objective, settings.seed)
    if folder is not None:
        journal.write_trials(folder, {**book, "importance": weights}, loop.book())
    return dataclasses.replace(found, importance=weights)


def prepared(space: Space, dataset: Dataset, settings: Settings, name: str | None) -> tuple[Job, dict[str, Any]]:
    """What all trials share, and the head of the book: what makes a search this one and no other."""
    from toolkit.tuning.oracles import first_points

    rows = rows_of(dataset, settings.folds, settings.seed)
    whole = declared(space)
    parameters = narrowed(whole, settings.fixed, settings.ranges)
    head = {
        "contestant": name or str(getattr(space, "__name__", type(space).__name__)),
        **{key: getattr(settings, key) for key in ("objective", "method", "seed", "folds", "prune")},
        "first": settings.first or first_points(len(parameters.space)),
        "data": {
            "sha256": dataset.manifest.sha256,
            "pixels": dataset.pixels,
            "source": dataset.manifest.source,
            "fit": dataset.manifest.settings.get("fit"),
        },
        "image_shape": list(dataset.image_shape),
        "space": description(parameters),
        **({"about": dict(settings.about)} if settings.about else {}),
    }
    digest = hashlib.sha256(json.dumps(_identity(head), sort_keys=True).encode()).hexdigest()
    return Job(space, parameters, rows, settings.seed, description(whole), digest), head


def _identity(head: Mapping[str, Any]) -> dict[str, Any]:
    """The head without how the source was written: 'photos' and 'photos/' are one."""
    return {**head, "data": {key: value for key, value in head["data"].items() if key != "source"}}


def _opened(folder: Path, head: Mapping[str, Any], stack: ExitStack) -> list[Trial]:
    """Lock the folder for this search, and read what it holds."""
    runs.open_run(folder, {"kind": "search", **_identity(head)})
    try:
        stack.enter_context(filelock.FileLock(folder / "search.lock", timeout=0))
    except filelock.Timeout:
        raise InputError(f"Expected {folder} for this search alone. Another process is at work in it.") from None
    return journal.read_trials(folder)


def _pools(workers: int | Pools) -> Pools:
    from toolkit.tuning.workers import Here, Workers

    if not isinstance(workers, int):
        return workers
    if workers < 0:
        raise InputError(f"Expected 0 or more workers. Received: {workers}.")
    return (lambda job: Workers(job, workers)) if workers else Here
