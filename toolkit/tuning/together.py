"""Several contestants searched under one budget on the same validation rows: what makes a table of them fair."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.data import Dataset
from toolkit.errors import InputError
from toolkit.tuning.declared import Space
from toolkit.tuning.journal import read_best
from toolkit.tuning.search import Pools, Search, tune
from toolkit.tuning.settings import Settings
from toolkit.tuning.trial import Trial


def tune_all(
    spaces: Mapping[str, Space],
    dataset: Dataset,
    *,
    out: str | Path,
    trials: int | None = None,
    seconds: float | None = None,
    settings: Settings | None = None,
    workers: int | Pools | Mapping[str, Pools] = 1,
    watch: Callable[[str, Sequence[Trial]], None] | None = None,
) -> dict[str, Search]:
    """One search after the other, in `out`/tuning/NAME, each with the whole budget; those that are finished are read.

    See `tune` for the budget and what is refused.
    """
    folders = runs.folder_names(spaces)
    found = {}
    for name, space in spaces.items():
        found[name] = tune(
            space,
            dataset,
            trials=trials,
            seconds=seconds,
            out=Path(out) / runs.TUNING / folders[name],
            settings=settings,
            name=name,
            workers=workers[name] if isinstance(workers, Mapping) else workers,
            watch=None if watch is None else lambda book, name=name: watch(name, book),  # type: ignore[misc]
        )
    return found


def account(searches: Mapping[str, Search], trials: int | None, seconds: float | None) -> dict[str, Any]:
    """What a comparison states of its tuning: the budget, and what each contestant spent and was given."""
    first = next(iter(searches.values()))
    return {
        "budget": {"trials": trials, "seconds": seconds},
        "objective": first.objective,
        "method": first.method,
        "contestants": {
            name: {**search.spent, "best_trial": search.best.number, "values": search.best.values}
            for name, search in searches.items()
        },
    }


def chosen_before(
    searches: Sequence[str | Path], names: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The best values of earlier searches by contestant, and their account for a comparison; both empty for none.

    Raises:
        InputError: a folder without a search, or the search of a contestant that is not among `names`.
    """
    best = [(path, read_best(path)) for path in searches]
    for path, one in best:
        if one["contestant"] not in names:
            raise InputError(
                f"Expected the search of one of {', '.join(names)}. {path} is that of '{one['contestant']}'."
            )
    if not best:
        return {}, {}
    contestants = {
        one["contestant"]: {**one.get("spent", {}), "best_trial": one.get("trial"), "values": one["values"]}
        for _, one in best
    }
    head = {"budget": {}, "objective": best[0][1]["objective"], "method": best[0][1].get("method")}
    return {one["contestant"]: one["values"] for _, one in best}, {**head, "contestants": contestants}
