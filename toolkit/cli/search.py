"""The command that tunes one contestant."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.options import (
    Cache,
    Data,
    Duplicates,
    Epochs,
    Fit,
    Folds,
    ImageSize,
    Method,
    Objective,
    Preset,
    Ray,
    Seed,
    SkipBad,
    Test,
    Validation,
    Weights,
    Workers,
    app,
    own_modules,
    recipe_of,
    runs_folder,
    terminal,
    wake_keras,
    wants_gpu,
)  # fmt: skip
from toolkit.cli.tuned import settings_of
from toolkit.errors import InputError, unknown


@app.command()
def tune(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A contestant of `touchstone list`, or your own space: module:function."),
    ],
    data: Data,
    trials: Annotated[int | None, typer.Option(help="At most so many. [40, unless --seconds]")] = None,
    seconds: Annotated[float | None, typer.Option(help="No trial begins after so many.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; the same search goes on in it. [runs/tune_NAME_DATA]")
    ] = None,
    objective: Objective = None,
    method: Method = None,
    first: Annotated[int | None, typer.Option(help="Random trials before the first suggestion. [4 to 10]")] = None,
    folds: Folds = None,
    fix: Annotated[list[str] | None, typer.Option("--set", help="batch_size=64: do not vary it.")] = None,
    within: Annotated[list[str] | None, typer.Option("--range", help="learning_rate=1e-4:1e-2: vary less.")] = None,
    prune: Annotated[bool, typer.Option(help="End networks that fall behind the median of the others.")] = True,
    weights: Weights = None,
    workers: Workers = 1,
    role: Annotated[str | None, typer.Option(help="chief: hand trials to workers elsewhere; or worker.")] = None,
    address: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Of the chief.")] = None,
    patience: Annotated[float, typer.Option(help="Seconds that a worker waits for its chief.", min=1)] = 60,
    ray: Ray = None,
    preset: Preset = "standard",
    epochs: Epochs = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    validation: Validation = 0.1,
    test: Test = 0.2,
    skip_bad: SkipBad = False,
    fit: Fit = "crop",
    duplicates: Duplicates = "together",
    cache: Cache = None,
) -> None:
    """Search the settings of one contestant on the validation rows; the test rows are left alone."""
    from toolkit.catalogue import check_names, space, weights_of
    from toolkit.cli.live import line, said, title_of, trials_table, watching
    from toolkit.tuning import Budget, rays
    from toolkit.tuning import tune as search
    from toolkit.tuning.settings import fixed_values, ranges
    from toolkit.tuning.spaces import shorter

    own_modules()
    if ":" not in name:
        check_names([name])
    begun = weights_of(weights or [], [name]).get(name, "imagenet")
    trials = 40 if trials is None and seconds is None else trials
    budget = Budget(trials, seconds)
    narrow = {"fixed": fixed_values(fix or []), "ranges": ranges(within or [])}
    settings = settings_of(objective, method, folds, seed=seed, prune=prune, first=first, **narrow)
    recipe = recipe_of(preset, epochs)
    _check_where(role, address, ray)
    where: Any = rays(ray, workers, wants_gpu(name)) if ray else workers
    from toolkit.data import load

    handling: dict[str, Any] = {"skip_bad": skip_bad, "fit": fit, "duplicates": duplicates, "cache": cache}
    dataset = load(data, image_size, seed=seed, validation=validation, test=test, **handling)
    wake_keras()
    recipe = shorter(recipe, len(dataset.train))
    settings = replace(settings, about={"recipe": json.loads(recipe.to_json()), "weights": str(begun)})
    function = space(name, dataset.image_shape, seed=seed, recipe=recipe, weights=begun)
    console = terminal()
    if role == "worker":
        from toolkit.tuning import work

        told: dict[str, Any] = {"settings": settings, "name": name, "workers": workers, "patience_seconds": patience}
        told["watch"] = lambda trial: console.print(line(trial, settings.objective), highlight=False, markup=False)
        ran = work(function, dataset, address or "", **told)
        console.print(f"{ran} trials run for the chief at {address}; its folder holds them.", highlight=False)
        return
    if role == "chief":
        from toolkit.tuning import chief

        where = chief(address or "", lambda told: print(told, file=sys.stderr))
        console.print(f"Chief at {address}. Workers: the same command with --role worker.", highlight=False)
    folder = out or Path("runs") / f"tune_{name.replace(':', '.')}_{runs_folder(data)}"
    with watching(settings.objective, budget) as show:
        found = search(
            function, dataset, **budget.to_dict(), out=folder, settings=settings, name=name, workers=where,
            watch=lambda book: show(name, book),
        )  # fmt: skip
    from toolkit.report import write_search

    console.print(trials_table(found.trials, found.objective, title_of(found.trials, found.objective, budget)))
    chosen = ", ".join(f"{key}={said(value, 4)}" for key, value in found.best.values.items())
    score = f"{found.objective} {found.best.metrics[found.objective]:.4f}"
    console.print(f"Best: trial {found.best.number}, {score} with {chosen}", highlight=False, markup=False)
    console.print(f"Written to {folder}; open {write_search(folder)}", highlight=False, markup=False)


def _check_where(role: str | None, address: str | None, ray: str | None) -> None:
    """Refuse options of several machines that do not go together."""
    from toolkit.tuning.settings import checked_address

    if role not in (None, "chief", "worker"):
        raise unknown("role", role, ("chief", "worker"))
    if (role is None) != (address is None):
        raise InputError("Expected --role chief or worker together with --address HOST:PORT. Received one of the two.")
    if ray is not None and role is not None:
        raise InputError("Expected --ray or --role. Received both; each distributes the trials by itself.")
    if address is not None:
        checked_address(address)
    os.environ.setdefault(
        "GRPC_VERBOSITY", "NONE"
    )  # of what it writes, nothing helps: our own lines say who is missing
