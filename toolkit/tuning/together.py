"""Several contestants searched under one budget on the same validation rows: what makes a table of them fair."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.data import Dataset, Manifest
from toolkit.errors import InputError
from toolkit.tuning.declared import Space
from toolkit.tuning.journal import read_best
from toolkit.tuning.search import Pools, Search, tune
from toolkit.tuning.settings import Budget, Settings
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

    Raises:
        InputError: as `tune`, and before any trial where `out` was begun with another budget, other contestants, data
            or settings, or without tuning.
    """
    budget, settings = Budget(trials, seconds), settings or Settings()
    folders = runs.folder_names(spaces)
    data = {"sha256": dataset.manifest.sha256, "pixels": dataset.pixels}
    _open(Path(out), budget, settings, {"contestants": list(spaces), "data": data})
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


def _open(out: Path, budget: Budget, settings: Settings, identity: Mapping[str, Any]) -> None:
    """Begin the folder of the searches, or refuse one that another duel began: its scores could not be used."""
    folder = out / runs.TUNING
    marker = folder / "run.json"
    if (out / "run.json").exists() and not marker.exists():
        raise InputError(f"Expected a duel that was begun with tuning. {out} was begun without; name another --out.")
    before = runs.read_json(marker).get("budget", budget.to_dict()) if marker.exists() else budget.to_dict()
    if before != budget.to_dict():
        raise InputError(
            f"Expected the budget that {out} was begun with, {Budget(**before)} for each. Received: {budget}; "
            "name another --out."
        )
    own = {key: getattr(settings, key) for key in ("objective", "method", "seed", "folds", "prune", "first", "about")}
    runs.open_run(folder, {"kind": "tuning", "budget": budget.to_dict(), **identity, **own})


def check_untuned(out: Path) -> None:
    """Refuse a folder that a duel with tuning began, for one that takes settings as they are."""
    if (out / runs.TUNING).exists():
        raise InputError(
            f"Expected {out} to be the folder of a duel without tuning. It was begun with --tune or --tune-seconds; "
            "name another --out."
        )


def account(searches: Mapping[str, Search], trials: int | None, seconds: float | None) -> dict[str, Any]:
    """What a comparison states of its tuning: the budget, and what each contestant spent and was given."""
    first = next(iter(searches.values()))
    return {
        "budget": Budget(trials, seconds).to_dict(),
        "objective": first.objective,
        "method": first.method,
        "folds": first.folds,
        "contestants": {
            name: {
                **search.spent,
                "best_trial": search.best.number,
                "best_score": search.best.metrics[search.objective],
                "values": search.best.values,
            }
            for name, search in searches.items()
        },
    }


def chosen_before(
    searches: Sequence[str | Path], names: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The best values of earlier searches by contestant, and their account for a comparison; both empty for none.

    Raises:
        InputError: a folder without a search, the search of a contestant that is not among `names`, two of one, or
            searches that did not choose by the same objective on the same kind of rows.
    """
    best: dict[str, dict[str, Any]] = {}
    for path in searches:
        one = read_best(path)
        name = one["contestant"]
        if name not in names:
            raise InputError(f"Expected the search of one of {', '.join(names)}. {path} is that of '{name}'.")
        if name in best:
            raise InputError(f"Expected one search of each contestant. Received a second of '{name}': {path}.")
        best[name] = one
        first = next(iter(best.values()))
        for what in ("objective", "folds"):
            if one.get(what) != first.get(what):
                raise InputError(
                    f"Expected searches of one {what}, which alone are fair beside each other. Received: "
                    f"{first.get(what)}, and {one.get(what)} in {path}."
                )
    if not best:
        return {}, {}
    contestants = {
        name: {
            **one.get("spent", {}),
            "budget": one.get("budget", {}),
            "best_trial": one.get("trial"),
            "best_score": one.get("metrics", {}).get(one["objective"]),
            "values": one["values"],
        }
        for name, one in best.items()
    }
    budgets = [one["budget"] for one in contestants.values()]
    head = {"budget": budgets[0] if all(one == budgets[0] for one in budgets) else {}}
    head |= {key: first.get(key) for key in ("objective", "method", "folds")}
    return {name: one["values"] for name, one in best.items()}, {**head, "contestants": contestants}


def check_rows(searches: Sequence[str | Path], manifest: Manifest) -> None:
    """Refuse searches on other rows or splits than those of `manifest`: they may have seen its test rows.

    Raises:
        InputError: it names the search, and both data.
    """
    for path in searches:
        data = read_best(path).get("data", {})
        if data.get("sha256") != manifest.sha256:
            raise InputError(
                f"Expected a search on the same data and splits as here, {manifest.source} with seed {manifest.seed}. "
                f"{path} was one on {data.get('source', 'unknown data')} of other rows or splits, and may have seen "
                "test rows of these; give --seed, --validation and --test as there, or search anew."
            )
