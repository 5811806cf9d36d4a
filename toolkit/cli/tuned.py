"""The searches that come before a duel: the same budget for each contestant, shown while they run. It fights none."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from toolkit.cli.options import wants_gpu
from toolkit.errors import InputError

ONCE = (
    "Settings are tuned once, on the validation rows of seed {seed}. Other seeds reuse them on splits of their own, "
    "whose test rows may have helped to choose them, alike for all."
)


def settings_of(objective: str | None, method: str | None, folds: int | None, **more: Any) -> Any:
    """How to search: what was said, and the defaults for the rest."""
    from toolkit.tuning import Settings

    said: dict[str, Any] = {"objective": objective, "method": method, "folds": folds}
    return Settings(**{name: value for name, value in said.items() if value is not None}, **more)


def budget_of(tune: int | None, seconds: float | None, **only_with_it: Any) -> Any:
    """The budget of each search, None for no tuning; what says how to search is refused without one."""
    from toolkit.tuning import Budget

    if tune is not None or seconds is not None:
        return Budget(tune, seconds)
    for option, value in only_with_it.items():
        if value is not None:
            raise InputError(f"Expected --{option} together with --tune or --tune-seconds. Received it alone.")
    return None


def tuned(
    chosen: tuple[str, ...],
    dataset: Any,
    folder: Path,
    recipe: Any,
    asked: Mapping[str, Mapping[str, Any]],
    budget: Any,
    settings: Any,
    workers: Any,
) -> tuple[Any, Any]:
    """The best values of each contestant after the same budget, and the account of what was spent.

    Each search leaves its own page beside its trials, as `touchstone tune` does.
    """
    from dataclasses import replace

    from toolkit.catalogue import space
    from toolkit.cli.live import watching
    from toolkit.report import write_search
    from toolkit.runs import TUNING, folder_names
    from toolkit.tuning import account, tune_all
    from toolkit.tuning.spaces import shorter

    shape, recipe = dataset.image_shape, shorter(recipe, len(dataset.train))
    told = {"seed": settings.seed, "recipe": recipe}
    spaces = {name: space(name, shape, **told, **asked[name]) for name in chosen}
    weights = {name: str(given["weights"]) for name, given in asked.items()}
    fixed = {name: dict(given["options"]) for name, given in asked.items() if given.get("options")}
    about = {"recipe": json.loads(recipe.to_json()), "weights": weights, **fixed}
    with watching(settings.objective, budget) as show:
        searches = tune_all(
            spaces,
            dataset,
            out=folder,
            **budget.to_dict(),
            settings=replace(settings, about=about),
            workers=workers,
            watch=show,
        )
    for place in folder_names(spaces).values():
        write_search(folder / TUNING / place)
    best = {name: search.best.values for name, search in searches.items()}
    return best, account(searches, budget.trials, budget.seconds)


def pools(ray: str | None, workers: int, names: Iterable[str]) -> Any:
    """Where trials run: processes of this machine, or a Ray cluster, where networks ask for a GPU."""
    if ray is None:
        return workers
    from toolkit.tuning import rays

    return {name: rays(ray, workers, wants_gpu(name)) for name in names}
